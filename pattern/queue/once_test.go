package queue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func newOnce(t *testing.T, log parley.Log) *LogOnce {
	t.Helper()
	s, err := NewLogOnce(log, "emails")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOnce: what was done is not done again when the ack is lost; what failed is.
func TestOnce(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		id := r.enqueue(text("x"))[0]
		effects, failures := 0, 2
		h := Once(newOnce(t, r.log), func(context.Context, *Lease) (Result, error) {
			if failures > 0 {
				failures--
				return nil, errors.New("not now")
			}
			effects++
			return Output{ContentType: "text/plain", Data: []byte("sent")}, nil
		}, OnceOptions{})
		for i := range 5 {
			if i == 3 { // another process
				r.restart()
				h = Once(newOnce(t, r.log), func(context.Context, *Lease) (Result, error) {
					effects++
					return nil, nil
				}, OnceOptions{})
			}
			l := r.one(LeaseRequest{Visibility: time.Second, Wait: time.Minute})
			out, err := h(r.ctx(), &l)
			switch o, _ := out.(Output); {
			case i < 2 && (err == nil || err.Error() != "not now"):
				t.Fatalf("attempt %d: %v, %v", i, out, err)
			case i >= 2 && (err != nil || string(o.Data) != "sent" || o.ContentType != "text/plain"):
				t.Fatalf("attempt %d: %v, %v", i, out, err)
			}
			<-time.After(time.Second) // the ack is lost
		}
		if i, err := r.Get(r.ctx(), id); err != nil || i.Attempts != 5 || effects != 1 {
			t.Fatalf("%d effects, %+v, %v", effects, i, err)
		}
	})
}

// TestOnceUnsure: who is cut off leaves doubt, and doubt is told.
func TestOnceUnsure(t *testing.T) {
	for _, again := range []bool{false, true} {
		fake(t, Options{}, func(r *rig) {
			r.configure(Settings{Retry: Retry{Kind: Fixed, Delay: time.Second}})
			id := r.enqueue(text("x"))[0]
			var effects atomic.Int64
			done := make(chan struct{})
			store := newOnce(t, r.log)
			stop := r.employ(Once(store, func(_ context.Context, l *Lease) (Result, error) {
				if effects.Add(1) == 1 {
					panic("cut off")
				}
				close(done)
				return nil, nil
			}, OnceOptions{Again: again, Patience: time.Minute}), WorkerOptions{})
			begun := time.Now()
			how, err := r.Result(r.ctx(), id, MaxWait)
			r.must(err)
			if took := time.Since(begun); took < time.Minute || took > 62*time.Second {
				t.Errorf("decided after %v", took)
			}
			switch {
			case again:
				<-done
				if how.State != Done || effects.Load() != 2 {
					t.Errorf("again: %+v, %d effects", how, effects.Load())
				}
			case how.State != Dead || !strings.Contains(how.Reason, ErrUnsure.Error()) || effects.Load() != 1:
				t.Errorf("not again: %+v, %d effects", how, effects.Load())
			default: // a person looks, and decides that nothing happened
				i, err := r.Get(r.ctx(), id)
				r.must(err)
				r.must(store.Release(r.ctx(), "emails/"+id.String()+"/"+i.Event.ID))
				_, err = r.Redrive(r.ctx(), Filter{})
				r.must(err)
				<-done
			}
			stop()
		})
	}
}

// TestLogOnce: stores over one log agree, of two who begin one does, and the oldest
// keys are forgotten.
func TestLogOnce(t *testing.T) {
	ctx, log := t.Context(), memlog.New(memlog.Options{})
	a, b := newOnce(t, log), newOnce(t, log)
	a.most, b.most = 10, 10
	begin := func(s *LogOnce, key string, want OnceState) OnceMark {
		t.Helper()
		m, err := s.Begin(ctx, key)
		if err != nil || m.State != want || time.Since(m.Since) > time.Minute {
			t.Fatalf("%s: %+v, %v; want %s", key, m, err, want)
		}
		return m
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	begin(a, "1", OnceNew)
	begin(b, "1", OnceBegun)
	begin(a, "1", OnceBegun)
	must(b.Release(ctx, "1"))
	must(b.Release(ctx, "never"))
	begin(b, "1", OnceNew)
	must(a.Finish(ctx, "1", &Output{Data: []byte("one")}))
	must(a.Finish(ctx, "1", &Output{Data: []byte("another")})) // the first counts
	if m := begin(b, "1", OnceDone); string(m.Output.Data) != "one" {
		t.Fatalf("done %+v", m)
	}
	if err := a.Finish(ctx, "2", &Output{Data: make([]byte, MaxResult+1)}); parley.CodeOf(err) != parley.TooLarge {
		t.Fatal(err)
	}
	for i := range 30 {
		s := []*LogOnce{a, b}[i%2]
		begin(s, "k"+strconv.Itoa(i), OnceNew)
		must(s.Finish(ctx, "k"+strconv.Itoa(i), nil))
	}
	begin(a, "k25", OnceDone)
	if len(a.marks) > 10 || len(a.order) > 20 {
		t.Fatalf("%d keys and %d places are kept", len(a.marks), len(a.order))
	}
	if _, err := log.Read(ctx, parley.Place{Stream: a.stream, At: 1}, 1); parley.CodeOf(err) != parley.Trimmed {
		t.Fatalf("nothing was trimmed: %v", err)
	}
	begin(newOnce(t, log), "k25", OnceDone)
	begin(b, "1", OnceNew)

	begin(a, "stays", OnceNew)
	for range 3000 { // what is released leaves nothing
		begin(a, "r", OnceNew)
		must(a.Release(ctx, "r"))
	}
	begin(b, "stays", OnceBegun)
	if len(a.order) > 1100 || len(b.order) > 1100 {
		t.Fatalf("%d and %d places are kept", len(a.order), len(b.order))
	}

	var winners atomic.Int64
	finished := make(chan error)
	for i := range 8 {
		go func() {
			m, err := []*LogOnce{a, b}[i%2].Begin(ctx, "race")
			if m.State == OnceNew {
				winners.Add(1)
			}
			finished <- err
		}()
	}
	for range 8 {
		must(<-finished)
	}
	if winners.Load() != 1 {
		t.Fatalf("%d began", winners.Load())
	}
	for _, name := range []string{"", "$x", "~x", strings.Repeat("a", MaxName+1)} {
		if _, err := NewLogOnce(log, name); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// lossyLog does what it is asked to, and now and then says that it does not know.
type lossyLog struct {
	parley.Log
	n int
}

func (l *lossyLog) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	out, err := l.Log.Append(ctx, w...)
	if l.n++; l.n%2 == 1 && err == nil {
		return nil, parley.Errorf(parley.Unknown, "the answer was lost")
	}
	return out, err
}

// TestLogOnceUnknown: who does not hear that they have begun finds out.
func TestLogOnceUnknown(t *testing.T) {
	s := newOnce(t, &lossyLog{Log: memlog.New(memlog.Options{})})
	for range 4 {
		if m, err := s.Begin(t.Context(), "k"); err != nil || m.State != OnceNew {
			t.Fatalf("%+v, %v", m, err)
		}
		if err := s.Release(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
}
