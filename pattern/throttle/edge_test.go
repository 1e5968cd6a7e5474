package throttle

import (
	"testing"
	"time"
)

// TestLateRefundGivesNothing refunds units that time has restored and that
// were taken anew: a second refund of the same room would let a third through.
func TestLateRefundGivesNothing(t *testing.T) {
	const w = time.Second
	for _, algorithm := range rates {
		rule := mustCompile(t, Limit{Algorithm: algorithm, Quota: 1, Window: w})
		state := make([]uint64, rule.Words())
		begin := 10 * w
		first := rule.Take(state, begin, 1)
		wait := w
		if algorithm == SlidingCounter {
			wait = 2 * w // the first still weighs a window later
		}
		second := rule.Take(state, begin+wait, 1)
		if !first.OK || !second.OK {
			t.Fatalf("%s: %+v, %+v", algorithm, first, second)
		}
		rule.Back(state, begin+wait, first)
		if d := rule.Take(state, begin+wait, 1); d.OK {
			t.Errorf("%s: a refund came late and let a second unit through at once", algorithm)
		}
		rule.Back(state, begin+wait, second)
		if d := rule.Take(state, begin+wait, 1); !d.OK {
			t.Errorf("%s: a refund in time gave nothing: %+v", algorithm, d)
		}
	}
}

// TestRefundOfHalf refunds a unit half of which time has restored: without it
// the bucket would have stood full meanwhile, and would hold no more now.
func TestRefundOfHalf(t *testing.T) {
	const half = 500 * time.Millisecond
	for _, limit := range []Limit{NewTokenBucket(2, 1), NewGCRA(1, time.Second, 2)} {
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		first := rule.Take(state, 0, 1)
		rule.Take(state, half, 1)
		rule.Back(state, half, first)
		if d := rule.Take(state, half, 1); !d.OK {
			t.Fatalf("%v: %+v", limit, d)
		}
		if rule.Take(state, 2*half, 1).OK {
			t.Errorf("%v: three units within half a second", limit)
		}
		if !rule.Take(state, 3*half, 1).OK {
			t.Errorf("%v: no unit a second later", limit)
		}
	}
}

// TestStaleClockAdmitsNoMore uses a limit up and then comes with a time before
// that, and before its window.
func TestStaleClockAdmitsNoMore(t *testing.T) {
	const w = time.Second
	for _, algorithm := range rates {
		rule := mustCompile(t, Limit{Algorithm: algorithm, Quota: 2, Window: w})
		state := make([]uint64, rule.Words())
		now := 10 * w
		for rule.Take(state, now, 1).OK {
		}
		for _, behind := range []time.Duration{1, w / 2, w, 5 * w} {
			d := rule.Take(state, now-behind, 1)
			if d.OK {
				t.Errorf("%s: admitted %s before it was used up", algorithm, behind)
			}
			if rule.Idle(state, now-behind) {
				t.Errorf("%s: idle %s before it was used up", algorithm, behind)
			}
		}
		if d := rule.Take(state, now, 1); d.OK {
			t.Errorf("%s: asking with a stale clock restored a unit", algorithm)
		}
	}
}

func TestLogStaysSorted(t *testing.T) {
	const w = 1000
	rule := mustCompile(t, NewSlidingLog(2, w))
	state := make([]uint64, rule.Words())
	rule.Take(state, 100, 1)
	rule.Take(state, 50, 1) // counts as at 100
	if d := rule.Take(state, w+60, 0); d.Remaining != 0 {
		t.Errorf("%d left: the unit of a stale clock left the window early", d.Remaining)
	}
}

func TestLogKeepsTheNewest(t *testing.T) {
	const w = 1000
	old, next := mustCompile(t, NewSlidingLog(3, w)), mustCompile(t, NewSlidingLog(1, w))
	from, to := make([]uint64, old.Words()), make([]uint64, next.Words())
	for _, at := range []time.Duration{0, 10, 20} {
		old.Take(from, at, 1)
	}
	next.Convert(to, old, from, 20)
	if next.Take(to, w+15, 1).OK {
		t.Error("the newest unit was forgotten")
	}
	if !next.Take(to, w+20, 1).OK {
		t.Error("the newest unit is still there after its window")
	}
}

// TestALogThatIsLoweredAndRaisedAdmitsNoMore has a limit go down and up again within a
// window, with a refund between: what was forgotten on the way counts again.
func TestALogThatIsLoweredAndRaisedAdmitsNoMore(t *testing.T) {
	const w = 1000
	high, low := mustCompile(t, NewSlidingLog(50, w)), mustCompile(t, NewSlidingLog(20, w))
	state := make([]uint64, high.Words())
	change := func(from, to *Rule, now time.Duration) {
		next := make([]uint64, to.Words())
		to.Convert(next, from, state, now)
		state = next
	}
	high.Take(state, 5, 30)
	d := high.Take(state, 10, 20)
	change(high, low, 15)
	if low.Take(state, 16, 1).OK {
		t.Error("the lower limit admits beyond itself")
	}
	low.Back(state, 20, d) // all that is remembered, but for one
	change(low, high, 30)
	if d := high.Take(state, 31, 0); d.Remaining != 19 {
		t.Errorf("%d left, want what was given back", d.Remaining)
	}
	change(high, low, 40)
	change(low, high, 50)
	if d := high.Take(state, 51, 0); d.Remaining != 19 {
		t.Errorf("%d left after going down and up once more", d.Remaining)
	}
	if d := high.Take(state, w+10, 50); !d.OK {
		t.Errorf("%+v: they count for longer than a window", d)
	}
}

func TestMomentNeverGoesBack(t *testing.T) {
	var s shard
	for _, c := range [][2]time.Duration{{5, 5}, {3, 5}, {9, 9}, {0, 9}} {
		if got := s.moment(c[0]); got != c[1] {
			t.Errorf("a reading of %d became %d, want %d", c[0], got, c[1])
		}
	}
}

// TestWhoFollowsKeepsItsTurn has the first flow end: the turn goes to the next
// one and not past it.
func TestWhoFollowsKeepsItsTurn(t *testing.T) {
	var l lines
	for _, flow := range []string{"a", "b", "b", "c", "c"} {
		l.join(hash{1, 0}, flow, 1, 0, 0)
	}
	order := ""
	for l.waiting > 0 {
		g := l.due[0]
		order += g.head().flow.name
		passed := 0
		l.run(0, func(hash, int64) Decision {
			if passed++; passed > 1 {
				return Decision{Reason: Limited, RetryAfter: 1}
			}
			return Decision{OK: true}
		})
		l.hurryAll(0)
	}
	if order != "abcbc" {
		t.Errorf("turns %s, want abcbc", order)
	}
}
