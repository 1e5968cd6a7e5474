package run

import (
	"context"
	"errors"
	"fmt"
)

// Group is a list of functions that run together. Its zero value is empty and
// ready. It is built by one goroutine and run once.
type Group struct {
	parts []part
}

type part struct {
	name string
	run  func(ctx context.Context) error
}

// Add appends a function that blocks until its context ends. The name is for
// the error.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.parts = append(g.parts, part{name, run})
}

// running is a part that was started.
type running struct {
	part
	stop context.CancelFunc
	done chan struct{} // closed when run has returned
	err  error         // valid once done is closed
}

// Run starts the functions in the order they were added and waits until ctx ends
// or one of them fails; then it ends their contexts one by one, the last added
// first, waiting for each to return. A function may also return nil early: it is
// done, and the others go on.
//
// The functions do not see ctx end, only their own turn; its values they see.
// Run returns nil when ctx ended and nothing failed, else the first failure and
// those that stopping brought, each with its name. A function that returns the
// error of its ended context has not failed.
func (g *Group) Run(ctx context.Context) error {
	failed := make(chan *running, len(g.parts)) // room for all: nobody waits to report
	all := make([]*running, 0, len(g.parts))
	for _, p := range g.parts {
		all = append(all, start(context.WithoutCancel(ctx), p, failed))
	}
	var errs []error
	var first *running
	select {
	case <-ctx.Done():
	case first = <-failed:
		errs = append(errs, named(first))
	case <-allDone(all):
	}
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		r.stop()
		<-r.done
		if r != first && r.err != nil {
			errs = append(errs, named(r))
		}
	}
	return errors.Join(errs...)
}

func start(ctx context.Context, p part, failed chan<- *running) *running {
	r := &running{part: p, done: make(chan struct{})}
	ctx, r.stop = context.WithCancel(ctx)
	go func() {
		defer close(r.done)
		r.err = p.run(ctx)
		if ctx.Err() != nil && errors.Is(r.err, context.Canceled) {
			r.err = nil
		}
		if r.err != nil {
			failed <- r
		}
	}()
	return r
}

// allDone gives a channel that is closed when every part has returned; its
// goroutine ends with them.
func allDone(all []*running) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, r := range all {
			<-r.done
		}
	}()
	return done
}

func named(r *running) error { return fmt.Errorf("%s: %w", r.name, r.err) }
