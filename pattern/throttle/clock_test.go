package throttle

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestClockSteps sets the wall clock back and forth under a limiter.
func TestClockSteps(t *testing.T) {
	var clock hand
	clock.ns.Store(int64(24 * time.Hour))
	l := mustNew(t, NewTokenBucket(2, 1), clock.options())
	take := func(want bool, what string) {
		t.Helper()
		if got := l.Allow("k"); got != want {
			t.Errorf("%s: allowed %v, want %v", what, got, want)
		}
	}
	take(true, "first")
	take(true, "second")
	take(false, "third")
	clock.advance(-5 * time.Hour)
	take(false, "set back five hours: no refill")
	clock.advance(time.Second)
	take(true, "a second after the step, not five hours")
	take(false, "and no more")
	clock.advance(-500 * time.Millisecond)
	take(false, "a little behind: no time passed")
	clock.advance(500 * time.Millisecond)
	take(false, "caught up: still none passed")
	clock.advance(time.Hour)
	take(true, "after a suspend it is full")
	take(true, "to the burst")
	take(false, "and not beyond")
}

func TestClockIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Clock{Skew: time.Duration(rapid.IntRange(0, 100).Draw(t, "skew"))}
		last := time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "readings") {
			raw := time.Duration(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-300, 300)).Draw(t, "raw"))
			now := c.Read(raw)
			if now < last || now < 0 || now > maxTime {
				t.Fatalf("read %d after %d", now, last)
			}
			last = now
		}
	})
}

func TestClockTakesNoCreditFromSkew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Clock{Skew: 100}
		true0 := time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "begin"))
		first := c.Read(true0)
		now := true0
		for range 50 {
			now += time.Duration(rapid.IntRange(0, 500).Draw(t, "pause"))
			got := c.Read(now - time.Duration(rapid.IntRange(0, 100).Draw(t, "behind")))
			if got-first > now-true0 {
				t.Fatalf("%d passed where %d did", got-first, now-true0)
			}
		}
	})
}
