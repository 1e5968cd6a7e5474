package queue

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestEnqueueLeaseAck(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		ids := r.enqueue(text("a"), text("b"), text("c"))
		list := r.lease(LeaseRequest{Max: 2, Worker: "w1"})
		if len(list) != 2 || list[0].ID != ids[0] || string(list[1].Event.Data) != "b" || list[0].Attempt != 1 {
			t.Fatalf("leased %+v", list)
		}
		if e := list[0].Event; e.Source != "/queues/emails" || e.Type != "parley.job" || e.ID == "" || len(e.Extensions) != 0 {
			t.Fatalf("event %+v", e)
		}
		r.must(r.Ack(r.ctx(), list[0].Token))
		s := r.stats()
		if s.Ready != 1 || s.Leased != 1 || s.Done != 1 || s.Enqueued != 3 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestFence: a lease that is over settles nothing, whatever ended it.
func TestFence(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.enqueue(text("a"), text("b"))
		a, b := r.one(LeaseRequest{}), r.one(LeaseRequest{})
		r.must(r.Ack(r.ctx(), a.Token))
		r.code(r.Ack(r.ctx(), a.Token), parley.Conflict) // repeated

		<-time.After(30 * time.Second)
		r.code(r.Ack(r.ctx(), b.Token), parley.Conflict) // expired
		again := r.one(LeaseRequest{})
		r.code(r.Extend(r.ctx(), b.Token, 0), parley.Conflict) // leased again
		if again.ID != b.ID || again.Attempt != 2 {
			t.Fatalf("leased again: %+v", again)
		}
		forged := string(token{1, int64(b.ID), 3}.append(nil, "emails", newSealer(new([secretSize]byte))))
		for name, lease := range map[string]string{
			"garbage": "x", "empty": "", "forged": forged, "half": again.Token[:len(again.Token)-3],
			"other queue": strings.Replace(again.Token, "emails", "faxes", 1), "long": "emails~" + strings.Repeat("A", 5000),
		} {
			if err := r.Ack(r.ctx(), lease); parley.CodeOf(err) != parley.Invalid {
				t.Errorf("%s: error %v, want invalid", name, err)
			}
		}
		if name, err := QueueOf(again.Token); name != "emails" || err != nil {
			t.Errorf("queue of the token: %q, %v", name, err)
		}
		_, err := r.Cancel(r.ctx(), again.ID)
		r.must(err)
		r.code(r.Nack(r.ctx(), again.Token, ""), parley.Conflict) // canceled
	})
}

// TestOwnerChange: leases end with their owner, and attempts are remembered.
func TestOwnerChange(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		id := r.enqueue(text("a"))[0]
		old := r.one(LeaseRequest{Worker: "w1"})
		r.restart()
		r.code(r.Ack(r.ctx(), old.Token), parley.Conflict)
		now := r.one(LeaseRequest{Worker: "w2"})
		if now.ID != id || now.Attempt != 2 {
			t.Fatalf("leased %+v", now)
		}
		i, err := r.Get(r.ctx(), id)
		r.must(err)
		if len(i.History) != 2 || i.History[0].Cause != OwnerChanged || i.History[0].Worker != "w1" {
			t.Fatalf("history %+v", i.History)
		}
		r.must(r.Ack(r.ctx(), now.Token))
		r.restart()
		if list := r.lease(LeaseRequest{}); len(list) != 0 {
			t.Fatalf("a settled job came again: %+v", list)
		}
	})
}

// TestExactWaking: whoever waits is woken at the very moment.
func TestExactWaking(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		after := func(name string, d time.Duration, w <-chan waiting, begun time.Time) Lease {
			t.Helper()
			got := <-w
			if got.err != nil || len(got.jobs) != 1 {
				t.Fatalf("%s: %+v", name, got)
			}
			if at := got.at.Sub(begun); at != d {
				t.Fatalf("%s: woken after %v, want %v", name, at, d)
			}
			return got.jobs[0]
		}
		long := LeaseRequest{Wait: MaxWait}

		begun, w := time.Now(), r.wait(r.ctx(), long)
		<-time.After(1234567 * time.Nanosecond)
		r.enqueue(text("new"))
		l := after("a new job", 1234567, w, begun)

		begun = time.Now()
		w = r.wait(r.ctx(), long)
		<-time.After(7 * time.Second)
		r.must(r.NackAfter(r.ctx(), l.Token, 0, "no"))
		l = after("a nack", 7*time.Second, w, begun)

		// Deadlines are whole milliseconds.
		<-time.After(time.Until(time.Now().Truncate(time.Millisecond).Add(time.Millisecond)))
		begun = time.Now()
		r.must(r.NackAfter(r.ctx(), l.Token, 90*time.Second, "later"))
		l = after("the end of a delay", 90*time.Second, r.wait(r.ctx(), long), begun)
		begun = time.Now()
		l = after("the end of a lease", 30*time.Second, r.wait(r.ctx(), long), begun)

		r.must(r.Pause(r.ctx()))
		r.must(r.NackAfter(r.ctx(), l.Token, 0, ""))
		begun, w = time.Now(), r.wait(r.ctx(), long)
		<-time.After(time.Second)
		r.must(r.Resume(r.ctx()))
		l = after("resumed", time.Second, w, begun)

		r.configure(Settings{Concurrency: 1})
		r.enqueue(text("second"))
		begun, w = time.Now(), r.wait(r.ctx(), long)
		<-time.After(time.Second)
		r.must(r.Ack(r.ctx(), l.Token))
		l = after("a place is free", time.Second, w, begun)
		r.must(r.Ack(r.ctx(), l.Token))

		r.configure(Settings{Rate: "1/10s"})
		r.enqueue(text("third"), text("fourth"))
		begun = time.Now()
		after("within the rate", 0, r.wait(r.ctx(), long), begun)
		after("the rate's next", 10*time.Second, r.wait(r.ctx(), long), begun)

		begun = time.Now()
		got := <-r.wait(r.ctx(), LeaseRequest{Wait: 3 * time.Second})
		if got.err != nil || got.jobs != nil || got.at.Sub(begun) != 3*time.Second {
			t.Fatalf("an empty wait: %+v", got)
		}
	})
}

// TestWakingPassesOn: a waiter that goes away does not keep a job from the next.
func TestWakingPassesOn(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		ctx, cancel := context.WithCancel(r.ctx())
		first, second := r.wait(ctx, LeaseRequest{Wait: MaxWait}), r.wait(r.ctx(), LeaseRequest{Wait: MaxWait})
		cancel()
		if got := <-first; got.err == nil {
			t.Fatalf("the first waiter: %+v", got)
		}
		if s := r.stats(); s.Waiting != 1 {
			t.Fatalf("%d wait, one has gone away", s.Waiting)
		}
		r.enqueue(text("a"))
		if got := <-second; got.err != nil || len(got.jobs) != 1 {
			t.Fatalf("the second waiter: %+v", got)
		}
		if s := r.stats(); s.Waiting != 0 || s.Leased != 1 {
			t.Fatalf("stats %+v", s)
		}
	})
}
