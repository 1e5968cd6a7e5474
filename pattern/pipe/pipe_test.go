package pipe

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// counted is a source of 0 … n-1 in slices of size, which remembers what it was
// told.
type counted struct {
	n, size, at int
	mu          sync.Mutex
	acks        []int64
	closed      bool
}

func (s *counted) Next(context.Context) ([]int, error) {
	if s.at >= s.n {
		return nil, io.EOF
	}
	var part []int
	for range min(s.size, s.n-s.at) {
		part = append(part, s.at)
		s.at++
	}
	return part, nil
}

func (s *counted) Ack(_ context.Context, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, n)
	return nil
}

func (s *counted) Close() error { s.closed = true; return nil }

func (s *counted) acked() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.IsSorted(s.acks) {
		return -1
	}
	if len(s.acks) == 0 {
		return 0
	}
	return s.acks[len(s.acks)-1]
}

// into is a sink that keeps all.
type into[T any] struct {
	mu  sync.Mutex
	got []T
}

func (s *into[T]) Put(_ context.Context, events []T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, events...)
	return nil
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func even(_ context.Context, n int) (bool, error) { return n%2 == 0, nil }

func TestStages(t *testing.T) {
	src, out := &counted{n: 100, size: 7}, &into[[]int]{}
	f := FlatMap(Filter(From(src), even), func(_ context.Context, n int, to []int) ([]int, error) { return append(to, n, n), nil })
	err := Run(t.Context(), Options{}, To(Batch(Map(f, double), BatchOptions[int]{Count: 8}), out))
	var want []int
	for n := 0; n < 100; n += 2 {
		want = append(want, 2*n, 2*n)
	}
	if err != nil || !slices.Equal(slices.Concat(out.got...), want) || len(out.got[0]) != 8 || len(out.got[12]) != 4 {
		t.Errorf("%v, %v", err, out.got)
	}
	if src.acked() != 100 || !src.closed {
		t.Errorf("acknowledged %d, closed %v", src.acked(), src.closed)
	}
}

func TestParallelOrders(t *testing.T) {
	for _, order := range []Order{OrderNone, OrderKey, OrderTotal} {
		src, out := &counted{n: 5000, size: 3}, &into[int]{}
		key := func(n int) string { return string(rune('a' + n%10)) }
		f := Parallel(From(src), Lanes[int]{N: 4, Order: order, Key: key}, func(f Flow[int]) Flow[int] { return Map(f, double) })
		if err := Run(t.Context(), Options{}, To(f, out)); err != nil {
			t.Fatal(err)
		}
		byKey := map[int][]int{}
		for _, n := range out.got {
			byKey[n/2%10] = append(byKey[n/2%10], n)
		}
		for k, got := range byKey {
			if order == OrderKey && !slices.IsSorted(got) {
				t.Errorf("key %d is out of order", k)
			}
		}
		if order == OrderTotal && !slices.IsSorted(out.got) {
			t.Error("out of order")
		}
		slices.Sort(out.got)
		for i := range out.got {
			out.got[i] /= 2
		}
		if !slices.Equal(out.got, upTo(5000)) || src.acked() != 5000 {
			t.Errorf("order %d: %d events, %d acknowledged", order, len(out.got), src.acked())
		}
	}
}

func TestFan(t *testing.T) {
	src := &counted{n: 1000, size: 10}
	two := Tee(From(src), 2)
	three := Split(two[0], 3, func(_ context.Context, n int) (int, error) { return n % 3, nil })
	all, third, first := &into[int]{}, &into[int]{}, &into[int]{}
	err := Run(t.Context(), Options{}, To(Merge(Limit[int]{}, three[0], three[1], two[1]), all), To(three[2], third), To(Take(From(Of(upTo(99)...)), 5), first))
	slices.Sort(all.got)
	if err != nil || len(all.got) != 1667 || len(third.got) != 333 || third.got[1] != 5 || src.acked() != 1000 || len(first.got) != 5 {
		t.Errorf("%v: %d, %d, acknowledged %d", err, len(all.got), len(third.got), src.acked())
	}
}

