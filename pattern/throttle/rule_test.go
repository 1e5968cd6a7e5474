package throttle

import (
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rates are the algorithms that forget with time.
var rates = []Algorithm{FixedWindow, SlidingLog, SlidingCounter, TokenBucket, LeakyMeter, LeakyQueue, GCRA}

func drawLimit(t *rapid.T, algorithms ...Algorithm) Limit {
	l := Limit{
		Algorithm: rapid.SampledFrom(algorithms).Draw(t, "algorithm"),
		Quota:     rapid.Int64Range(1, 12).Draw(t, "quota"),
		Window:    time.Duration(rapid.SampledFrom([]int64{1200, 1337, 10_000, 1e9, int64(time.Hour)}).Draw(t, "window")),
		Burst:     rapid.Int64Range(0, 20).Draw(t, "burst"),
	}
	return l
}

func mustCompile(t interface{ Fatal(...any) }, l Limit) *Rule {
	r, err := Compile(l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// check runs a property ten times as often as usual: what goes wrong here goes
// wrong where several edges meet.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	for range 10 {
		rapid.Check(t, property)
	}
}

// drawStep is a pause that likes the edges of windows.
func drawStep(t *rapid.T, window time.Duration) time.Duration {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0, 1:
		return 0
	case 2:
		return window - time.Duration(rapid.IntRange(0, 2).Draw(t, "short"))
	case 3:
		return 1
	case 4:
		return time.Duration(rapid.Int64Range(0, int64(window)*3).Draw(t, "long"))
	}
	return time.Duration(rapid.Int64Range(0, int64(window)/4).Draw(t, "pause"))
}

// admission is what the oracle remembers: when, and the units that were not
// refunded.
type admission struct {
	at time.Duration
	n  int64
}

// checkWorst looks through every window that begins at an admission.
func checkWorst(t *rapid.T, log []admission, span time.Duration, worst int64, what any) {
	for i := range log {
		total := int64(0)
		for _, a := range log[i:] {
			if a.at < log[i].at+span {
				total += a.n
			}
		}
		if total > worst {
			t.Fatalf("%v: %d units in a span of %s, stated worst %d\n%v", what, total, span, worst, log)
		}
	}
}

// TestNeverAboveWorst is the promise: with costs, refunds and clocks that
// disagree, no span ever sees more than Worst says of the span made longer by
// the disagreement.
func TestNeverAboveWorst(t *testing.T) {
	check(t, func(t *rapid.T) {
		limit := drawLimit(t, rates...)
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		skew := time.Duration(0)
		if rapid.Bool().Draw(t, "skewed") {
			skew = time.Duration(rapid.Int64Range(1, int64(limit.Window)*2).Draw(t, "skew"))
		}
		now := skew + time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "begin"))
		var log []admission
		var decisions []Decision
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			now += drawStep(t, limit.Window)
			if len(decisions) > 0 && rapid.IntRange(0, 9).Draw(t, "refund") == 0 {
				i := rapid.IntRange(0, len(decisions)-1).Draw(t, "which")
				rule.Back(state, now, decisions[i])
				log[i].n, decisions[i].OK = 0, false // once only
				continue
			}
			clock := now
			if skew > 0 && rapid.IntRange(0, 3).Draw(t, "stale") == 0 {
				clock -= time.Duration(rapid.Int64Range(0, int64(skew)).Draw(t, "behind"))
			}
			n := rapid.Int64Range(0, 4).Draw(t, "n")
			if d := rule.Take(state, clock, n); d.OK && n > 0 {
				log = append(log, admission{now, n})
				decisions = append(decisions, d)
			}
		}
		for _, span := range []time.Duration{limit.Window, limit.Window / 3, limit.Window*2 + 1, 1} {
			checkWorst(t, log, span, limit.Worst(span+skew), limit)
		}
	})
}

// model is a naive limiter in exact fractions over the whole history.
type model struct {
	limit Limit
	log   []admission
	level *big.Rat // buckets: what is spent, at the time of the last admission
	last  time.Duration
}

func (m *model) in(from, to time.Duration) (n int64) {
	for _, a := range m.log {
		if a.at > from && a.at <= to {
			n += a.n
		}
	}
	return n
}

