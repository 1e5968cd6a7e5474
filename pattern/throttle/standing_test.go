package throttle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestStanding spends three of what there is and looks, then waits as long as it
// was told.
func TestStanding(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		want  Standing
	}{
		{NewTokenBucket(5, 10), Standing{Spent: 3, Remaining: 2, Next: 100 * time.Millisecond, Full: 300 * time.Millisecond}},
		{NewGCRA(10, time.Second, 5), Standing{Spent: 3, Remaining: 2, Next: 100 * time.Millisecond, Full: 300 * time.Millisecond}},
		{NewSlidingLog(5, time.Second), Standing{Spent: 3, Remaining: 2, Next: time.Second, Full: time.Second}},
		{NewFixedWindow(5, time.Second), Standing{Spent: 3, Remaining: 2, Next: 750 * time.Millisecond, Full: 750 * time.Millisecond}},
		{Limit{Algorithm: Concurrency, Quota: 5}, Standing{Spent: 3, Remaining: 2}},
		{Limit{Algorithm: TokenBucket, Quota: Infinite}, Standing{Remaining: Infinite}},
	} {
		now := 250 * time.Millisecond
		l, err := New(c.limit, Options{Now: func() time.Duration { return now }})
		if err != nil {
			t.Fatal(err)
		}
		free := l.Standing("k")
		if d := l.AllowN("k", 3); !d.OK {
			t.Fatal(d)
		}
		got := l.Standing("k")
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", l.Limit(), got, c.want)
		}
		if other := l.Standing("other"); other != free || other.Spent != 0 {
			t.Errorf("%s: another key stands at %+v", l.Limit(), other)
		}
		if l.Stats().Keys > 1 {
			t.Errorf("%s: a look made a key", l.Limit())
		}
		if got.Full == 0 {
			continue
		}
		if now += got.Full - 1; l.Standing("k").Full != 1 {
			t.Errorf("%s: a nanosecond before it is full: %+v", l.Limit(), l.Standing("k"))
		}
		if now++; l.Standing("k") != free {
			t.Errorf("%s: afterwards: %+v", l.Limit(), l.Standing("k"))
		}
	}
	shut, err := New(Limit{Algorithm: TokenBucket, Window: time.Second}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := shut.Standing("k"); got != (Standing{}) {
		t.Errorf("a limit of zero: %+v", got)
	}
}

func TestStandingInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(NewLeakyQueue(5, 1, time.Second), Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- l.Wait(ctx, "k", 1) }()
		}
		synctest.Wait()
		if got := l.Standing("k"); got != (Standing{Spent: 1, Waiting: 2, Next: time.Second, Full: time.Second}) {
			t.Errorf("%+v", got)
		}
		leave()
		for range 3 {
			<-done
		}
		if got := l.Standing("k"); got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}