// A source is told of what went through a sink, never of what still waits.
func TestAckWaitsForTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{n: 10, size: 1}
		gate := make(chan struct{})
		sink := SinkFunc[[]int](func(context.Context, [][]int) error { <-gate; return nil })
		f := Batch(Parallel(From(src), Lanes[int]{N: 2}, func(f Flow[int]) Flow[int] { return Filter(f, even) }), BatchOptions[int]{Count: 3})
		done := make(chan error, 1)
		go func() { done <- Run(t.Context(), Options{}, To(f, sink)) }()
		synctest.Wait()
		if n := src.acked(); n != 0 { // 0, the first, waits in a batch
			t.Errorf("%d are acknowledged before the sink took anything", n)
		}
		gate <- struct{}{}
		close(gate)
		if err := <-done; err != nil || src.acked() != 10 {
			t.Errorf("%v, %d", err, src.acked())
		}
	})
}

var errBad = errors.New("bad luck")

func TestErrorsAreRouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, out := &counted{n: 20, size: 20}, &into[int]{}
		tries := map[int]int{}
		work := func(_ context.Context, n int) (int, error) {
			tries[n]++
			switch {
			case n == 3 && tries[n] < 3, n == 7:
				return 0, errBad
			case n == 11:
				return 0, Permanent(errBad)
			}
			return n, nil
		}
		var dead []Dead
		o := Options{Retry: Retry{Attempts: 3, Base: time.Second}, Dead: func(_ context.Context, d Dead) error { dead = append(dead, d); return nil }}
		at := time.Now()
		err := Run(t.Context(), o, To(Map(From(src), work).Named("enrich"), out))
		if err != nil || len(out.got) != 18 || src.acked() != 20 || time.Since(at) != 6*time.Second {
			t.Errorf("%v: %v after %v, acknowledged %d", err, out.got, time.Since(at), src.acked())
		}
		if len(dead) != 2 || dead[0] != (Dead{"enrich", 7, 3, errBad}) || dead[1] != (Dead{"enrich", 11, 1, errBad}) {
			t.Errorf("dead: %+v", dead)
		}
	})
}

// Without a place for dead letters the first failure ends the run, and what failed
// is not acknowledged.
func TestFailureEndsTheRun(t *testing.T) {
	src, out := &counted{n: 1000, size: 10}, &into[int]{}
	f := Map(From(src), func(_ context.Context, n int) (int, error) {
		if n == 55 {
			return 0, errBad
		}
		return n, nil
	})
	err := Run(t.Context(), Options{}, To(f, out))
	if !errors.Is(err, errBad) || parley.CodeOf(err) != parley.Internal || src.acked() != 50 || len(out.got) != 50 {
		t.Errorf("%v: %d events, acknowledged %d", err, len(out.got), src.acked())
	}
	sink := SinkFunc[int](func(context.Context, []int) error { return errBad })
	err = Run(t.Context(), Options{Dead: func(context.Context, Dead) error { return io.ErrShortWrite }}, To(From(&counted{n: 3, size: 1}), sink))
	if !errors.Is(err, errBad) || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("gives %v", err)
	}
}

// endless gives events for ever.
type endless struct{ at atomic.Int64 }

func (s *endless) Next(ctx context.Context) ([]int, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return []int{int(s.at.Add(1))}, nil
}