func (m *model) take(now time.Duration, n int64) bool {
	l, ok := m.limit, false
	w := l.Window
	start := now / w * w
	switch l.Algorithm {
	case FixedWindow:
		ok = m.in(start-1, now)+n <= l.Quota
	case SlidingLog:
		ok = m.in(now-w, now)+n <= l.Quota
	case SlidingCounter:
		prev := big.NewRat(m.in(start-w-1, start-1)*int64(w-(now-start)), int64(w))
		ok = prev.Add(prev, big.NewRat(m.in(start-1, now)+n, 1)).Cmp(big.NewRat(l.Quota, 1)) <= 0
	default:
		rate := big.NewRat(l.Quota, int64(w))
		if l.Algorithm == GCRA {
			rate = big.NewRat(1, (int64(w)+l.Quota-1)/l.Quota)
		}
		level := new(big.Rat).Sub(m.level, rate.Mul(rate, big.NewRat(int64(now-m.last), 1)))
		if level.Sign() < 0 {
			level.SetInt64(0)
		}
		level.Add(level, big.NewRat(n, 1))
		burst := l.Burst
		if l.Algorithm == LeakyQueue {
			burst = 1
		} else if burst == 0 {
			burst = l.Quota
		}
		if ok = level.Cmp(big.NewRat(burst, 1)) <= 0; ok {
			m.level, m.last = level, now
		}
	}
	if ok {
		m.log = append(m.log, admission{now, n})
	}
	return ok
}

func TestEqualsModel(t *testing.T) {
	check(t, func(t *rapid.T) {
		limit := drawLimit(t, rates...)
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		m := model{limit: limit, level: new(big.Rat)}
		now := time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "begin"))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now += drawStep(t, limit.Window)
			n := rapid.Int64Range(1, 4).Draw(t, "n")
			if got, want := rule.Take(state, now, n), m.take(now, n); got.OK != want {
				t.Fatalf("%v at %d: take %d gave %+v, the model %v", limit, now, n, got, want)
			}
		}
	})
}

func TestRetryAfterAndRemainingAreExact(t *testing.T) {
	check(t, func(t *rapid.T) {
		limit := drawLimit(t, rates...)
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		now := time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "begin"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += drawStep(t, limit.Window)
			clock := now
			if rapid.IntRange(0, 4).Draw(t, "skewed") == 0 {
				clock = max(0, now-drawStep(t, limit.Window))
			}
			n := rapid.Int64Range(0, 5).Draw(t, "n")
			before := slices.Clone(state)
			d := rule.Take(state, clock, n)
			ok := func(at time.Duration, n int64) bool { return rule.Take(slices.Clone(before), at, n).OK }
			switch {
			case d.OK:
				if left := d.Remaining + n; !ok(clock, left) || ok(clock, left+1) {
					t.Fatalf("%v: %d remaining is not what can be had", limit, d.Remaining)
				}
			case d.Reason == Limited:
				if !slices.Equal(before, state) {
					t.Fatalf("%v: a refusal wrote %v over %v", limit, state, before)
				}
				if !ok(clock+d.RetryAfter, n) {
					t.Fatalf("%v: refused again %s later", limit, d.RetryAfter)
				}
				if ok(clock+d.RetryAfter-1, n) {
					t.Fatalf("%v: retry after %s is too long", limit, d.RetryAfter)
				}
			case d.Reason != Impossible || n <= rule.alg.most():
				t.Fatalf("%v: cost %d refused as %v", limit, n, d.Reason)
			}
		}
	})
}

func TestIdleEqualsFresh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := drawLimit(t, rates...)
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		now := time.Duration(0)
		for range rapid.IntRange(0, 30).Draw(t, "before") {
			now += drawStep(t, limit.Window)
			rule.Take(state, now, rapid.Int64Range(1, 3).Draw(t, "n"))
		}
		for !rule.Idle(state, now) {
			now += max(1, limit.Window/3)
		}
		fresh := make([]uint64, rule.Words())
		for range rapid.IntRange(1, 30).Draw(t, "after") {
			now += drawStep(t, limit.Window)
			n := rapid.Int64Range(0, 3).Draw(t, "n")
			a, b := rule.Take(state, now, n), rule.Take(fresh, now, n)
			if a != b {
				t.Fatalf("%v: idle state says %+v, fresh %+v", limit, a, b)
			}
		}
	})
}

