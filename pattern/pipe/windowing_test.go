package pipe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

func at(n int) time.Time { return epoch.Add(seconds(n)) }

// byTens sums numbers in windows of ten seconds, each number at its second.
func byTens(late func(context.Context, int) error) WindowOptions[int, int] {
	return WindowOptions[int, int]{Windows: Windows{Size: seconds(10)}, Time: at, Add: func(into *int, n int) { *into += n }, Late: late}
}

// What a window is made of is done when the window is, and not before.
func TestWindowAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{n: 25, size: 3}
		var told []int64
		sink := SinkFunc[Pane[int]](func(_ context.Context, got []Pane[int]) error {
			synctest.Wait()
			told = append(told, src.acked())
			return nil
		})
		if err := Run(t.Context(), Options{}, To(Window(From(src), byTens(nil)), sink)); err != nil {
			t.Fatal(err)
		}
		// The window to 10 closes with event 10, of the chunk 9–11: events 0 to 8 are done
		// once it is, 9 only when its chunk is.
		if want := []int64{0, 9, 18}; !slices.Equal(told, want) || src.acked() != 25 {
			t.Errorf("told %v, and at the end %d", told, src.acked())
		}
	})
}

func TestWindowLate(t *testing.T) {
	order := Of(1, 12, 3, 25, 14)
	var late []int
	sink := &into[Pane[int]]{}
	err := Run(t.Context(), Options{}, To(Window(From(order), byTens(func(_ context.Context, n int) error { late = append(late, n); return nil })), sink))
	if err != nil || !slices.Equal(late, []int{3, 14}) || len(sink.got) != 3 || sink.got[1].Value != 12 || sink.got[1].Events != 1 {
		t.Errorf("%v, late %v, got %+v", err, late, sink.got)
	}
	var dead []Dead
	opt := Options{Dead: func(_ context.Context, d Dead) error { dead = append(dead, d); return nil }}
	if err := Run(t.Context(), opt, To(Window(From(Of(1, 12, 3)), byTens(nil)), sink)); err != nil || len(dead) != 1 || dead[0].Event != 3 {
		t.Errorf("%v, dead %+v", err, dead)
	}
	if err := Run(t.Context(), Options{}, To(Window(From(Of(1, 12, 3)), byTens(nil)), sink)); err == nil {
		t.Error("a late event that nobody takes goes without a word")
	}
}

// Sessions that an event joins are done together.
func TestSessionsAcknowledge(t *testing.T) {
	src := &counted{n: 6, size: 1}
	when := []int{0, 20, 8, 14, 50, 51} // 14 joins 8 … 20
	o := WindowOptions[int, []int]{
		Windows: Windows{Gap: seconds(7), Late: time.Minute}, Time: func(n int) time.Time { return at(when[n]) },
		Add: func(into *[]int, n int) { *into = append(*into, n) }, Merge: func(into *[]int, more []int) { *into = append(*into, more...) },
	}
	sink := &into[Pane[[]int]]{}
	if err := Run(t.Context(), Options{}, To(Window(From(src), o), sink)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sink.got); len(sink.got) != 3 || sink.got[1].Events != 3 || src.acked() != 6 {
		t.Errorf("%s, acked %d", got, src.acked())
	}
}

