package main

import (
	"context"
	"fmt"
	"io"

	"github.com/parleyhq/parley/pattern/pipe"
)

// lanes compares two lanes without order with two that keep it.
func lanes(events, batch int) []side {
	in := func(order pipe.Order) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { return events, overLanes(ctx, order, events, batch) }
	}
	return []side{{"no order", in(pipe.OrderNone)}, {"no order, again", in(pipe.OrderNone)}, {"total order", in(pipe.OrderTotal)}}
}

// parts is a source of numbers in batches of one size.
type parts struct {
	at, n int
	buf   []int
}

func (s *parts) Next(context.Context) ([]int, error) {
	for i := range s.buf {
		s.buf[i] = s.at + i
	}
	n := min(len(s.buf), s.n-s.at)
	if s.at += n; s.at == s.n {
		return s.buf[:n], io.EOF
	}
	return s.buf[:n], nil
}

// Ack has the pipe keep account of what is done.
func (s *parts) Ack(context.Context, int64) error { return nil }

// overLanes hashes numbers for some time, as a stage does that is worth a lane.
func overLanes(ctx context.Context, order pipe.Order, events, batch int) error {
	f := pipe.Parallel(pipe.From(pipe.Source[int](&parts{n: events, buf: make([]int, batch)})), pipe.Lanes[int]{N: 2, Order: order}, func(lane pipe.Flow[int]) pipe.Flow[int] {
		return pipe.Map(lane, func(_ context.Context, n int) (int, error) {
			h := uint64(n) // about 200 ns of work, which cannot be left out
			for range 200 {
				h = h*6364136223846793005 + 1442695040888963407
			}
			return n | int(h&1), nil
		})
	})
	last, seen, ordered := -1, 0, true
	sink := pipe.SinkFunc[int](func(_ context.Context, part []int) error {
		for _, n := range part {
			ordered, last = ordered && n >= last-1, n // n may be one more than it was
			seen++
		}
		return nil
	})
	if err := pipe.Run(ctx, pipe.Options{}, pipe.To(f, sink)); err != nil {
		return err
	}
	if seen != events || order == pipe.OrderTotal && !ordered {
		return fmt.Errorf("%d came, in order: %v", seen, ordered)
	}
	return nil
}
