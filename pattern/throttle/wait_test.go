package throttle

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// arrivals collects who was let in and when, in a bubble's time.
type arrivals struct {
	begin time.Time
	got   chan string
}

func (a *arrivals) wait(ctx context.Context, l *Limiter, name, key, flow string, n int64) {
	go func() {
		_, err := l.AcquireFor(ctx, key, flow, n)
		var e *Error
		switch {
		case errors.As(err, &e):
			name += "!" + e.Reason.String()
		case errors.Is(err, context.Canceled):
			name += "!canceled"
		case err != nil:
			name += "!" + err.Error()
		}
		a.got <- fmt.Sprint(name, "@", time.Since(a.begin))
	}()
	synctest.Wait()
}

func (a *arrivals) take(n int) string {
	var out []string
	for range n {
		out = append(out, <-a.got)
	}
	return strings.Join(out, " ")
}

// sorted is take for arrivals of one instant, which come in no order.
func (a *arrivals) sorted(n int) string {
	var out []string
	for range n {
		out = append(out, <-a.got)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func newArrivals() *arrivals {
	return &arrivals{begin: time.Now(), got: make(chan string, 100)}
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLineIsFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewTokenBucket(1, 1), Options{})
		a := newArrivals()
		for _, name := range []string{"a", "b", "c", "d"} {
			a.wait(t.Context(), l, name, "k", "", 1)
		}
		if l.Allow("k") {
			t.Error("a call went past the line")
		}
		if d := l.AllowN("k", 1); d.RetryAfter != 4*time.Second {
			t.Errorf("retry after %s, want the end of the line at 4s", d.RetryAfter)
		}
		if !l.Allow("other") {
			t.Error("another key had to wait")
		}
		expect(t, a.take(4), "a@0s b@1s c@2s d@3s")
	})
}

func TestCancelClosesTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewLeakyQueue(0, 1, time.Second), Options{})
		a := newArrivals()
		ctx, cancel := context.WithCancel(t.Context())
		a.wait(t.Context(), l, "a", "k", "", 1)
		a.wait(ctx, l, "b", "k", "", 1)
		a.wait(t.Context(), l, "c", "k", "", 1)
		cancel()
		synctest.Wait()
		expect(t, a.take(3), "a@0s b!canceled@0s c@1s")
		// A large cost at the head leaves: the small one behind goes at once.
		l = mustNew(t, NewTokenBucket(5, 1), Options{})
		l.AllowN("k", 3)
		ctx, cancel = context.WithCancel(t.Context())
		a.begin = time.Now()
		a.wait(ctx, l, "large", "k", "", 5)
		a.wait(t.Context(), l, "small", "k", "", 1)
		cancel()
		expect(t, a.sorted(2), "large!canceled@0s small@0s")
	})
}

func TestRefusedAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewTokenBucket(1, 1), Options{MaxWait: 2 * time.Second, MaxLine: 5, Name: "door"})
		a := newArrivals()
		for _, name := range []string{"a", "b", "c"} {
			a.wait(t.Context(), l, name, "k", "", 1)
		}
		var e *Error
		err := l.Wait(t.Context(), "k", 1)
		if !errors.As(err, &e) || e.Reason != TooLate || e.RetryAfter != time.Second || e.Name != "door" {
			t.Errorf("%v: want too late by a second", err)
		}
		expect(t, a.take(3), "a@0s b@1s c@2s")
		// A deadline that comes before the turn is seen at once as well.
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if err := l.Wait(ctx, "k", 1); !errors.Is(err, TooLate) || time.Since(begin) != 0 {
			t.Errorf("%v after %s: want too late at once", err, time.Since(begin))
		}
		// An over-large cost is not told to come later.
		if err := l.Wait(t.Context(), "k", 2); !errors.Is(err, Impossible) {
			t.Errorf("%v: want impossible", err)
		}
		cancel()
		if err := l.Wait(ctx, "k", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: want the context's", err)
		}
	})
}

