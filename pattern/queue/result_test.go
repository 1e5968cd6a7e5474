package queue

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

type waitedFor struct {
	Outcome
	err error
	at  time.Time
}

// await begins a Result that waits.
func (r *rig) await(id ID, wait time.Duration) <-chan waitedFor {
	out := make(chan waitedFor, 1)
	go func() {
		o, err := r.Result(r.ctx(), id, wait)
		out <- waitedFor{o, err, time.Now()}
	}()
	synctest.Wait()
	return out
}

func (r *rig) outcome(id ID) Outcome {
	r.t.Helper()
	o, err := r.Result(r.ctx(), id, 0)
	r.must(err)
	return o
}

func TestResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newCountingLog()
		withTopics(t, log, func(r *rig) {
			ids := r.enqueue(text("a"), text("b"), text("c"), Job{Unique: "u", Delay: time.Hour}, text("e"))
			twin := r.enqueue(Job{Unique: "u"})[0]
			list := r.lease(LeaseRequest{Max: 3, Visibility: time.Hour})
			waits := []<-chan waitedFor{}
			for _, id := range append(ids, twin) {
				waits = append(waits, r.await(id, MaxWait))
			}
			<-time.After(linger) // the leases are stored
			synctest.Wait()
			before := log.calls.Load()
			<-time.After(time.Minute)
			if n := log.calls.Load() - before; n != 0 {
				t.Fatalf("%d calls of the log by callers that wait", n)
			}
			now := time.Now()
			check := func(i int, state State, reason, data string) {
				t.Helper()
				got := <-waits[i]
				switch {
				case got.err != nil || got.State != state || !strings.Contains(got.Reason, reason) || !got.at.Equal(now):
					t.Fatalf("outcome %+v after %v", got, got.at.Sub(now))
				case (got.Result != nil) != (data != "") || data != "" && string(got.Result.Data) != data:
					t.Fatalf("result %+v, want %q", got.Result, data)
				}
			}
			r.must(r.AckWith(r.ctx(), list[0].Token, Output{ContentType: "text/plain", Data: []byte("done")}))
			check(0, Done, "", "done")
			r.must(r.Ack(r.ctx(), list[1].Token))
			check(1, Done, "", "")
			r.must(r.Dead(r.ctx(), list[2].Token, "bad"))
			check(2, Dead, "bad", "")
			if _, err := r.Cancel(r.ctx(), ids[3]); err != nil {
				t.Fatal(err)
			}
			check(3, Canceled, "", "")
			check(5, Canceled, "", "") // the duplicate of what was canceled
			if _, err := r.Purge(r.ctx(), Ready); err != nil {
				t.Fatal(err)
			}
			check(4, Done, "", "")

			// Others publish there, too; the next owner and another registry find it.
			r.publish("emails.results", parley.Event{Data: []byte("noise")})
			r.restart()
			o := r.outcome(ids[0])
			e := o.Result
			if o.State != Done || e == nil || string(e.Data) != "done" || e.DataContentType != "text/plain" || e.Subject != ids[0].String() ||
				e.Type != ResultType || e.Source != "/queues/emails" || e.Extensions[LetterJob] != ids[0].String() {
				t.Fatalf("after a restart %+v, %+v", o, e)
			}
			if o := r.outcome(ids[2]); o.State != Dead {
				t.Fatalf("after a restart %+v", o)
			}
			if o := r.outcome(twin); o.State != Canceled || o.ID != ids[3] {
				t.Fatalf("after a restart %+v", o)
			}
			for _, id := range []ID{twin + 1000, 0, -1} {
				_, err := r.Result(r.ctx(), id, time.Second)
				r.code(err, parley.NotFound)
			}
			r.must(r.opt.Topics.Delete(r.ctx(), "emails.results"))
			if o := r.outcome(ids[0]); o.State != Done || o.Result != nil {
				t.Fatalf("when its topic is gone %+v", o)
			}
		})
	})
}

// TestResultWait: a wait that ends first gives the state; one that outlives its
// owner goes on at the next.
func TestResultWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withTopics(t, memlog.New(memlog.Options{}), func(r *rig) {
			id := r.enqueue(text("a"))[0]
			begun := time.Now()
			if got := <-r.await(id, 20*time.Second); got.State != Ready || got.err != nil || time.Since(begun) != 20*time.Second {
				t.Fatalf("outcome %+v", got)
			}
			if _, err := r.Result(r.ctx(), id, MaxWait+1); parley.CodeOf(err) != parley.Invalid {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(r.ctx())
			failed := make(chan error, 1)
			go func() {
				_, err := r.Result(ctx, id, time.Minute)
				failed <- err
			}()
			synctest.Wait()
			cancel()
			r.code(<-failed, parley.Canceled)
			l := r.one(LeaseRequest{})
			r.must(r.AckWith(r.ctx(), l.Token, Output{Data: []byte("x")}))
			// Who asks again is told the same, as often as they like.
			for range 2 {
				if o := r.outcome(id); o.State != Done || string(o.Result.Data) != "x" || o.Result.DataContentType != "" {
					t.Fatalf("outcome %+v", o)
				}
			}
		})
	})
}

// apartLog is a log in which topics of results live in a home of their own.
type apartLog struct{ parley.Log }

func (l apartLog) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	away := 0
	for _, x := range w {
		if strings.HasPrefix(x.Stream.Name, "emails.results") {
			away++
		}
	}
	if away > 0 && away < len(w) {
		return nil, parley.Errorf(parley.Apart, "apart")
	}
	return l.Log.Append(ctx, w...)
}