func TestDedupe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{n: 10, size: 4}
		sink := &into[int]{}
		f := Dedupe(From(src), DedupeOptions[int]{Key: func(n int) string { return fmt.Sprint(n % 3) }})
		if err := Run(t.Context(), Options{}, To(f, sink)); err != nil || !slices.Equal(sink.got, []int{0, 1, 2}) || src.acked() != 10 {
			t.Errorf("%v, got %v, acked %d", err, sink.got, src.acked())
		}
		sink.got = nil
		minutes := Map(From(Of(1, 1, 1)), func(ctx context.Context, n int) (int, error) {
			<-time.After(time.Minute)
			return n, nil
		})
		one := FlatMap(Batch(Merge(Limit[int]{Events: 1}, minutes), BatchOptions[int]{Count: 1}), func(_ context.Context, all, to []int) ([]int, error) { return append(to, all...), nil })
		f = Dedupe(one, DedupeOptions[int]{Key: func(int) string { return "" }, Within: 90 * time.Second})
		if err := Run(t.Context(), Options{}, To(f, sink)); err != nil || len(sink.got) != 1 { // one slice has one time
			t.Errorf("%v, got %v", err, sink.got)
		}
	})
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := throttle.New(throttle.NewAtMost(2, time.Second, 1), throttle.Options{MaxWait: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var when []time.Duration
		sink := SinkFunc[int](func(_ context.Context, got []int) error {
			for range got {
				when = append(when, time.Since(begin))
			}
			return nil
		})
		src := &counted{n: 5, size: 5}
		if err := Run(t.Context(), Options{}, To(Throttle(From(src), l, nil), sink)); err != nil {
			t.Fatal(err)
		}
		for i, d := range when {
			if d.Round(time.Millisecond) < time.Duration(i)*500*time.Millisecond-time.Second || i > 2 && d < time.Second {
				t.Errorf("event %d passes after %v", i, d)
			}
		}
		if len(when) != 5 || src.acked() != 5 {
			t.Errorf("%v, acked %d", when, src.acked())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Run(ctx, Options{}, To(Throttle(From(&counted{n: 5, size: 5}), l, nil), sink)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A part of a flow treats its errors its own way; the rest as the run says.
func TestCatch(t *testing.T) {
	bad := errors.New("bad")
	fails := func(at int) func(context.Context, int) (int, error) {
		return func(_ context.Context, n int) (int, error) {
			if n == at {
				return 0, bad
			}
			return n, nil
		}
	}
	var inner, outer []string
	keep := func(to *[]string) func(context.Context, Dead) error {
		return func(_ context.Context, d Dead) error {
			*to = append(*to, fmt.Sprintf("%s %v %d", d.Stage, d.Event, d.Attempts))
			return nil
		}
	}
	f := Map(From(Source[int](&counted{n: 5, size: 2})), fails(0))
	f = Catch(f, Options{Dead: keep(&inner), Retry: Retry{Attempts: 2, Base: 1}}, func(f Flow[int]) Flow[int] {
		f = Map(f, fails(1)).Named("one")
		return Catch(f, Options{Retry: Retry{Attempts: 3, Base: 1}}, func(f Flow[int]) Flow[int] { return Map(f, fails(2)) })
	})
	f = Map(f, fails(3)).Named("last")
	sink := &into[int]{}
	if err := Run(t.Context(), Options{Dead: keep(&outer)}, To(f, sink)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(inner, []string{"one 1 2", "4 (map) 2 3"}) || !slices.Equal(outer, []string{"2 (map) 0 1", "last 3 1"}) || !slices.Equal(sink.got, []int{4}) {
		t.Errorf("inner %q, outer %q, got %v", inner, outer, sink.got)
	}
}

// A run that is cancelled in the midst of everything leaves no goroutine behind: the
// bubble would not end, and outside of one they would be counted.
func TestCancelInTheMidst(t *testing.T) {
	before := runtime.NumGoroutine()
	l, err := throttle.New(throttle.NewAtMost(1, time.Hour, 1), throttle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		endless := func(ctx context.Context, n int) (int, error) { return n, nil }
		a := Parallel(Map(From(Source[int](&counted{n: 1 << 30, size: 7})), endless), Lanes[int]{N: 3, Order: OrderTotal}, func(f Flow[int]) Flow[int] { return Map(f, endless) })
		b := FlatMap(Batch(From(Source[int](&counted{n: 1 << 30, size: 3})), BatchOptions[int]{Count: 9, Every: time.Millisecond}), func(_ context.Context, all, to []int) ([]int, error) { return append(to, all...), nil })
		two := Tee(Merge(Limit[int]{}, a, b), 2)
		got := 0
		first := SinkFunc[int](func(context.Context, []int) error {
			if got++; got == 50 {
				cancel()
			}
			return nil
		})
		slow := Throttle(Merge(Limit[int]{Events: 1 << 20}, two[1]), l, nil)
		err := Run(ctx, Options{}, To(two[0], first), To(slow, SinkFunc[int](func(context.Context, []int) error { return nil })))
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
	}
	for range 1000 { // those that have returned take a moment to be gone
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), before)
}
