package throttle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestATurnAtTheDeadline has a turn come at the very moment at which its waiter
// gives up: whichever of the two timers fires first, the turn counts.
func TestATurnAtTheDeadline(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			limit, err := ParseLimit("leaky-queue 1/s")
			if err != nil {
				t.Fatal(err)
			}
			l, err := New(limit, Options{MaxWait: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Wait(t.Context(), "k", 1); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			if err := l.Wait(ctx, "k", 1); err != nil {
				t.Fatal(err)
			}
		})
	}
}
