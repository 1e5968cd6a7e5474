package throttle

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// hand is a clock that tests turn.
type hand struct{ ns atomic.Int64 }

func (h *hand) now() time.Duration        { return time.Duration(h.ns.Load()) }
func (h *hand) advance(d time.Duration)   { h.ns.Add(int64(d)) }
func (h *hand) options() Options          { return Options{Now: h.now} }
func (h *hand) small(maxKeys int) Options { return Options{Now: h.now, MaxKeys: maxKeys} }

func mustNew(t testing.TB, limit Limit, o Options) *Limiter {
	t.Helper()
	l, err := New(limit, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFloodOfKeys fills a small table with limited keys and then comes with a
// hundred times more: the old stay limited, the new get little, and memory
// stays where it was.
func TestFloodOfKeys(t *testing.T) {
	var clock hand
	const most = 1000
	l := mustNew(t, NewTokenBucket(2, 1), clock.small(most))
	var old []string
	for i := range most / 2 {
		key := "old-" + strconv.Itoa(i)
		old = append(old, key)
		if !l.AllowN(key, 2).OK || l.Allow(key) {
			t.Fatalf("%s: want two and no more", key)
		}
	}
	admitted := 0
	for i := range 100 * most {
		if l.Allow("new-" + strconv.Itoa(i)) {
			admitted++
		}
	}
	for _, key := range old {
		if l.Allow(key) {
			t.Fatalf("%s was forgotten", key)
		}
	}
	s := l.Stats()
	if s.Keys > most || s.Shared == 0 {
		t.Errorf("stats %+v: want at most %d keys and shared grants", s, most)
	}
	if shared := 2 * len(l.shards); admitted > most/2+shared {
		t.Errorf("%d of the flood admitted, want at most %d", admitted, most/2+shared)
	}
	if limit := most * 3 / 2 * 32; s.Bytes > limit {
		t.Errorf("%d bytes, want at most %d", s.Bytes, limit)
	}
	// When the flood is over, new keys have cells of their own again.
	clock.advance(time.Minute)
	for i := range most / 4 {
		if !l.AllowN("later-"+strconv.Itoa(i), 2).OK {
			t.Fatalf("later-%d: refused a minute after the flood", i)
		}
	}
}

// TestSharedStateFollowsItsKeys lets a key be served from the shared state and
// then get a cell: it must not begin anew.
func TestSharedStateFollowsItsKeys(t *testing.T) {
	var clock hand
	l := mustNew(t, NewTokenBucket(10, 1), clock.small(1))
	l.AllowN("first", 1) // takes the only cell for a second
	if !l.AllowN("second", 10).OK {
		t.Fatal("the shared state is fresh")
	}
	clock.advance(time.Second) // the first key's cell is idle now
	if d := l.AllowN("second", 2); d.OK || d.Remaining != 1 {
		t.Fatalf("%+v: want one unit, that of a second", d)
	}
}

// TestSharedPlacesAreLeft does the same for places inside.
func TestSharedPlacesAreLeft(t *testing.T) {
	var clock hand
	l := mustNew(t, NewConcurrency(2), clock.small(1))
	first := l.AllowN("first", 1)
	second := l.AllowN("second", 2)
	if !first.OK || !second.OK || l.Allow("third") {
		t.Fatal("want first in its cell, second in the shared places, third out")
	}
	l.Refund("first", first)
	if l.Allow("second") {
		t.Fatal("second is inside twice already")
	}
	l.Refund("second", second)
	if d := l.AllowN("second", 2); !d.OK || d.shared {
		t.Fatalf("%+v: want the cell that is free", d)
	}
}

// TestTableEqualsMap holds the table against a map, with collisions forced by
// few home slots.
func TestTableEqualsMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := mustCompile(t, NewGCRA(1, time.Second, 1))
		tab := table{words: 1, most: rapid.IntRange(1, 40).Draw(t, "most")}
		model := map[hash]uint64{}
		now := time.Duration(1)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			h := hash{rapid.Uint64Range(0, 60).Draw(t, "hi") | 1, rapid.Uint64Range(0, 3).Draw(t, "lo") << 62}
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0:
				tab.forget(h)
				delete(model, h)
			case 1:
				now += time.Duration(rapid.IntRange(0, 20).Draw(t, "pause"))
			default:
				cell := tab.find(h)
				if cell == nil {
					if cell = tab.claim(h, now, rule.alg); cell == nil {
						live := 0
						for _, v := range model {
							if v > uint64(now) {
								live++
							}
						}
						if live+sweepStep <= tab.most && tab.slots() <= sweepStep {
							t.Fatalf("no room with %d of %d live", live, tab.most)
						}
						continue
					}
					if model[h] > uint64(now) {
						t.Fatalf("%v was lost", h)
					}
				}
				cell[0] = uint64(now) + rapid.Uint64Range(0, 50).Draw(t, "value")
				model[h] = cell[0]
			}
			if tab.used > tab.most {
				t.Fatalf("%d cells in use, at most %d allowed", tab.used, tab.most)
			}
			for h, v := range model {
				if cell := tab.find(h); v > uint64(now) && (cell == nil || cell[0] != v) {
					t.Fatalf("%v: found %v, want %d", h, cell, v)
				}
			}
		}
	})
}

