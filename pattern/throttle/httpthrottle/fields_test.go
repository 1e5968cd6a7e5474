package httpthrottle

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

func TestParseRateLimit(t *testing.T) {
	for field, want := range map[string]string{
		`"default";r=50;t=30`:                          "[{default 50 30s}]",
		`"default";r=300000000;t=60;pk=:QXBwLTk5OQ==:`: "[{default 300000000 1m0s}]",
		`"day";r=100;t=36000`:                          "[{day 100 10h0m0s}]",
		`"burst";r=0;t=3, "daily";r=9`:                 "[{burst 0 3s} {daily 9 0s}]",
		`default;r=5`:                                  "[{default 5 0s}]",
		`"a \"b\" \\";r=1`:                             `[{a "b" \ 1 0s}]`,
		`"a,;b";r=1; t=2;vendor-x="s;,"`:               "[{a,;b 1 2s}]",
		`"x";r=1;t=999999999999999`:                    "[{x 1 8760h0m0s}]",
		`"x";t=5`:                                      "[]",
		`"x";r=-1`:                                     "[]",
		`"x";r=9999999999999999999`:                    "[]",
		`"x`:                                           "[]",
		`"x";r`:                                        "[]",
		`"x";`:                                         "[]",
		`"x";r=`:                                       "[]",
		`"a";r=1 "b";r=2`:                              "[]",
		"\"a\x00\";r=1":                                "[]",
		"":                                             "[]",
	} {
		if got := fmt.Sprint(ParseRateLimit(http.Header{"Ratelimit": {field}})); got != want {
			t.Errorf("%s\n got %s\nwant %s", field, got, want)
		}
	}
}

func FuzzParseRateLimit(f *testing.F) {
	for _, s := range []string{`"default";r=50;t=30`, `a;r=1,b;r=0;t=1`, `"x";r=1;pk=:YQ==:`, `"\"";r=0`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		for _, q := range ParseRateLimit(http.Header{"Ratelimit": {field}}) {
			if q.Remaining < 0 || q.Reset < 0 || q.Reset > maxWait {
				t.Fatalf("%q gave %+v", field, q)
			}
			again := appendQuota(nil, q.Name, throttle.Decision{OK: true, Remaining: q.Remaining, Reset: q.Reset})
			if back := ParseRateLimit(http.Header{"Ratelimit": {string(again)}}); len(back) != 1 || back[0].Remaining != q.Remaining {
				t.Fatalf("%q was written as %s and read as %+v", field, again, back)
			}
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]string{
		"0": "0s true", "120": "2m0s true", " 7 ": "7s true", "99999999999999999999999": "8760h0m0s true",
		"Tue, 24 Nov 2026 12:00:30 GMT": "30s true", "Tue, 24 Nov 2026 11:00:00 GMT": "0s true", "Tuesday, 24-Nov-26 12:01:00 GMT": "1m0s true",
		"": "0s false", "-1": "0s false", "1.5": "0s false", "soon": "0s false", "+3": "0s false",
	} {
		d, ok := ParseRetryAfter(http.Header{"Retry-After": {value}}, now)
		if got := fmt.Sprint(d, ok); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Tue, 24 Nov 2026 12:00:30 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		if d, _ := ParseRetryAfter(http.Header{"Retry-After": {value}}, time.Unix(0, 0)); d < 0 || d > maxWait {
			t.Fatalf("%q gave %s", value, d)
		}
	})
}

func TestPolicyField(t *testing.T) {
	for want, limit := range map[string]throttle.Limit{
		`"p";q=100;w=60`:                   throttle.NewGCRA(100, time.Minute, 0),
		`"p";q=30;w=1`:                     throttle.NewFixedWindow(3, 100*time.Millisecond),
		`"p";q=4;w=2`:                      throttle.NewFixedWindow(3, 1500*time.Millisecond),
		`"p";q=7;qu="concurrent-requests"`: throttle.NewConcurrency(7),
		`"p";q=999999999999999;w=1`:        throttle.NewFixedWindow(1<<60, time.Second),
	} {
		held := limit.Algorithm == throttle.Concurrency
		if got := string(appendPolicy(nil, "p", limit, held)); got != want {
			t.Errorf("%v: %s, want %s", limit, got, want)
		}
	}
	if got := string(appendName(nil, "a\"\\\n\x80é")); got != `"a\"\\"` {
		t.Error(got)
	}
}
