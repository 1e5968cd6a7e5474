package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

func TestChecks(t *testing.T) {
	var counts seen
	r := load(t, newLog(), Options{Observe: counts.observe})
	put(t, r, "api", Definition{Limit: "sliding-log 5/1h", Action: "shape"})
	ask := func(c Check, allowed bool, remaining int64) Verdict {
		t.Helper()
		v, err := r.Check(t.Context(), "api", c)
		if err != nil || v.Allowed != allowed || v.Remaining != remaining || v.Limit != 5 {
			t.Fatalf("%+v: %+v %v, want %v and %d left", c, v, err, allowed, remaining)
		}
		return v
	}
	ask(Check{Key: "k", Cost: 3}, true, 2)
	ask(Check{Key: "k", Cost: 2, Peek: true}, true, 2)
	v := ask(Check{Key: "k", Cost: 3}, false, 2)
	if v.RetryAfter < 59*time.Minute || v.RetryAfter > time.Hour || v.Reason != throttle.Limited {
		t.Errorf("%+v", v)
	}
	if v = ask(Check{Key: "k", Cost: 3, Peek: true}, false, 2); v.RetryAfter < 59*time.Minute {
		t.Errorf("%+v", v)
	}
	ask(Check{Key: "k", Cost: 2, Refund: true}, true, 4)
	ask(Check{Key: "other", Cost: 5}, true, 0)
	if v = ask(Check{Key: "k", Cost: 6}, false, 4); v.Reason != throttle.Impossible || v.RetryAfter != 0 {
		t.Errorf("%+v", v)
	}
	if got := counts.String(); got != "api allowed 2, api rejected 2" {
		t.Error(got)
	}
	put(t, r, "api", Definition{Limit: "sliding-log 5/1h", Mode: "shadow"})
	ask(Check{Key: "other", Cost: 1}, true, 0)
	if got := counts.String(); got != "api would_reject 1" {
		t.Error(got)
	}
}

func TestChecksThatCannotBe(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "api", Definition{Limit: "5/1h"})
	put(t, r, "club", Definition{Limit: "concurrency 5"})
	for _, c := range []struct {
		name, field string
		check       Check
		code        parley.Code
	}{
		{"none", "limit", Check{}, parley.NotFound},
		{"club", "limit", Check{}, parley.Unprocessable},
		{"api", "key", Check{Key: strings.Repeat("k", 1025)}, parley.Invalid},
		{"api", "cost", Check{Cost: -1}, parley.Invalid},
		{"api", "cost", Check{Cost: MaxCost + 1}, parley.Invalid},
		{"api", "refund", Check{Peek: true, Refund: true}, parley.Invalid},
	} {
		_, err := r.Check(t.Context(), c.name, c.check)
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Field != c.field || e.Fix == "" {
			t.Errorf("%s %+v: %v", c.name, c.check, err)
		}
	}
}

func TestSecondsAreNeverTooFew(t *testing.T) {
	for d, want := range map[time.Duration]float64{0: 0, 1: 0.001, time.Millisecond: 0.001, 1500 * time.Millisecond: 1.5, time.Second + 1: 1.001} {
		if got := Seconds(d); got != want {
			t.Errorf("%v: %v", d, got)
		}
	}
}