// Everything that runs is gone when Run returns, whichever stage waits for what:
// a bubble does not end before its goroutines do.
func TestCancelLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &endless{}
		ctx, cancel := context.WithCancelCause(t.Context())
		stuck := SinkFunc[int](func(ctx context.Context, _ []int) error { <-ctx.Done(); return ctx.Err() })
		f := From(src)
		f = Parallel(f, Lanes[int]{N: 3, Order: OrderTotal}, func(f Flow[int]) Flow[int] { return Map(f, double) })
		f = FlatMap(Batch(f, BatchOptions[int]{Count: 2, Every: time.Second}), func(_ context.Context, b []int, to []int) ([]int, error) { return append(to, b...), nil })
		f = Through(f, Limit[int]{Events: 4}, func(ctx context.Context, in *Inlet[int], emit Emit[int]) error {
			for {
				v, err := in.Next(ctx)
				if err != nil {
					return err
				}
				if err := emit(v); err != nil {
					return err
				}
			}
		})
		two := Tee(f, 2)
		done := make(chan error, 1)
		go func() { done <- Run(ctx, Options{}, To(Merge(Limit[int]{Events: 4}, two...), stuck)) }()
		synctest.Wait()
		if n := src.at.Load(); n > 200 { // what the queues and lanes have room for
			t.Errorf("%d events were taken while the sink took none", n)
		}
		cancel(errBad)
		if err := <-done; !errors.Is(err, errBad) {
			t.Errorf("gives %v", err)
		}
	})
}

func TestTakeStopsAnEndlessSource(t *testing.T) {
	for _, lanes := range []Order{OrderNone, OrderTotal} {
		out := &into[int]{}
		f := Parallel(From(&endless{}), Lanes[int]{N: 3, Order: lanes}, func(f Flow[int]) Flow[int] { return Map(f, double) })
		if err := Run(t.Context(), Options{}, To(Take(f, 100), out)); err != nil || len(out.got) != 100 {
			t.Errorf("%v, %d events", err, len(out.got))
		}
	}
}

func TestLimitCountsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &endless{}
		ctx, cancel := context.WithCancel(t.Context())
		stuck := SinkFunc[int](func(ctx context.Context, _ []int) error { <-ctx.Done(); return ctx.Err() })
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, Options{}, To(Merge(Limit[int]{Bytes: 100, Size: func(int) int { return 10 }}, From(src)), stuck))
		}()
		synctest.Wait()
		if n := src.at.Load(); n != 11 { // ten have room, and one waits for it
			t.Errorf("%d events were taken", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("gives %v", err)
		}
	})
}

func TestBatchByTimeAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(chan int)
		src := sourceFunc(func(ctx context.Context) ([]int, error) {
			select {
			case n, ok := <-in:
				if !ok {
					return nil, io.EOF
				}
				return []int{n}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		out := &into[[]int]{}
		done := make(chan error, 1)
		o := BatchOptions[int]{Count: 100, Bytes: 10, Every: time.Second, Limit: Limit[int]{Size: func(n int) int { return n }}}
		go func() { done <- Run(t.Context(), Options{}, To(Batch(From[int](src), o), out)) }()
		in <- 1
		in <- 2
		<-time.After(1500 * time.Millisecond) // the clock of the bubble
		in <- 4
		in <- 5
		in <- 6
		in <- 20
		close(in)
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := [][]int{{1, 2}, {4, 5}, {6}, {20}}
		if !slices.EqualFunc(out.got, want, slices.Equal[[]int]) {
			t.Errorf("batches %v, want %v", out.got, want)
		}
	})
}

type sourceFunc func(context.Context) ([]int, error)

func (f sourceFunc) Next(ctx context.Context) ([]int, error) { return f(ctx) }

func TestWrongFlowsAreRefused(t *testing.T) {
	src := From(Of(1, 2, 3))
	sink := &into[int]{}
	two := Tee(src, 2)
	for name, end := range map[string]End{
		"branch": To(two[0], sink),
		"key":    To(Parallel(src, Lanes[int]{Order: OrderKey}, func(f Flow[int]) Flow[int] { return f }), sink),
		"body":   To(Parallel(src, Lanes[int]{}, func(f Flow[int]) Flow[int] { return Merge(Limit[int]{}, f) }), sink),
		"merge":  To(Merge[int](Limit[int]{}), sink),
		"source": To(From[int](nil), sink),
		"empty":  {},
		"sink":   To[int](src, nil),
		"size":   To(Batch(src, BatchOptions[int]{Bytes: 5}), SinkFunc[[]int](func(context.Context, [][]int) error { return nil })),
	} {
		if err := Run(t.Context(), Options{}, end); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%s: gives %v", name, err)
		}
	}
}
