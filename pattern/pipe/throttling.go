package pipe

import (
	"context"
	"errors"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// Throttle lets events pass as fast as a limiter allows, each costing one unit of
// its key (nil = one key, ""). Meanwhile what is before it waits. Several flows may
// share a limiter, whose units they then share.
func Throttle[T any](f Flow[T], limiter *throttle.Limiter, key func(T) string) Flow[T] {
	l := f.last.next("throttle")
	return Flow[T]{last: l, connect: func(r *run, down port[T]) error {
		if limiter == nil {
			return invalid(l, "it needs a limiter")
		}
		return f.into(r, l, &throttling[T]{label: l, limiter: limiter, key: key, down: down})
	}}
}

type throttling[T any] struct {
	label   *label
	limiter *throttle.Limiter
	key     func(T) string
	down    port[T]
}

// push passes what has its turn at once together, and before it waits.
func (s *throttling[T]) push(ctx context.Context, c chunk[T]) error {
	from := 0
	for i := range c.items {
		key := ""
		if s.key != nil {
			key = s.key(c.items[i])
		}
		if s.limiter.Allow(key) {
			continue
		}
		if i > from {
			if err := s.down.push(ctx, chunk[T]{c.items[from:i], c.unit}); err != nil {
				return err
			}
			from = i
		}
		if err := s.wait(ctx, key); err != nil {
			return err
		}
	}
	if from == len(c.items) {
		return nil
	}
	return s.down.push(ctx, chunk[T]{c.items[from:], c.unit})
}

// wait waits for a turn, however long the limiter's lines are.
func (s *throttling[T]) wait(ctx context.Context, key string) error {
	for {
		err := s.limiter.Wait(ctx, key, 1)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		refused, ok := errors.AsType[*throttle.Error](err)
		if !ok || refused.RetryAfter <= 0 {
			return failed(s.label, err) // waiting does not help
		}
		t := time.NewTimer(refused.RetryAfter)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

func (s *throttling[T]) end(ctx context.Context) error { return s.down.end(ctx) }
