package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

func TestKeysOfRequests(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	forwarded := func(lines ...string) func(string) []string {
		return func(name string) []string {
			if name == forwardedFor {
				return lines
			}
			return nil
		}
	}
	for _, c := range []struct {
		key  string
		a, b Request
		same bool
	}{
		{"ip", Request{Remote: "192.0.2.1:1"}, Request{Remote: "192.0.2.1:2"}, true},
		{"ip", Request{Remote: "192.0.2.1:1"}, Request{Remote: "192.0.2.2:1"}, false},
		{"ip", Request{Remote: "[2001:db8:0:1::1]:1"}, Request{Remote: "[2001:db8:0:1:ffff::2]:1"}, true},
		{"ip", Request{Remote: "10.0.0.1:1", Header: forwarded("192.0.2.1")}, Request{Remote: "10.0.0.2:1", Header: forwarded("192.0.2.1")}, true},
		{"ip", Request{Remote: "10.0.0.1:1", Header: forwarded("192.0.2.1")}, Request{Remote: "10.0.0.1:1", Header: forwarded("192.0.2.2")}, false},
		// what an untrusted peer says of itself means nothing, also on a line of its own
		{"ip", Request{Remote: "192.0.2.9:1", Header: forwarded("1.1.1.1")}, Request{Remote: "192.0.2.9:1", Header: forwarded("2.2.2.2")}, true},
		{"ip", Request{Remote: "10.0.0.1:1", Header: forwarded("1.1.1.1", "192.0.2.1")}, Request{Remote: "10.0.0.1:1", Header: forwarded("2.2.2.2", "192.0.2.1")}, true},
		{"token", Request{Who: "app", Remote: "1.1.1.1:1"}, Request{Who: "app", Remote: "2.2.2.2:1"}, true},
		{"token", Request{Who: "app"}, Request{Who: "other"}, false},
		{"topic", Request{Topics: []string{"a"}}, Request{Topics: []string{"~a"}}, true},
		{"topic", Request{Topics: []string{"a"}}, Request{Topics: []string{"b"}}, false},
		{"path+route", Request{Path: "/a", Route: "r"}, Request{Path: "/a", Route: "r"}, true},
		{"path+route", Request{Path: "/ab", Route: "c"}, Request{Path: "/a", Route: "bc"}, false},
		{"everyone", Request{Who: "a"}, Request{Who: "b"}, true},
		{"header:X-Forwarded-For", Request{Header: forwarded("a")}, Request{Header: forwarded("b")}, false},
		{"header:X-Other", Request{Header: forwarded("a")}, Request{}, true},
	} {
		r := load(t, newLog(), Options{Trusted: trusted})
		put(t, r, "l", Definition{Limit: "1/1h", Key: c.key, On: []string{"request"}})
		if got := admit(t, r, c.a); got != "" {
			t.Fatal(got)
		}
		if got := admit(t, r, c.b) == "throttled"; got != c.same {
			t.Errorf("%s of %+v and %+v: one key: %v", c.key, c.a, c.b, got)
		}
	}
}

