package pipe

import (
	"context"
	"time"
)

// BatchOptions say when a batch is full. The first that is reached counts.
type BatchOptions[T any] struct {
	Count int           // events; 0 is 256
	Bytes int           // bytes by Limit.Size; 0 = not counted. One event that is larger is a batch of its own
	Every time.Duration // since the batch's first event; 0 = it waits for as long as it takes
	Limit Limit[T]      // Size for Bytes; the rest, with Every, of what waits before the batch
}

// Batch gathers events; the last batch may be smaller. Its events are done when
// the batch is. With Every it has a goroutine of its own.
func Batch[T any](f Flow[T], o BatchOptions[T]) Flow[[]T] {
	if o.Count <= 0 {
		o.Count = 256
	}
	l := f.last.next("batch")
	return Flow[[]T]{last: l, connect: func(r *run, down port[[]T]) error {
		if o.Bytes > 0 && o.Limit.Size == nil {
			return invalid(l, "Bytes needs Limit.Size")
		}
		b := &batching[T]{r: r, o: o, down: down, open: Batcher[T]{Count: o.Count, Bytes: o.Bytes, Every: o.Every}}
		if o.Every <= 0 {
			return f.into(r, l, b)
		}
		q := newQueue(r, o.Limit, 1)
		if err := f.into(r, l, q); err != nil {
			return err
		}
		return r.task(func(ctx context.Context) error { return b.timed(ctx, q) })
	}}
}

type batching[T any] struct {
	r    *run
	o    BatchOptions[T]
	down port[[]T]
	open Batcher[T]
	unit unit
	one  [1][]T
}

func (b *batching[T]) push(ctx context.Context, c chunk[T]) error {
	var now time.Time
	if b.o.Every > 0 {
		now = time.Now()
	}
	for i := range c.items {
		size := 0
		if b.o.Bytes > 0 {
			size = b.o.Limit.Size(c.items[i])
		}
		if b.open.Full(size) {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
		full := b.open.Add(now, c.items[i], size)
		if c.unit != 0 {
			if b.unit == 0 {
				b.unit = b.r.book.derive()
			}
			b.r.book.join(b.unit, c.unit)
		}
		if full {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batching[T]) flush(ctx context.Context) error {
	if len(b.open.State.Events) == 0 {
		return nil
	}
	b.one[0] = b.open.Take()
	u := b.unit
	b.unit = 0
	if err := b.down.push(ctx, chunk[[]T]{b.one[:], u}); err != nil {
		return err
	}
	b.r.book.drop(u)
	return nil
}

func (b *batching[T]) end(ctx context.Context) error {
	if err := unlessStop(b.flush(ctx)); err != nil {
		return err
	}
	return b.down.end(ctx)
}

// timed is push and end by a clock.
func (b *batching[T]) timed(ctx context.Context, q *queue[T]) error {
	clock := time.NewTimer(b.o.Every)
	clock.Stop()
	defer clock.Stop()
	stopped := false
	for {
		var err error
		select {
		case c, open := <-q.chunks:
			if !open {
				return unlessStop(b.end(ctx))
			}
			if !stopped {
				err = b.push(ctx, c.chunk)
			}
			q.done(c, err == nil && !stopped)
		case <-clock.C:
			err = b.flush(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if unlessStop(err) != nil {
			return err
		}
		if err != nil && !stopped {
			stopped = true
			close(q.gone)
		}
		if due, waits := b.open.Due(); waits {
			clock.Reset(time.Until(due))
		} else {
			clock.Stop()
		}
	}
}
