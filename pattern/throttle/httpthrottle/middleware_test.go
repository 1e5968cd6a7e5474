package httpthrottle

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

func mustLimiter(t testing.TB, name, limit string, o throttle.Options) *throttle.Limiter {
	t.Helper()
	l, err := throttle.ParseLimit(limit)
	if err != nil {
		t.Fatal(err)
	}
	o.Name = name
	limiter, err := throttle.New(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func wrap(t testing.TB, o Options, next http.HandlerFunc) http.Handler {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if next == nil {
		next = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	}
	return m(next)
}

func get(h http.Handler, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := wrap(t, Options{Rules: []Rule{{Limiter: mustLimiter(t, "api", "1/1m", throttle.Options{})}}, Legacy: true}, nil)
		first := get(h)
		if first.Code != http.StatusNoContent || first.Header().Get("RateLimit") != `"api";r=0;t=60` {
			t.Fatalf("%d %v", first.Code, first.Header())
		}
		<-time.After(1500 * time.Millisecond)
		w := get(h)
		for name, want := range map[string]string{
			"Retry-After": "59", "RateLimit": `"api";r=0;t=59`, "RateLimit-Policy": `"api";q=1;w=60`, "Cache-Control": "no-store",
			"Content-Type": "application/json", "X-Ratelimit-Limit": "1", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "59",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		want := `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Rate limit exceeded","status":429,` +
			`"detail":"More requests came than the limit admits. Try again in 59 seconds.","error":"Rate limit exceeded",` +
			`"message":"More requests came than the limit admits. Try again in 59 seconds.","retry_after":59,"violated-policies":["api"]}` + "\n"
		if got := w.Body.String(); w.Code != http.StatusTooManyRequests || got != want {
			t.Errorf("%d %s", w.Code, got)
		}
		<-time.After(59 * time.Second)
		if w := get(h); w.Code != http.StatusNoContent {
			t.Errorf("%d after what Retry-After said", w.Code)
		}
	})
}

func TestProblemOnlyByName(t *testing.T) {
	h := wrap(t, Options{Rules: []Rule{{Limiter: mustLimiter(t, "", "0/s", throttle.Options{})}}}, nil)
	for accept, want := range map[string]string{
		"":                         "application/json",
		"*/*":                      "application/json",
		"application/*":            "application/json",
		"application/problem+json": "application/problem+json",
		"text/html, application/problem+json;q=0.5": "application/problem+json",
		"application/problem+json;q=0":              "application/json",
		"application/problem+json;q=x":              "application/json",
		";;;,application/problem+json":              "application/problem+json",
	} {
		if got := get(h, "Accept", accept).Header().Get("Content-Type"); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

func TestStatusOfRefusals(t *testing.T) {
	cost := func(*http.Request) int64 { return 5 }
	for _, c := range []struct {
		name, limit string
		cost        func(*http.Request) int64
		status      int
		waits       bool
	}{
		{"rate", "1/1m", nil, http.StatusTooManyRequests, true},
		{"concurrency", "concurrency 1", nil, http.StatusServiceUnavailable, true},
		{"cost above the burst", "3/s", cost, http.StatusRequestEntityTooLarge, false},
		{"zero", "0/s", nil, http.StatusForbidden, false},
	} {
		limiter := mustLimiter(t, "l", c.limit, throttle.Options{})
		limiter.AllowN("", 1)
		h := wrap(t, Options{Rules: []Rule{{Limiter: limiter, Key: Everyone(), Cost: c.cost}}}, nil)
		w := get(h)
		var b Body
		if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || b.Status != c.status || (w.Header().Get("Retry-After") != "") != c.waits || (b.RetryAfter > 0) != c.waits {
			t.Errorf("%s: %d, Retry-After %q, %+v", c.name, w.Code, w.Header().Get("Retry-After"), b)
		}
		if b.Title == "" || b.Detail == "" || b.Error == "" || b.Message == "" {
			t.Errorf("%s: %+v", c.name, b)
		}
	}
	h := wrap(t, Options{Rules: []Rule{{Limiter: mustLimiter(t, "", "0/s", throttle.Options{})}}}, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	if w.Body.Len() != 0 || w.Code != http.StatusForbidden {
		t.Errorf("HEAD: %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestRulesTogether(t *testing.T) {
	perKey := mustLimiter(t, "key", "1/1h", throttle.Options{})
	all := mustLimiter(t, "all", "10/1h", throttle.Options{})
	h := wrap(t, Options{Rules: []Rule{{Limiter: perKey, Key: Header("K")}, {Limiter: all, Key: Everyone()}}}, nil)
	for range 5 {
		get(h, "K", "a")
	}
	if left := all.Peek("").Remaining; left != 9 {
		t.Errorf("%d left for all: refusals burned some", left)
	}
	w := get(h, "K", "b")
	if got := w.Header().Get("RateLimit"); got != `"key";r=0;t=3600, "all";r=8;t=360` {
		t.Error(got)
	}
	if got := w.Header().Get("RateLimit-Policy"); got != `"key";q=1;w=3600, "all";q=10;w=3600` {
		t.Error(got)
	}
}

func TestExemptAndShadow(t *testing.T) {
	var seen []Observation
	limiter := mustLimiter(t, "l", "1/1h", throttle.Options{})
	bans, err := throttle.NewBans(throttle.Ban{After: 1}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := wrap(t, Options{
		Rules: []Rule{{Limiter: limiter}}, Shadow: true, Bans: bans,
		Exempt:  func(r *http.Request) bool { return r.Header.Get("Staff") != "" },
		Observe: func(_ *http.Request, o Observation) { seen = append(seen, o) },
	}, nil)
	bans.Set("192.0.2.1", time.Hour)
	for range 3 {
		if w := get(h); w.Code != http.StatusNoContent || w.Header().Get("RateLimit") != "" {
			t.Errorf("a shadow refused or spoke: %d %v", w.Code, w.Header())
		}
	}
	get(h, "Staff", "yes")
	var refusals, banned int
	for _, o := range seen {
		if !o.Shadow {
			t.Errorf("%+v is no shadow", o)
		}
		switch {
		case o.Decision.Reason == throttle.Banned:
			banned++
		case !o.Decision.OK:
			refusals++
		}
	}
	if len(seen) != 6 || refusals != 2 || banned != 3 {
		t.Errorf("%d observations, %d refusals, %d bans; want 6, 2, 3", len(seen), refusals, banned)
	}
}

func TestBansInMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bans, err := throttle.NewBans(throttle.Ban{After: 3, For: time.Hour, Max: time.Hour}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := wrap(t, Options{Rules: []Rule{{Limiter: mustLimiter(t, "l", "1/s", throttle.Options{})}}, Bans: bans}, nil)
		for range 4 {
			get(h)
		}
		w := get(h)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "3600" || !strings.Contains(w.Body.String(), "abnormal-usage-detected") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		<-time.After(time.Hour)
		if w := get(h); w.Code != http.StatusNoContent {
			t.Errorf("%d after the lock-out", w.Code)
		}
	})
}

func TestShaping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := mustLimiter(t, "slow", "leaky-queue 1/s", throttle.Options{MaxWait: 2 * time.Second})
		quota := mustLimiter(t, "quota", "10/1h", throttle.Options{})
		h := wrap(t, Options{Rules: []Rule{{Limiter: slow, Wait: true}, {Limiter: quota}}}, nil)
		begin := time.Now()
		type result struct {
			code int
			at   time.Duration
		}
		results := make(chan result, 10)
		for range 4 {
			go func() {
				w := get(h)
				results <- result{w.Code, time.Since(begin)}
			}()
			synctest.Wait()
		}
		for _, want := range []result{{204, 0}, {429, 0}, {204, time.Second}, {204, 2 * time.Second}} {
			if got := <-results; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		if left := quota.Peek("192.0.2.1").Remaining; left != 7 {
			t.Errorf("%d left: who was refused in line got nothing back", left)
		}
		// A client that goes away leaves the line.
		ctx, cancel := context.WithCancel(t.Context())
		get(h)
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
			results <- result{w.Code, 0}
		}()
		synctest.Wait()
		cancel()
		if got := <-results; got.code != http.StatusServiceUnavailable || slow.Stats().Waiting != 0 {
			t.Errorf("%d with %d still in line", got.code, slow.Stats().Waiting)
		}
	})
}

func TestPlacesAreLeft(t *testing.T) {
	limiter := mustLimiter(t, "in", "concurrency 1", throttle.Options{})
	inside := make(chan struct{})
	leave := make(chan struct{})
	h := wrap(t, Options{Rules: []Rule{{Limiter: limiter}}}, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Do") {
		case "stay":
			close(inside)
			<-leave
		case "panic":
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		get(h, "Do", "stay")
	}()
	<-inside
	if w := get(h); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v while full", w.Code, w.Header())
	}
	close(leave)
	<-done
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		get(h, "Do", "panic")
	}()
	if w := get(h); w.Code != http.StatusNoContent || w.Header().Get("RateLimit") != `"in";r=0` {
		t.Errorf("%d %v after all have left", w.Code, w.Header())
	}
}

func TestAdaptiveLearnsFromStatus(t *testing.T) {
	limiter := mustLimiter(t, "a", "adaptive 10 max=20", throttle.Options{})
	h := wrap(t, Options{Rules: []Rule{{Limiter: limiter}}}, func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("the writer cannot flush")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	get(h)
	if left := limiter.Peek("192.0.2.1").Remaining; left != 9 {
		t.Errorf("%d places after a 503, want 9", left)
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":    {},
		"no limiter": {Rules: []Rule{{}}},
		"too many":   {Rules: make([]Rule, throttle.MaxTogether+1)},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func BenchmarkMiddleware(b *testing.B) {
	h := wrap(b, Options{Rules: []Rule{{Limiter: mustLimiter(b, "l", "1000000000/s", throttle.Options{})}}}, func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