// TestChangeOfLimit holds a change to the larger worst case where that is
// promised.
func TestChangeOfLimit(t *testing.T) {
	buckets := []Algorithm{TokenBucket, LeakyMeter, LeakyQueue, GCRA}
	rapid.Check(t, func(t *rapid.T) {
		var was, is Limit
		if rapid.Bool().Draw(t, "buckets") {
			was, is = drawLimit(t, buckets...), drawLimit(t, buckets...)
		} else {
			was = drawLimit(t, FixedWindow, SlidingLog, SlidingCounter)
			is = drawLimit(t, was.Algorithm)
			is.Window = was.Window
		}
		rule := mustCompile(t, was)
		state := make([]uint64, rule.Words())
		change := rapid.IntRange(0, 40).Draw(t, "change")
		now := time.Duration(1)
		var log []admission
		for i := range 80 {
			if i == change {
				next := mustCompile(t, is)
				to := make([]uint64, next.Words())
				next.Convert(to, rule, state, now)
				rule, state = next, to
			}
			now += drawStep(t, rule.limit.Window)
			n := rapid.Int64Range(1, 3).Draw(t, "n")
			if rule.Take(state, now, n).OK {
				log = append(log, admission{now, n})
			}
		}
		for _, span := range []time.Duration{was.Window, was.Window / 3, was.Window*2 + 1} {
			// Pieces of two refills may each round up to one unit more.
			worst := sum(max(worstBurst(was), worstBurst(is)), 0)
			if !bucketish(was) {
				worst = max(was.Worst(span), is.Worst(span))
			} else {
				worst += max(was.Worst(span)-worstBurst(was), is.Worst(span)-worstBurst(is))
			}
			checkWorst(t, log, span, worst, []Limit{was, is})
		}
	})
}

func bucketish(l Limit) bool {
	return l.Algorithm == TokenBucket || l.Algorithm == LeakyMeter || l.Algorithm == LeakyQueue || l.Algorithm == GCRA
}

// worstBurst is what a bucket admits in an instant.
func worstBurst(l Limit) int64 { return l.Worst(1) }

// TestWorstIsReached shows that the stated figures are not merely bounds.
func TestWorstIsReached(t *testing.T) {
	const w = 100 * time.Second
	for _, c := range []struct {
		limit Limit
		// first is when all that passes is taken the first time. From then on
		// it is taken as it comes.
		first time.Duration
		want  int64
	}{
		{NewFixedWindow(100, w), w - 1, 200},
		{NewSlidingLog(100, w), w - 1, 100},
		{NewSlidingCounter(100, w), w - 1, 199},
		{NewTokenBucket(100, 1), w, 199},
		{NewLeakyMeter(100, 100, w), w, 199},
		{NewGCRA(100, w, 20), w, 119},
		{NewGCRA(100, w, 1), w, 100},
		{NewLeakyQueue(5, 100, w), w, 100},
		{NewAtMost(100, w, 50), w, 100},
		{NewAtMost(100, w, 1), w, 100},
		{NewAtMost(100, w, 100), w, 100},
	} {
		rule := mustCompile(t, c.limit)
		state := make([]uint64, rule.Words())
		total := int64(0)
		for now := c.first; now < c.first+w; {
			d := rule.Take(state, now, 1)
			if d.OK {
				total++
			} else {
				now += d.RetryAfter
			}
		}
		if worst := c.limit.Worst(w); total != c.want || worst < total {
			t.Errorf("%v: %d admitted in a window, want %d; stated %d", c.limit, total, c.want, worst)
		}
	}
}

func TestWorstFigures(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		span  time.Duration
		want  int64
	}{
		{NewFixedWindow(10, time.Second), time.Second, 20},
		{NewFixedWindow(10, time.Second), 1, 20},
		{NewSlidingLog(10, time.Second), time.Second + 1, 20},
		{NewSlidingCounter(10, time.Second), time.Second, 19},
		{NewTokenBucket(10, 2.5), time.Second, 12},
		{NewLeakyQueue(9, 10, time.Second), time.Second, 10},
		{NewConcurrency(3), time.Second, Infinite},
		{NewTokenBucket(1, math.Inf(1)), time.Second, Infinite},
		{NewTokenBucket(0, 1), time.Second, 0},
		{NewFixedWindow(1<<62, time.Second), time.Hour, Infinite},
		{NewGCRA(1<<40, time.Nanosecond, 1), time.Hour, Infinite},
		{Limit{Algorithm: FixedWindow, Quota: -1}, time.Second, 0},
	} {
		if got := c.limit.Worst(c.span); got != c.want {
			t.Errorf("%v over %s: %d, want %d", c.limit, c.span, got, c.want)
		}
	}
}