// TestManyGoroutines has 64 of them at one key and a clock that moves as they
// call. What was admitted between two readings of the clock is held against
// the worst case.
func TestManyGoroutines(t *testing.T) {
	for _, limit := range []Limit{
		NewFixedWindow(50, time.Millisecond), NewSlidingLog(50, time.Millisecond), NewSlidingCounter(50, time.Millisecond),
		NewTokenBucket(50, 50_000), NewLeakyMeter(50, 50, time.Millisecond), NewLeakyQueue(0, 50, time.Millisecond), NewGCRA(50, time.Millisecond, 50),
	} {
		t.Run(string(limit.Algorithm), func(t *testing.T) {
			var clock hand
			clock.ns.Store(1e9)
			l := mustNew(t, limit, clock.options())
			var mu sync.Mutex
			var log []admission
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for range 300 {
						clock.advance(137)
						if d := l.AllowN("hot", 1); d.OK {
							mu.Lock()
							log = append(log, admission{d.at, 1})
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			counts := map[time.Duration]int64{}
			for _, a := range log {
				counts[a.at]++
			}
			for from := range counts {
				total := int64(0)
				for at, n := range counts {
					if at >= from && at < from+limit.Window {
						total += n
					}
				}
				if worst := limit.Worst(limit.Window); total > worst {
					t.Fatalf("%d in a window, worst %d", total, worst)
				}
			}
			if len(log) < 50 {
				t.Errorf("only %d admitted", len(log))
			}
		})
	}
}

// TestChangeUnderLoad changes the quota back and forth while 64 goroutines take.
func TestChangeUnderLoad(t *testing.T) {
	var clock hand
	small, large := NewTokenBucket(10, 1000), NewTokenBucket(30, 1000)
	l := mustNew(t, small, clock.options())
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for k := range 200 {
				if i == 0 && k%20 == 0 {
					limit := large
					if k%40 == 0 {
						limit = small
					}
					if err := l.SetLimit(limit); err != nil {
						t.Error(err)
					}
				}
				clock.advance(time.Microsecond)
				if l.Allow("hot") {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	span := time.Duration(clock.ns.Load()) + 1
	if n, worst := admitted.Load(), large.Worst(span); n > worst {
		t.Errorf("%d admitted in %s, worst %d", n, span, worst)
	}
}

func TestBadLimits(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		field string
	}{
		{Limit{}, "algorithm"},
		{Limit{Quota: 3}, "algorithm"},
		{Limit{Algorithm: "leaky", Quota: 3}, "algorithm"},
		{NewFixedWindow(-1, time.Second), "quota"},
		{NewFixedWindow(1, -time.Second), "window"},
		{NewFixedWindow(1, 100*365*24*time.Hour), "window"},
		{NewGCRA(1, time.Second, -1), "burst"},
		{NewGCRA(1, maxWindow, 1<<40), "burst"},
		{NewGCRA(math.MaxInt64-1, time.Second, 1), "quota"},
		{NewTokenBucket(math.MaxInt64-1, 1), "burst"},
		{NewLeakyMeter(1<<61, 1, time.Second), "burst"},
		{NewSlidingLog(maxLog+1, time.Second), "quota"},
		{NewSlidingCounter(1<<31, time.Second), "quota"},
		{NewConcurrency(1 << 31), "quota"},
		{NewAdaptive(5, 6, 7), "quota"},
		{NewAdaptive(5, 1, 4), "quota"},
		{Limit{Algorithm: Adaptive, Quota: 2, Target: -1}, "target"},
	} {
		_, err := Compile(c.limit)
		if want := "throttle: " + c.field + ":"; err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%+v: error %v, want one about %s", c.limit, err, c.field)
		}
	}
	for _, o := range []Options{{MaxKeys: -1}, {MaxWait: -1}, {MaxLine: -1}, {MaxWaiting: -1}} {
		if _, err := New(NewConcurrency(1), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// TestExtremeLimitsCompute takes from limits at the edge of what compiles: no
// overflow may open them.
func TestExtremeLimitsCompute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		big := rapid.Custom(func(t *rapid.T) int64 {
			return rapid.Int64Range(1, math.MaxInt64-1).Draw(t, "n") >> rapid.IntRange(0, 62).Draw(t, "shift")
		})
		limit := Limit{
			Algorithm: rapid.SampledFrom(rates).Draw(t, "algorithm"),
			Quota:     max(1, big.Draw(t, "quota")),
			Window:    time.Duration(max(1, min(big.Draw(t, "window"), int64(maxWindow)))),
			Burst:     big.Draw(t, "burst"),
		}
		rule, err := Compile(limit)
		if err != nil || rule.Words() > 100 {
			return
		}
		state := make([]uint64, rule.Words())
		now := time.Duration(rapid.Int64Range(0, maxTime).Draw(t, "now"))
		first := rule.Take(state, now, rule.most)
		if !first.OK || first.Remaining != 0 {
			t.Fatalf("%+v: all at once gave %+v", limit, first)
		}
		second := rule.Take(state, now, 1)
		if second.OK || second.RetryAfter <= 0 || second.Reason != Limited {
			t.Fatalf("%+v: one more gave %+v", limit, second)
		}
		var d Decision
		if rule.judge(&d, state, now, math.MaxInt64/2, 1); d.OK || d.RetryAfter <= 0 {
			t.Fatalf("%+v: behind a long line: %+v", limit, d)
		}
	})
}

func TestZeroAndInfinite(t *testing.T) {
	for _, a := range append([]Algorithm{Concurrency, Adaptive}, rates...) {
		shut := mustNew(t, Limit{Algorithm: a}, Options{})
		if d := shut.AllowN("k", 1); d.OK || d.Reason != Closed || d.RetryAfter != 0 {
			t.Errorf("%s of zero: %+v", a, d)
		}
		open := mustNew(t, Limit{Algorithm: a, Quota: Infinite}, Options{})
		if d := open.AllowN("k", 1<<30); !d.OK {
			t.Errorf("%s of infinity: %+v", a, d)
		}
	}
	l := mustNew(t, NewTokenBucket(5, 1), Options{})
	for _, n := range []int64{6, -1, math.MaxInt64, math.MinInt64} {
		if d := l.AllowN("k", n); d.OK || d.Reason != Impossible || d.RetryAfter != 0 {
			t.Errorf("cost %d: %+v", n, d)
		}
	}
	if d := l.Peek("k"); !d.OK || d.Remaining != 5 {
		t.Errorf("after impossible costs: %+v", d)
	}
	if s := l.Stats(); s.Keys != 0 {
		t.Errorf("%d keys kept for calls that took nothing", s.Keys)
	}
}

// TestShutAndOpened shuts a limit and opens it again: nothing is given anew.
func TestShutAndOpened(t *testing.T) {
	var clock hand
	limit := NewTokenBucket(3, 1)
	l := mustNew(t, limit, clock.options())
	l.AllowN("k", 3)
	set := func(limit Limit) {
		t.Helper()
		if err := l.SetLimit(limit); err != nil {
			t.Fatal(err)
		}
	}
	set(NewTokenBucket(0, 0))
	if d := l.AllowN("k", 1); d.Reason != Closed {
		t.Fatalf("shut: %+v", d)
	}
	set(limit)
	if l.Allow("k") {
		t.Fatal("opened again, the bucket is full")
	}
	clock.advance(time.Second)
	if !l.Allow("k") {
		t.Fatal("a second later there is a token")
	}
	if err := l.SetLimit(NewConcurrency(2)); err == nil {
		t.Fatal("a rate became a number of places")
	}
	in := mustNew(t, NewConcurrency(2), clock.options())
	one := in.AllowN("k", 1)
	for _, n := range []int64{0, Infinite, 1} {
		if err := in.SetLimit(NewConcurrency(n)); err != nil {
			t.Fatal(err)
		}
	}
	if in.Allow("k") {
		t.Fatal("who was inside is forgotten")
	}
	in.Refund("k", one)
	if !in.Allow("k") {
		t.Fatal("the place is free again")
	}
}

func TestTogether(t *testing.T) {
	var clock hand
	second := mustNew(t, NewTokenBucket(2, 2), Options{Name: "second", Now: clock.now})
	day := mustNew(t, NewFixedWindow(3, 24*time.Hour), Options{Name: "day", Now: clock.now})
	ask := func(a, b int64) ([]Decision, error) {
		_, d, err := TryAll(Charge{second, "k", a}, Charge{day, "k", b})
		return d, err
	}
	if _, err := ask(2, 1); err != nil {
		t.Fatal(err)
	}
	_, err := ask(1, 1)
	var e *Error
	if !errors.As(err, &e) || e.Name != "second" || e.RetryAfter != 500*time.Millisecond || !errors.Is(err, Limited) {
		t.Fatalf("%v: want the second's, for half of one", err)
	}
	if d := day.Peek("k"); d.Remaining != 2 {
		t.Fatalf("%d left of the day: a refusal burned one", d.Remaining)
	}
	clock.advance(time.Second)
	if _, err = ask(1, 3); !errors.As(err, &e) || e.Name != "day" {
		t.Fatalf("%v: want the day's", err)
	}
	if d := second.Peek("k"); d.Remaining != 2 {
		t.Fatalf("%d left of the second", d.Remaining)
	}
	if _, err = ask(1, 4); !errors.Is(err, Impossible) {
		t.Fatalf("%v: want impossible", err)
	}
	// The same state twice: the second charge sees the first.
	if _, _, err = TryAll(Charge{day, "k", 1}, Charge{day, "k", 2}); !errors.Is(err, Limited) {
		t.Fatalf("%v: want three of two refused", err)
	}
	if d := day.Peek("k"); d.Remaining != 2 {
		t.Fatalf("%d left of the day: the roll-back failed", d.Remaining)
	}
	p, _, err := TryAll(Charge{day, "k", 2}, Charge{second, "k", 1})
	if err != nil {
		t.Fatal(err)
	}
	p.Refund()
	p.Refund() // the second does nothing
	if d := day.Peek("k"); d.Remaining != 2 {
		t.Fatalf("%d left of the day after a refund", d.Remaining)
	}
	if _, _, err = TryAll(make([]Charge, MaxTogether+1)...); !errors.Is(err, Impossible) {
		t.Fatalf("%v: want too many refused", err)
	}
}

// TestTogetherCannotBlock takes the same limits in opposite orders.
func TestTogetherCannotBlock(t *testing.T) {
	a, b := mustNew(t, NewConcurrency(1), Options{}), mustNew(t, NewConcurrency(1), Options{})
	var wg sync.WaitGroup
	var inside, most atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			charges := []Charge{{a, "k", 1}, {b, "k", 1}}
			if i%2 == 0 {
				charges[0], charges[1] = charges[1], charges[0]
			}
			for range 500 {
				if p, _, err := TryAll(charges...); err == nil {
					most.Store(max(most.Load(), inside.Add(1)))
					inside.Add(-1)
					p.Release()
				}
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d inside at once, want 1", most.Load())
	}
}

func TestForgetAndRefund(t *testing.T) {
	var clock hand
	l := mustNew(t, NewTokenBucket(2, 1), clock.options())
	d := l.AllowN("k", 2)
	clock.advance(500 * time.Millisecond)
	l.Refund("k", d)
	if got := l.Peek("k").Remaining; got != 2 {
		t.Errorf("%d after a refund half a second later, want 2", got)
	}
	l.AllowN("k", 2)
	l.Forget("k")
	if got := l.Peek("k").Remaining; got != 2 {
		t.Errorf("%d after Forget, want 2", got)
	}
	l.Refund("k", Decision{})                       // took nothing, gives nothing
	l.Refund("nobody", Decision{OK: true, Cost: 1}) // nor to a key unknown
	if s := l.Stats(); s.Keys != 0 {
		t.Errorf("%d keys, want none", s.Keys)
	}
}

func TestReasonsAndErrors(t *testing.T) {
	for r := Granted; r <= Banned+1; r++ {
		if r.String() == "" || r.Error() == "" {
			t.Errorf("reason %d has no words", r)
		}
	}
	err := error(&Error{Name: "api", Reason: Limited, RetryAfter: 1500 * time.Millisecond})
	if got := fmt.Sprint(err); got != "throttle: limit reached (api); retry in 1.5s" {
		t.Error(got)
	}
}

// TestSetLimits changes a limit from many sides at once: all keys end with one.
func TestSetLimits(t *testing.T) {
	l := mustNew(t, NewTokenBucket(1, 1), Options{})
	for range 100 {
		var work sync.WaitGroup
		for quota := range int64(4) {
			work.Go(func() {
				if err := l.SetLimit(NewTokenBucket(quota+1, float64(quota+1))); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		for i, s := range l.shards {
			if s.rule != l.rule.Load() {
				t.Fatalf("shard %d has the limit %v, the limiter %v", i, s.rule.limit, l.Limit())
			}
		}
	}
}