func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewLeakyQueue(2, 1, time.Second), Options{})
		a := newArrivals()
		for _, name := range []string{"a", "b", "c", "d"} {
			a.wait(t.Context(), l, name, "k", "", 1)
		}
		expect(t, a.take(4), "a@0s d!queue full@0s b@1s c@2s")
		l = mustNew(t, NewTokenBucket(1, 1), Options{MaxWaiting: 1, MaxKeys: 100})
		a.begin = time.Now()
		for _, key := range []string{"x", "y", "x", "y"} {
			a.wait(t.Context(), l, key, key, "", 1)
		}
		expect(t, a.take(4), "x@0s y@0s y!queue full@0s x@1s")
	})
}

// TestLongestWaitIsKept has places that never become free: time alone must
// end the wait.
func TestLongestWaitIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewConcurrency(1), Options{MaxWait: 3 * time.Second})
		p, err := l.Acquire(t.Context(), "k", 1)
		if err != nil {
			t.Fatal(err)
		}
		a := newArrivals()
		a.wait(t.Context(), l, "a", "k", "", 1)
		<-time.After(time.Second)
		a.wait(t.Context(), l, "b", "k", "", 1)
		expect(t, a.take(2), "a!too late@3s b!too late@4s")
		a.wait(t.Context(), l, "c", "k", "", 1)
		p.Release()
		p.Release() // the second does nothing
		a.wait(t.Context(), l, "d", "k", "", 1)
		expect(t, a.take(2), "c@4s d!too late@7s")
		if err := l.Wait(t.Context(), "k", 1); !errors.Is(err, ErrHeld) {
			t.Errorf("%v: want ErrHeld", err)
		}
		if s := l.Stats(); s.Waiting != 0 {
			t.Errorf("%d still in line", s.Waiting)
		}
	})
}

// TestFlowsTakeTurns has one flow with ten calls in line and another with two:
// the second does not wait for the first's ten.
func TestFlowsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewLeakyQueue(0, 1, time.Second), Options{})
		a := newArrivals()
		a.wait(t.Context(), l, "first", "up", "big", 1)
		for i := range 4 {
			a.wait(t.Context(), l, fmt.Sprint("big", i), "up", "big", 1)
		}
		for i := range 2 {
			a.wait(t.Context(), l, fmt.Sprint("small", i), "up", "small", 1)
		}
		expect(t, a.take(7), "first@0s big0@1s small0@2s big1@3s small1@4s big2@5s big3@6s")
	})
}

// TestFlowsShareByCost drives the machine itself: over any stretch in which
// two flows both wait, what they got differs by no more than two of the largest
// cost, whoever else comes and goes; and nobody is lost.
func TestFlowsShareByCost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l lines
		h := hash{1, 0}
		names := []string{"a", "b", "c", "d"}
		got := map[string]int64{}
		const largest = 5
		left := map[string]int64{}
		for _, name := range names {
			for range rapid.IntRange(5, 15).Draw(t, "calls") {
				cost := rapid.Int64Range(1, largest).Draw(t, "cost")
				l.join(h, name, cost, 0, 0)
				left[name] += cost
			}
		}
		all := l.waiting
		budget := int64(0)
		served := 0
		take := func(_ hash, cost int64) Decision {
			if budget < cost {
				return Decision{Reason: Limited, RetryAfter: 1}
			}
			budget -= cost
			served++
			return Decision{OK: true, Cost: cost}
		}
		for now := time.Duration(0); l.waiting > 0; now++ {
			heads := map[string]int64{}
			for name, f := range l.groups[h].flows {
				heads[name] = f.cost
			}
			budget += rapid.Int64Range(0, 3).Draw(t, "budget")
			l.run(now, take)
			for name, was := range heads {
				is := int64(0)
				if g := l.groups[h]; g != nil && g.flows[name] != nil {
					is = g.flows[name].cost
				}
				got[name] += was - is
			}
			if l.waiting == 0 {
				break
			}
			flows := l.groups[h].flows
			for x := range flows {
				for y := range flows {
					if diff := got[x] - got[y]; diff > 3*largest || diff < -3*largest {
						t.Fatalf("%s got %d, %s got %d", x, got[x], y, got[y])
					}
				}
			}
		}
		if served != all || len(l.groups) != 0 || len(l.due) != 0 || l.oldest != nil || l.newest != nil {
			t.Fatalf("%d of %d served; %+v left", served, all, l)
		}
	})
}

func TestReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewTokenBucket(1, 2), Options{})
		begin := time.Now()
		first, err := l.Reserve("k", 1)
		if err != nil || first.Delay() != 0 {
			t.Fatal(first, err)
		}
		<-first.Done()
		second, _ := l.Reserve("k", 1)
		third, _ := l.Reserve("k", 1)
		fourth, _ := l.Reserve("k", 1)
		if d := fourth.Delay(); d != 1500*time.Millisecond {
			t.Errorf("fourth in %s, want 1.5s", d)
		}
		third.Cancel()
		third.Cancel()
		if <-third.Done(); third.Err() == nil {
			t.Error("a cancelled reservation has no error")
		}
		if p := fourth.Permit(); p.first.limiter != nil {
			t.Error("a permit before the turn")
		}
		<-second.Done()
		second.Cancel() // gives the unit back at once: the fourth goes now
		<-fourth.Done()
		if at := time.Since(begin); at != 500*time.Millisecond || fourth.Err() != nil {
			t.Errorf("fourth at %s with %v, want 500ms", at, fourth.Err())
		}
		p := fourth.Permit()
		p.Refund()
		if !l.Allow("k") {
			t.Error("what was refunded is not there")
		}
		if _, err := l.Reserve("k", 9); !errors.Is(err, Impossible) {
			t.Errorf("%v: want impossible", err)
		}
	})
}

// TestNoGoroutineForAWaiter puts ten thousand in line.
func TestNoGoroutineForAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewTokenBucket(1, 1000), Options{MaxLine: 100_000})
		before := runtime.NumGoroutine()
		var all []*Reservation
		for range 10_000 {
			r, err := l.Reserve("k", 1)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		if n := runtime.NumGoroutine() - before; n > 1 {
			t.Errorf("%d goroutines for waiters", n)
		}
		begin := time.Now()
		for _, r := range all {
			<-r.Done()
		}
		if took := time.Since(begin); took != 9999*time.Millisecond {
			t.Errorf("ten thousand took %s, want 9.999s", took)
		}
	})
}

// TestLimitChangesUnderALine raises the limit, shuts it, and asks for more than it has.
func TestLimitChangesUnderALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, NewTokenBucket(4, 1), Options{})
		l.AllowN("k", 4)
		a := newArrivals()
		a.wait(t.Context(), l, "a", "k", "", 1)
		a.wait(t.Context(), l, "b", "k", "", 4)
		a.wait(t.Context(), l, "c", "k", "", 1)
		if err := l.SetLimit(NewTokenBucket(2, 10)); err != nil {
			t.Fatal(err)
		}
		expect(t, a.sorted(3), "a@100ms b!impossible@100ms c@200ms")
		l.AllowN("k", l.Peek("k").Remaining)
		a.wait(t.Context(), l, "d", "k", "", 2)
		if err := l.SetLimit(NewTokenBucket(0, 0)); err != nil {
			t.Fatal(err)
		}
		expect(t, a.take(1), "d!closed@200ms")
	})
}

// TestLinesEveryAlgorithm lets each algorithm's line of thirty go and holds
// what it admitted against the worst case.
func TestLinesEveryAlgorithm(t *testing.T) {
	for _, algorithm := range rates {
		synctest.Test(t, func(t *testing.T) {
			limit := Limit{Algorithm: algorithm, Quota: 3, Window: time.Second}
			l := mustNew(t, limit, Options{})
			begin := time.Now()
			var log []time.Duration
			for range 30 {
				if err := l.Wait(t.Context(), "k", 1); err != nil {
					t.Fatal(algorithm, err)
				}
				log = append(log, time.Since(begin))
			}
			for i, from := range log {
				n := int64(0)
				for _, at := range log[i:] {
					if at < from+limit.Window {
						n++
					}
				}
				if worst := limit.Worst(limit.Window); n > worst {
					t.Errorf("%s: %d in a window, worst %d", algorithm, n, worst)
				}
			}
			if last := log[29]; last > 15*time.Second {
				t.Errorf("%s: thirty took %s", algorithm, last)
			}
		})
	}
}
