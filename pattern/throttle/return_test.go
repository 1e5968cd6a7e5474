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
		l.Return("a", 2)
		if !l.Allow("a") || !l.Allow("a") || l.Allow("a") {
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
