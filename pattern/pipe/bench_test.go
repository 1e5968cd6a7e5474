package pipe

import (
	"context"
	"io"
	"testing"
)

// repeated gives the same slice n times.
type repeated struct {
	part []int
	left int
}

func (s *repeated) Next(context.Context) ([]int, error) {
	if s.left <= 0 {
		return nil, io.EOF
	}
	s.left -= len(s.part)
	return s.part, nil
}

func (s *repeated) Ack(context.Context, int64) error { return nil }

func benchmark(b *testing.B, build func(Flow[int]) Flow[int]) {
	src := &repeated{make([]int, 256), b.N}
	sink := SinkFunc[int](func(context.Context, []int) error { return nil })
	b.ReportAllocs()
	if err := Run(b.Context(), Options{}, To(build(From(src)), sink)); err != nil {
		b.Fatal(err)
	}
}

func plus(_ context.Context, n int) (int, error)   { return n + 1, nil }
func every(_ context.Context, n int) (bool, error) { return n >= 0, nil }

// The cost of one stage is the difference to the flow without it.
func BenchmarkSourceToSink(b *testing.B) { benchmark(b, func(f Flow[int]) Flow[int] { return f }) }

func BenchmarkMap(b *testing.B) { benchmark(b, func(f Flow[int]) Flow[int] { return Map(f, plus) }) }

func BenchmarkFilter(b *testing.B) {
	benchmark(b, func(f Flow[int]) Flow[int] { return Filter(f, every) })
}

func BenchmarkTenMaps(b *testing.B) {
	benchmark(b, func(f Flow[int]) Flow[int] {
		for range 10 {
			f = Map(f, plus)
		}
		return f
	})
}

func BenchmarkQueue(b *testing.B) {
	benchmark(b, func(f Flow[int]) Flow[int] { return Merge(Limit[int]{}, f) })
}

func BenchmarkBatch(b *testing.B) {
	benchmark(b, func(f Flow[int]) Flow[int] {
		return FlatMap(Batch(f, BatchOptions[int]{Count: 500}), func(_ context.Context, part []int, to []int) ([]int, error) { return append(to, part...), nil })
	})
}

func BenchmarkParallelTotal(b *testing.B) {
	benchmark(b, func(f Flow[int]) Flow[int] {
		return Parallel(f, Lanes[int]{N: 2, Order: OrderTotal}, func(f Flow[int]) Flow[int] { return Map(f, plus) })
	})
}

// A stage allocates nothing for an event.
func TestStagesAllocateNothing(t *testing.T) {
	const events = 1 << 17
	per := testing.AllocsPerRun(1, func() {
		src := &repeated{make([]int, 256), events}
		sink := SinkFunc[int](func(context.Context, []int) error { return nil })
		f := Parallel(Merge(Limit[int]{}, Filter(Map(From(src), plus), every)), Lanes[int]{N: 2, Order: OrderTotal}, func(f Flow[int]) Flow[int] { return Map(f, plus) })
		if err := Run(t.Context(), Options{}, To(f, sink)); err != nil {
			t.Fatal(err)
		}
	})
	if per > events/100 {
		t.Errorf("%.0f allocations for %d events", per, events)
	}
}
