package throttle

import (
	"testing"
	"time"
)

func TestReturnNeedsNoDecision(t *testing.T) {
	now := time.Duration(0)
	for _, limit := range []Limit{NewTokenBucket(3, 3), NewGCRA(3, time.Second, 3), NewFixedWindow(3, time.Second), NewSlidingLog(3, time.Second), NewSlidingCounter(3, time.Second), NewLeakyMeter(3, 3, time.Second), NewConcurrency(3)} {
		l := mustNew(t, limit, Options{Now: func() time.Duration { return now }})
		l.Return("a", 2) // of a key that has nothing out
		if d := l.AllowN("a", 3); !d.OK || l.Allow("a") {
			t.Errorf("%v: %+v", limit, d)
		}
		now += time.Millisecond / 10
		l.Return("a", 2)
		if !l.AllowN("a", 1).OK || !l.Allow("a") || l.Allow("a") {
			t.Errorf("%v: not two", limit)
		}
		l.Return("a", 100)
		if d := l.Peek("a"); d.Remaining != 3 {
			t.Errorf("%v: %d after more came back than went", limit, d.Remaining)
		}
		l.Return("a", -1)
		if d := l.Peek("a"); d.Remaining != 3 {
			t.Errorf("%v: %d after less than nothing came back", limit, d.Remaining)
		}
	}
}

func TestLookTakesNothing(t *testing.T) {
	now := time.Duration(0)
	l := mustNew(t, NewTokenBucket(5, 1), Options{Now: func() time.Duration { return now }})
	if d := l.Look("a", 5); !d.OK || d.Remaining != 5 || l.Stats().Keys != 0 {
		t.Errorf("%+v of a new key, %d kept", d, l.Stats().Keys)
	}
	l.AllowN("a", 4)
	if d := l.Look("a", 1); !d.OK || d.Remaining != 1 || d.Reset != time.Second {
		t.Errorf("%+v", d)
	}
	d := l.Look("a", 3)
	if d.OK || d.Reason != Limited || d.Remaining != 1 || d.RetryAfter != 2*time.Second {
		t.Errorf("%+v", d)
	}
	l.Refund("a", l.Look("a", 1))
	if d := l.Peek("a"); d.Remaining != 1 {
		t.Errorf("what was only looked at came back: %+v", d)
	}
	if d := l.Look("a", 6); d.OK || d.Reason != Impossible {
		t.Errorf("%+v", d)
	}
}
