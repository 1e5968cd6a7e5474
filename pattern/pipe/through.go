package pipe

import (
	"context"
	"io"
)

// Through is a stage that runs beside the others, in a goroutine of its own: do
// reads from the inlet and emits when it likes, and returns when both are over. An
// error of it ends the run; Stop, or returning while the inlet has more, stops the
// flow above. What it was given is done when it has returned and what it emitted is
// done.
func Through[T, U any](f Flow[T], l Limit[T], do func(ctx context.Context, in *Inlet[T], emit Emit[U]) error) Flow[U] {
	at := f.last.next("through")
	return Flow[U]{last: at, connect: func(r *run, down port[U]) error {
		q := newQueue(r, l, 1)
		if err := f.into(r, at, q); err != nil {
			return err
		}
		return r.task(func(ctx context.Context) error {
			in := &Inlet[T]{q: q, all: r.book.derive()}
			err := do(ctx, in, func(events []U) error {
				if len(events) == 0 {
					return nil
				}
				return down.push(ctx, chunk[U]{events, in.all})
			})
			in.release()
			if unlessStop(err) != nil {
				return failed(at, err)
			}
			close(q.gone)
			if err == nil {
				r.book.drop(in.all)
			}
			if err := unlessStop(down.end(ctx)); err != nil {
				return err
			}
			return q.discard(ctx)
		})
	}}
}

// discard takes what nobody wants any more until all flows have ended.
func (q *queue[T]) discard(ctx context.Context) error {
	for {
		select {
		case c, open := <-q.chunks:
			if !open {
				return nil
			}
			q.done(c, false)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Inlet is the input of a stage that has a goroutine of its own.
type Inlet[T any] struct {
	q    *queue[T]
	last queued[T]
	has  bool
	all  unit
}

// Next gives the next events, valid until it is called again, and io.EOF after the
// last.
func (in *Inlet[T]) Next(ctx context.Context) ([]T, error) {
	in.release()
	select {
	case c, open := <-in.q.chunks:
		if !open {
			return nil, io.EOF
		}
		if c.unit != 0 {
			in.q.r.book.join(in.all, c.unit)
		}
		in.last, in.has = c, true
		return c.items, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (in *Inlet[T]) release() {
	if in.has {
		in.q.done(in.last, true)
		in.has = false
	}
}