func TestHeadersThatAreLookedAt(t *testing.T) {
	r := load(t, newLog(), Options{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	put(t, r, "a", Definition{Limit: "1/s", Key: "ip+header:X-Tenant", On: []string{"publish"}})
	put(t, r, "b", Definition{Limit: "1/s", Key: "header:X-Tenant", On: []string{"poll"}})
	put(t, r, "c", Definition{Limit: "1/s", Key: "header:X-Checked"})
	if got := fmt.Sprint(r.Headers()); got != "[X-Forwarded-For X-Tenant]" {
		t.Error(got)
	}
}

func TestARefusalByOneBurnsNothingOfTheOthers(t *testing.T) {
	var counts seen
	r := load(t, newLog(), Options{Observe: counts.observe})
	put(t, r, "day", Definition{Limit: "10/24h", Key: "everyone", On: []string{"publish"}})
	put(t, r, "topic", Definition{Limit: "1/1h", Key: "topic", On: []string{"publish"}})
	answer := http.Header{}
	for i := range 5 {
		_, err := r.Admit(t.Context(), &Request{Action: Publish, Topics: []string{"a"}, Answer: answer})
		if (err == nil) != (i == 0) {
			t.Fatal(err)
		}
	}
	if got := counts.String(); got != "day allowed 1, topic allowed 1, topic rejected 4" {
		t.Error(got)
	}
	if v, err := r.Check(t.Context(), "day", Check{Peek: true, Cost: 9}); err != nil || !v.Allowed || v.Remaining != 9 {
		t.Errorf("%+v %v", v, err)
	}
	if got := answer.Get("RateLimit-Policy"); got != `"day";q=10;w=86400, "topic";q=1;w=3600` {
		t.Error(got)
	}
	if got := answer.Get("RateLimit"); !strings.HasPrefix(got, `"day";r=9;t=`) || !strings.Contains(got, `"topic";r=0;t=3600`) {
		t.Error(got)
	}
}

func TestSeveralTopicsOfOneRequest(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "each", Definition{Limit: "1/1h", Key: "topic", On: []string{"publish:orders.>"}})
	put(t, r, "all", Definition{Limit: "3/1h", Key: "everyone", On: []string{"publish"}})
	both := Request{Action: Publish, Topics: []string{"orders.a", "orders.b", "other", "orders.a"}}
	if got := admit(t, r, both); got != "" {
		t.Fatal(got)
	}
	if got := admit(t, r, Request{Action: Publish, Topics: []string{"orders.b"}}); got != "throttled" {
		t.Errorf("%q: a topic among several is counted", got)
	}
	if got := admit(t, r, Request{Action: Publish, Topics: []string{"orders.c", "orders.a"}}); got != "throttled" {
		t.Errorf("%q: one topic that is used up refuses all", got)
	}
	if got := admit(t, r, Request{Action: Publish, Topics: []string{"orders.c"}}); got != "" {
		t.Errorf("%q: and burns nothing of the others", got)
	}
	// more keys than go together at once
	var many Request
	many.Action = Publish
	for i := range 100 {
		many.Topics = append(many.Topics, fmt.Sprint("orders.n", i))
	}
	many.Topics = append(many.Topics, "orders.c")
	if got := admit(t, r, many); got != "throttled" {
		t.Errorf("%q", got)
	}
	if got := admit(t, r, Request{Action: Publish, Topics: []string{"orders.n0"}}); got != "" {
		t.Errorf("%q: what was taken before the refusal comes back", got)
	}
}

func TestShadowOnlyCounts(t *testing.T) {
	var counts seen
	r := load(t, newLog(), Options{Observe: counts.observe})
	put(t, r, "s", Definition{Limit: "2/1h", Mode: "shadow", On: []string{"request"}})
	answer := http.Header{}
	for range 5 {
		if _, err := r.Admit(t.Context(), &Request{Remote: "1.1.1.1:1", Answer: answer}); err != nil {
			t.Fatal(err)
		}
	}
	if got := counts.String(); got != "s allowed 2, s would_reject 3" || len(answer) != 0 {
		t.Error(got, answer)
	}
}

func TestRefusalsSayWhatAndWhen(t *testing.T) {
	r := load(t, newLog(), Options{})
	q := Request{Action: Poll}
	for limit, want := range map[string]string{"1/1h": "throttled", "0/s": "forbidden", "concurrency 1": "overloaded"} {
		put(t, r, "l", Definition{Limit: limit, On: []string{"poll"}, Key: "everyone"})
		_, _ = r.Admit(t.Context(), &q)
		_, err := r.Admit(t.Context(), &q)
		var e *parley.Error
		var reason *throttle.Error
		if !errors.As(err, &e) || e.Code.String() != want || e.Fix == "" || !errors.As(err, &reason) || reason.Name != "l" {
			t.Errorf("%s: %v, want %s", limit, err, want)
		}
		if (e.RetryAfter > 0) != (want != "forbidden") {
			t.Errorf("%s: retry after %v", limit, e.RetryAfter)
		}
	}
}

func TestPlacesInsideAreLeft(t *testing.T) {
	r := load(t, newLog(), Options{})
	put(t, r, "club", Definition{Limit: "concurrency 2", Key: "everyone", On: []string{"subscribe"}})
	q := Request{Action: Subscribe}
	one, err := r.Admit(t.Context(), &q)
	two, err2 := r.Admit(t.Context(), &q)
	if err != nil || err2 != nil || admit(t, r, q) != "overloaded" {
		t.Fatal(err, err2)
	}
	one()
	one() // leaving twice frees one place
	if admit(t, r, q) != "" || admit(t, r, q) != "overloaded" {
		t.Error("one left, one came in")
	}
	two()
	if admit(t, r, q) != "" {
		t.Error("the other left")
	}
}

func TestShapingIsFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counts seen
		r := load(t, newLog(), Options{Observe: counts.observe})
		put(t, r, "pace", Definition{Limit: "leaky-queue 10/s", Key: "token", On: []string{"publish"}, Action: "shape", MaxWait: "350ms"})
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range 6 {
			wg.Go(func() {
				_, err := r.Admit(t.Context(), &Request{Action: Publish, Who: "a"})
				mu.Lock()
				defer mu.Unlock()
				order = append(order, fmt.Sprintf("%d@%s %v", i, time.Since(begin), parley.CodeOf(err)))
			})
			synctest.Wait()
		}
		if got := admit(t, r, Request{Action: Publish, Who: "b"}); got != "" {
			t.Errorf("%q: keys do not touch one another", got)
		}
		wg.Wait()
		// 4 and 5 would wait too long and are told so at once
		want := "0@0s internal, 4@0s throttled, 5@0s throttled, 1@100ms internal, 2@200ms internal, 3@300ms internal"
		if got := strings.Join(order, ", "); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		if got := counts.String(); got != "pace allowed 2, pace rejected 2, pace shaped 3" {
			t.Error(got)
		}
	})
}

func TestWaitingForAPlaceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := load(t, newLog(), Options{})
		put(t, r, "club", Definition{Limit: "concurrency 1", Key: "everyone", On: []string{"publish"}, Action: "shape", MaxWait: "2s"})
		put(t, r, "count", Definition{Limit: "100/1h", Key: "everyone", On: []string{"publish"}})
		q := Request{Action: Publish}
		leave, err := r.Admit(t.Context(), &q)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if got := admit(t, r, q); got != "overloaded" || time.Since(begin) != 2*time.Second {
			t.Errorf("%q after %s", got, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Admit(ctx, &q); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: the caller went away", err)
		}
		if v, _ := r.Check(t.Context(), "count", Check{Peek: true}); v.Remaining != 99 {
			t.Errorf("%d left: who was refused in line, or went away, gets the rest back", v.Remaining)
		}
		go func() { <-time.After(time.Second); leave() }()
		if got := admit(t, r, q); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	for _, n := range []int{0, 1, 4} {
		b.Run(fmt.Sprint(n, "limits"), func(b *testing.B) {
			fixed := map[string]Definition{}
			for i := range n {
				fixed[fmt.Sprint("l", i)] = Definition{Limit: "inf/s", On: []string{"publish:orders.>"}}
			}
			if n > 0 {
				fixed["l0"] = Definition{Limit: "1000000000/s", On: []string{"publish:orders.>"}}
			}
			r := load(b, newLog(), Options{Fixed: fixed})
			q := Request{Action: Publish, Topics: []string{"orders.eu"}, Remote: "192.0.2.1:1234"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Admit(b.Context(), &q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