// TestResultApart: what one commit cannot hold is published before.
func TestResultApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withTopics(t, apartLog{memlog.New(memlog.Options{})}, func(r *rig) {
			ids := r.enqueue(text("a"), text("b"))
			list := r.lease(LeaseRequest{Max: 2})
			r.must(r.AckWith(r.ctx(), list[0].Token, Output{Data: []byte("1")}))
			r.must(r.AckWith(r.ctx(), list[1].Token, Output{Data: []byte("2")}))
			for i, want := range []string{"1", "2"} {
				if o := r.outcome(ids[i]); o.State != Done || string(o.Result.Data) != want {
					t.Fatalf("outcome %+v", o)
				}
			}
		})
	})
}

// TestResultRefused: no result is published whose ack is refused, and no ack is
// taken whose result cannot be published.
func TestResultRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withTopics(t, memlog.New(memlog.Options{}), func(r *rig) {
			r.enqueue(text("a"), text("b"))
			out := Output{Data: []byte("x")}
			l := r.one(LeaseRequest{Visibility: time.Second})
			<-time.After(time.Second)
			r.code(r.AckWith(r.ctx(), l.Token, out), parley.Conflict)
			r.code(r.AckWith(r.ctx(), "emails~AAAA", out), parley.Invalid)
			if list := r.read("emails.results"); len(list) != 0 {
				t.Fatalf("published %+v", list)
			}
			l = r.one(LeaseRequest{})
			r.code(r.AckWith(r.ctx(), l.Token, Output{Data: make([]byte, MaxResult+1)}), parley.TooLarge)
			r.code(r.AckWith(r.ctx(), l.Token, Output{ContentType: "no type"}), parley.Invalid)
			_, err := r.Settle(r.ctx(), []Settlement{{Lease: l.Token, Action: Nack, Result: &out}})
			r.code(err, parley.Invalid)
			big := &Output{Data: make([]byte, MaxResult)}
			_, err = r.Settle(r.ctx(), []Settlement{{Lease: "a", Action: Ack, Result: big}, {Lease: "b", Action: Ack, Result: big}, {Lease: l.Token, Action: Ack, Result: &out}})
			r.code(err, parley.TooLarge)
			r.configure(Settings{Results: NoResults})
			other := r.one(LeaseRequest{})
			errs, err := r.Settle(r.ctx(), []Settlement{{Lease: l.Token, Action: Ack, Result: &out}, {Lease: other.Token, Action: Ack}})
			r.must(err)
			r.code(errs[0], parley.Unprocessable)
			r.must(errs[1])
			r.configure(Settings{Results: "answers"})
			r.must(r.AckWith(r.ctx(), l.Token, out))
			if list := r.read("answers"); len(list) != 1 {
				t.Fatalf("published %+v", list)
			}
		})
	})
}

// TestWorkerResult: what a handler returns goes with the ack; if it cannot, the job
// is tried again and says why.
func TestWorkerResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withTopics(t, memlog.New(memlog.Options{}), func(r *rig) {
			r.configure(Settings{MaxAttempts: 1})
			ids := r.enqueue(text("a"), text("b"), text("huge"))
			stop := r.employ(func(_ context.Context, job *Lease) (Result, error) {
				switch string(job.Event.Data) {
				case "a":
					return Output{Data: []byte("A")}, nil
				case "b":
					return &Output{ContentType: "application/json", Data: []byte("1")}, nil
				}
				return Output{Data: make([]byte, MaxResult+1)}, nil
			}, WorkerOptions{Concurrency: 3})
			for i, want := range []string{"A", "1"} {
				if got := <-r.await(ids[i], time.Minute); got.State != Done || string(got.Result.Data) != want {
					t.Fatalf("outcome %+v", got)
				}
			}
			if got := <-r.await(ids[2], time.Minute); got.State != Dead || !strings.Contains(got.Reason, "256 KiB") {
				t.Fatalf("outcome %+v", got)
			}
			stop()
		})
	})
}

func TestAwaitedIsBounded(t *testing.T) {
	var a awaited
	first, err := a.wait(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(MaxWaiting - 1) {
		if _, err := a.wait(2 + i%7); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.wait(1); parley.CodeOf(err) != parley.Overloaded {
		t.Fatalf("one too many: %v", err)
	}
	a.leave(1, first)
	if _, err := a.wait(9); err != nil {
		t.Fatal(err)
	}
	for id := range int64(10) {
		a.ended(id)
		a.ended(id)
	}
	a.wake()
	if a.n != 0 || len(a.by) != 0 || len(a.over) != 0 {
		t.Fatalf("left %d, %d", a.n, len(a.by))
	}
}

func TestEndsAreBounded(t *testing.T) {
	m := newMachine()
	for id := int64(1); id <= maxEnds+10; id++ {
		m.ends.add(id, end{3, id})
	}
	if _, kept := m.ends.of[10]; kept || len(m.ends.of) != maxEnds || m.ends.of[11] != (end{3, 11}) {
		t.Fatalf("%d are kept", len(m.ends.of))
	}
	size := 0
	for part := range m.Snapshot() {
		size += len(part)
	}
	if size > 1<<20 {
		t.Fatalf("a snapshot of them has %d bytes", size)
	}
	again := newMachine()
	if err := again.Restore(m.Snapshot()); err != nil || again.ends.of[11] != (end{3, 11}) || len(again.ends.order) != maxEnds {
		t.Fatal(err, len(again.ends.order))
	}
}
