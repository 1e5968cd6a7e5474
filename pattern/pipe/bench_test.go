package pipe

import (
	"context"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
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

func BenchmarkWindow(b *testing.B) {
	now := 0
	o := WindowOptions[int, int]{Windows: Windows{Size: time.Second}, Add: func(into *int, n int) { *into += n }}
	o.Time = func(int) time.Time { now++; return epoch.Add(time.Duration(now) * time.Millisecond) }
	benchmark(b, func(f Flow[int]) Flow[int] {
		return Map(Window(f, o), func(_ context.Context, p Pane[int]) (int, error) { return p.Value, nil })
	})
}

func BenchmarkWindowSlidingByKey(b *testing.B) {
	now, keys := 0, []string{"a", "b", "c", "d"}
	o := WindowOptions[int, int]{Windows: Windows{Size: time.Minute, Slide: 30 * time.Second}, Add: func(into *int, n int) { *into += n }}
	o.Key = func(int) string { return keys[now&3] }
	o.Time = func(int) time.Time { now++; return epoch.Add(time.Duration(now) * time.Millisecond) }
	benchmark(b, func(f Flow[int]) Flow[int] {
		return Map(Window(f, o), func(_ context.Context, p Pane[int]) (int, error) { return p.Value, nil })
	})
}

// Keys are all new, and there are as many as are remembered at most: each event
// also makes one forgotten.
func BenchmarkDedupe(b *testing.B)      { benchmarkDedupe(b, 1<<12) }
func BenchmarkDedupe65536(b *testing.B) { benchmarkDedupe(b, 1<<16) }

func benchmarkDedupe(b *testing.B, most int) {
	keys := make([]string, 4*most)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	n := 0
	o := DedupeOptions[int]{Most: most, Key: func(int) string { n++; return keys[n&(len(keys)-1)] }}
	benchmark(b, func(f Flow[int]) Flow[int] { return Dedupe(f, o) })
}

func BenchmarkThrottle(b *testing.B) {
	l, err := throttle.New(throttle.NewGCRA(1_000_000_000, time.Second, 1_000_000_000), throttle.Options{})
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, func(f Flow[int]) Flow[int] { return Throttle(f, l, nil) })
}

// A stage allocates nothing for an event.
func TestStagesAllocateNothing(t *testing.T) {
	const events = 1 << 17
	n, names := 0, make([]string, 32)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	per := testing.AllocsPerRun(1, func() {
		src := &repeated{make([]int, 256), events}
		sink := SinkFunc[int](func(context.Context, []int) error { return nil })
		kept := Dedupe(Filter(Map(From(src), plus), every), DedupeOptions[int]{Most: 16, Key: func(int) string { n++; return names[n&31] }})
		o := WindowOptions[int, int]{Windows: Windows{Size: time.Second}, Add: func(into *int, n int) { *into += n }}
		o.Time = func(int) time.Time { n++; return epoch.Add(time.Duration(n) * time.Millisecond) }
		summed := Map(Window(kept, o), func(_ context.Context, p Pane[int]) (int, error) { return p.Value, nil })
		f := Parallel(Merge(Limit[int]{}, summed), Lanes[int]{N: 2, Order: OrderTotal}, func(f Flow[int]) Flow[int] { return Map(f, plus) })
		if err := Run(t.Context(), Options{}, To(f, sink)); err != nil {
			t.Fatal(err)
		}
	})
	if per > events/100 {
		t.Errorf("%.0f allocations for %d events", per, events)
	}
}
