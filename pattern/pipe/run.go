package pipe

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/parleyhq/parley"
)

// End is a flow with its sink.
type End struct {
	connect func(r *run) error
}

// To ends a flow in a sink.
func To[T any](f Flow[T], sink Sink[T]) End {
	l := f.last.next("sink")
	return End{func(r *run) error {
		if sink == nil || f.connect == nil {
			return invalid(l, "the flow or its sink is nil")
		}
		r.owns(sink)
		return f.connect(r, &drain[T]{r, sink, l})
	}}
}

// drain is a sink in a run.
type drain[T any] struct {
	r     *run
	sink  Sink[T]
	label *label
}

func (d *drain[T]) push(ctx context.Context, c chunk[T]) error {
	err := d.sink.Put(ctx, c.items)
	for try := 1; err != nil; try++ {
		again, e := d.label.retry(d.r).again(ctx, try, err)
		switch {
		case again:
			err = d.sink.Put(ctx, c.items)
			continue
		case errors.Is(e, Stop):
			return Stop
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		for i := range c.items {
			if e := d.r.bury(ctx, d.label, c.items[i], try, e); e != nil {
				return e
			}
		}
		return nil
	}
	return nil
}

func (d *drain[T]) end(context.Context) error { return nil }

// run is one run of a flow.
type run struct {
	opt     Options
	book    book
	tasks   []func(context.Context) error
	ackers  []func(context.Context) error
	closers []func() error
	shared  map[any]any // what several branches have in common, by the stage
	missing []func() error
	inLane  bool // a body of Parallel is being connected
}

// task adds a goroutine.
func (r *run) task(do func(context.Context) error) error {
	if r.inLane {
		return parley.BadField("flow", "a body of Parallel has a stage with a goroutine of its own", "put Parallel, Merge, Through and a timed Batch before or behind it")
	}
	r.tasks = append(r.tasks, do)
	return nil
}

// owns closes something when the run is over, if it can be closed.
func (r *run) owns(v any) {
	if c, ok := v.(interface{ Close() error }); ok {
		r.closers = append(r.closers, c.Close)
	}
}

// Run runs flows to their ends and returns when every goroutine of theirs has: nil
// when all sources ended, or were stopped by those they feed, else the first
// failure, as a *parley.Error that names the stage; the cause of ctx when that
// ended. Sources that are Ackers have then been told all that is done. Sinks,
// sources and stages that have a Close method are closed. All branches of a Tee or
// Split must end in the same Run.
func Run(ctx context.Context, o Options, ends ...End) error {
	r := &run{opt: o, shared: map[any]any{}}
	err := r.connect(ends)
	if err == nil {
		err = r.work(ctx)
	}
	errs := []error{err}
	for _, c := range r.closers {
		errs = append(errs, c())
	}
	errs = slices.DeleteFunc(errs, func(e error) bool { return e == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func (r *run) connect(ends []End) error {
	for _, e := range ends {
		if e.connect == nil {
			return parley.BadField("flow", "an End is empty", "make it with To")
		}
		if err := e.connect(r); err != nil {
			return err
		}
	}
	for _, check := range r.missing {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) work(ctx context.Context) error {
	life, cancel := context.WithCancelCause(ctx)
	telling, told := context.WithCancel(context.WithoutCancel(ctx))
	var working, ackers sync.WaitGroup
	for _, do := range r.tasks {
		working.Go(func() {
			if err := do(life); err != nil {
				cancel(err) // the first one counts
			}
		})
	}
	for _, do := range r.ackers {
		ackers.Go(func() {
			if err := do(telling); err != nil {
				cancel(parley.Errorf(parley.CodeOf(err), "acknowledging to the source: %w", err))
			}
		})
	}
	working.Wait()
	told()
	ackers.Wait()
	err := context.Cause(life)
	cancel(nil)
	return err
}
