package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// employ runs a worker until the test, or end, is over.
func (r *rig) employ(h Handler, o WorkerOptions) (end func()) {
	r.t.Helper()
	w, err := NewWorker(r, h, o)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		r.t.Helper()
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// history gives the causes of a job's attempts.
func (r *rig) causes(id ID) string {
	r.t.Helper()
	i, err := r.Get(r.ctx(), id)
	r.must(err)
	out := string(i.State)
	for _, a := range i.History {
		out += " " + a.Cause + "."
	}
	return out
}

func TestWorkerEnds(t *testing.T) {
	bad := errors.New("bad")
	for name, c := range map[string]struct {
		handler Handler
		want    string        // the job a moment later
		due     time.Duration // when it is tried again
	}{
		"error":  {func(context.Context, *Lease) (Result, error) { return nil, bad }, "delayed bad.", time.Second},
		"panic":  {func(context.Context, *Lease) (Result, error) { panic("oops") }, "delayed panic: oops.", time.Second},
		"fatal":  {func(context.Context, *Lease) (Result, error) { return nil, Fatal(bad) }, "dead bad.", 0},
		"later":  {func(context.Context, *Lease) (Result, error) { return nil, RetryAfter(time.Hour, bad) }, "delayed bad.", time.Hour},
		"result": {func(context.Context, *Lease) (Result, error) { return "unwanted", nil }, "delayed cannot store unwanted.", time.Second},
		"late": {func(ctx context.Context, _ *Lease) (Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "delayed the job took longer than its timeout.", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, Options{}, func(r *rig) {
				r.configure(Settings{Retry: Retry{Kind: Fixed, Delay: time.Second}})
				begun := time.Now()
				id := r.enqueue(text("a"))[0]
				end := r.employ(c.handler, WorkerOptions{Timeout: time.Second, OnResult: func(_ context.Context, _ *Lease, x Result) error {
					return fmt.Errorf("cannot store %v", x)
				}})
				if name == "late" {
					<-time.After(time.Second)
				}
				synctest.Wait()
				end()
				if got := r.causes(id); got != c.want {
					t.Fatalf("the job is %q, want %q", got, c.want)
				}
				i, err := r.Get(r.ctx(), id)
				r.must(err)
				if c.due != 0 && i.Due.Sub(begun) != c.due {
					t.Fatalf("due after %v, want %v", i.Due.Sub(begun), c.due)
				}
			})
		})
	}
}

// TestHeartbeat: a job may take longer than its lease.
func TestHeartbeat(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		results := make(chan string, 1)
		end := r.employ(func(ctx context.Context, l *Lease) (Result, error) {
			select {
			case <-time.After(10 * time.Minute):
			case <-ctx.Done():
			}
			return "done " + string(l.Event.Data), ctx.Err()
		}, WorkerOptions{OnResult: func(_ context.Context, _ *Lease, x Result) error {
			results <- x.(string)
			return nil
		}})
		r.enqueue(text("a"))
		if got := <-results; got != "done a" {
			t.Fatal(got)
		}
		end()
		if s := r.stats(); s.Done != 1 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestLeaseLost: who has lost the lease is told, and settles nothing.
func TestLeaseLost(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		told := make(chan time.Duration, 1)
		begun := time.Now()
		end := r.employ(func(ctx context.Context, _ *Lease) (Result, error) {
			<-ctx.Done()
			told <- time.Since(begun)
			return nil, nil
		}, WorkerOptions{})
		id := r.enqueue(text("a"))[0]
		synctest.Wait()
		_, err := r.Cancel(r.ctx(), id)
		r.must(err)
		if d := <-told; d != 10*time.Second {
			t.Fatalf("told after %v, want the first heartbeat", d)
		}
		end()
		if s := r.stats(); s.Done != 0 || s.Leased != 0 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestGracefulStop: jobs under way may go on for a while; what is not done then is
// ready for another worker at once.
func TestGracefulStop(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		ids := r.enqueue(text("2s"), text("1h"), text("1s"))
		end := r.employ(func(ctx context.Context, l *Lease) (Result, error) {
			d, err := time.ParseDuration(string(l.Event.Data))
			r.must(err)
			select {
			case <-time.After(d):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, WorkerOptions{Concurrency: 2, Grace: 5 * time.Second})
		synctest.Wait()
		begun := time.Now()
		end()
		if d := time.Since(begun); d != 5*time.Second {
			t.Fatalf("the worker stopped after %v", d)
		}
		if s := r.stats(); s.Done != 1 || s.Ready != 2 {
			t.Fatalf("stats %+v", s)
		}
		if got := r.causes(ids[1]); got != "ready "+errStopped.Error()+"." {
			t.Fatal(got)
		}
		if got := r.causes(ids[2]); got != "ready" { // never begun
			t.Fatal(got)
		}
	})
}

func TestMiddleware(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		said := make(chan string, 10)
		around := func(name string) Middleware {
			return func(next Handler) Handler {
				return func(ctx context.Context, l *Lease) (Result, error) {
					said <- name
					defer func() { said <- "/" + name }()
					return next(ctx, l)
				}
			}
		}
		end := r.employ(func(context.Context, *Lease) (Result, error) {
			said <- "job"
			return nil, nil
		}, WorkerOptions{Use: []Middleware{around("outer"), around("inner")}})
		r.enqueue(text("a"))
		var got []string
		for range 5 {
			got = append(got, <-said)
		}
		end()
		if s := strings.Join(got, " "); s != "outer inner job /inner /outer" {
			t.Fatal(s)
		}
	})
}

// source is one that fails.
type source struct {
	errs  []error
	calls int
}

func (s *source) Lease(context.Context, LeaseRequest) ([]Lease, error) {
	err := s.errs[min(s.calls, len(s.errs)-1)]
	s.calls++
	return nil, err
}

func (s *source) Settle(context.Context, []Settlement) ([]error, error) { return nil, nil }

func TestWorkerOfABadSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away, forbidden := &parley.Error{Code: parley.Unavailable}, &parley.Error{Code: parley.Forbidden}
		s := &source{errs: []error{away, away, away, forbidden}}
		w, err := NewWorker(s, nil, WorkerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := w.Run(t.Context()); !errors.Is(err, forbidden) {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != 350*time.Millisecond {
			t.Fatalf("it paused for %v", d)
		}
		if _, err := NewWorker(s, nil, WorkerOptions{Wait: time.Hour}); parley.CodeOf(err) != parley.Invalid {
			t.Fatal(err)
		}
	})
}
