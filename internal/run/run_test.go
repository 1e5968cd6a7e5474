package run_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/internal/run"
)

// journal notes what happens, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) is(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		t.Errorf("what happened: %q, want %q", j.lines, want)
	}
}

// slow stops one second after it is told to.
func (j *journal) slow(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		timer := time.NewTimer(time.Second)
		<-timer.C
		j.note(name + " stopped")
		return ctx.Err()
	}
}

func TestStopsInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var g run.Group
		for _, name := range []string{"log", "hub", "door"} {
			g.Add(name, j.slow(name))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := g.Run(ctx); err != nil {
			t.Errorf("an ordinary stop is an error: %v", err)
		}
		j.is(t, "door stopped", "hub stopped", "log stopped")
		if took := time.Since(began); took != time.Minute+3*time.Second {
			t.Errorf("took %v: the parts did not stop one after the other", took)
		}
	})
}

func TestFirstErrorStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var g run.Group
		broken := errors.New("disk on fire")
		g.Add("log", j.slow("log"))
		g.Add("hub", func(ctx context.Context) error {
			time.AfterFunc(time.Second, func() { j.note("hub fails") })
			timer := time.NewTimer(2 * time.Second)
			<-timer.C
			return broken
		})
		g.Add("door", j.slow("door"))
		err := g.Run(t.Context())
		if !errors.Is(err, broken) || err.Error() != "hub: disk on fire" {
			t.Errorf("error is %v", err)
		}
		j.is(t, "hub fails", "door stopped", "log stopped")
	})
}

// What goes wrong while stopping is told too, after what began it.
func TestErrorsWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := errors.New("first"), errors.New("second")
		var g run.Group
		g.Add("log", func(ctx context.Context) error { <-ctx.Done(); return second })
		g.Add("hub", func(context.Context) error { return first })
		err := g.Run(t.Context())
		if err == nil || err.Error() != "hub: first\nlog: second" {
			t.Errorf("error is %v", err)
		}
	})
}

// A part that is done early does not end the others; when all are done, so is
// the group.
func TestEarlyReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var g run.Group
		g.Add("migration", func(context.Context) error { j.note("migrated"); return nil })
		g.Add("work", func(context.Context) error {
			timer := time.NewTimer(time.Hour)
			<-timer.C
			j.note("worked")
			return nil
		})
		if err := g.Run(t.Context()); err != nil {
			t.Error(err)
		}
		j.is(t, "migrated", "worked")
	})
}

// A part that gives up by a context of its own has failed.
func TestForeignCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g run.Group
		g.Add("hub", func(context.Context) error { return context.Canceled })
		if err := g.Run(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		cancel()
		var g run.Group
		g.Add("part", func(ctx context.Context) error {
			if ctx.Value(key{}) != "value" {
				t.Error("the context lost its values")
			}
			return nil
		})
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var none run.Group
	if err := none.Run(t.Context()); err != nil {
		t.Errorf("the empty group: %v", err)
	}
}
