package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

func limitsOver(t testing.TB, log parley.Log, o policy.Options) *policy.Registry {
	t.Helper()
	limits, err := policy.New(log, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := limits.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return limits
}

// gated is a rig with limits before it.
func gated(t testing.TB, limits map[string]policy.Definition) *rig {
	return newRig(t, func(s *setup) {
		s.log = memlog.New(memlog.Options{})
		s.Throttle = limitsOver(t, s.log, policy.Options{Fixed: limits})
		s.Admission = door.Limited(s.Throttle)
	})
}

func TestMessagesOnASocketAreLimitedEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gated(t, map[string]policy.Definition{"pace": {Limit: "sliding-log 2/10s", Key: "header:X-Tenant", On: []string{"publish"}}})
		one, two := r.socket("", "X-Tenant: 1\r\n"), r.socket("", "X-Tenant: 2\r\n")
		data := func(p *peer, want string) {
			t.Helper()
			if op, got := p.frame(); op != websocket.Text || got != want {
				t.Fatalf("%v %q, want %q", op, got, want)
			}
		}
		for _, text := range []string{"one0", "one1"} {
			one.send(websocket.Text, text)
			data(one, text)
			data(two, text)
		}
		two.send(websocket.Text, "two0") // another tenant has its own
		data(one, "two0")
		data(two, "two0")
		one.send(websocket.Text, "one2")
		if code, reason := one.closed(); code != websocket.CloseTooMany || !strings.Contains(reason, "pace") {
			t.Errorf("%d %q", code, reason)
		}
		two.send(websocket.Text, "two1")
		data(two, "two1")
	})
}

func TestAHeldPollKeepsItsPlaceInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gated(t, map[string]policy.Definition{"held": {Limit: "concurrency 1", Key: "everyone", On: []string{"poll"}}})
		r.must("a", "1")
		_, first := r.raw("GET " + events + "?after=latest&wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		synctest.Wait()
		res, body := r.do("GET", events, "")
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || res.Header.Get("RateLimit") != `"held";r=0;t=1` {
			t.Fatalf("%d %s %v", res.StatusCode, body, res.Header)
		}
		r.must("a", "2")
		if res, _ := r.response(first, "GET"); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		synctest.Wait()
		if res, body := r.do("GET", events, ""); res.StatusCode != 200 {
			t.Errorf("%d %s: the place was not left", res.StatusCode, body)
		}
		if h := r.h2(); h != nil { // where the handler itself waits
			if res, _ := r.over(h, r.request("GET", events+"?after=latest&wait=1s", "")); res.StatusCode != 200 {
				t.Error(res.Status)
			}
		}
		if res, _ := r.do("GET", events, ""); res.StatusCode != 200 {
			t.Error(res.Status)
		}
	})
}

func TestAShapedPublishWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gated(t, map[string]policy.Definition{"pace": {Limit: "leaky-queue 1/s", Key: "everyone", On: []string{"publish"}, Action: "shape", MaxWait: "2s"}})
		begin := time.Now()
		var took []string
		for range 3 {
			if res, body := r.do("POST", events, "x"); res.StatusCode != 201 {
				t.Fatal(body)
			}
			took = append(took, time.Since(begin).String())
		}
		if got := strings.Join(took, " "); got != "0s 1s 2s" {
			t.Error(got)
		}
		answers := make(chan int, 4)
		for range 4 {
			req := r.request("POST", events, "x")
			go func() {
				res, err := r.client.Do(req)
				if err != nil {
					answers <- 0
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				answers <- res.StatusCode
			}()
		}
		counts := map[int]int{}
		for range 4 {
			counts[<-answers]++
		}
		if counts[201] != 2 || counts[429] != 2 || time.Since(begin) != 4*time.Second {
			t.Errorf("%v after %s", counts, time.Since(begin))
		}
	})
}

func TestLimitsThroughTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "throttle:login.*", "throttle admin", "read manage publish")
		r := newRig(t, func(s *setup) {
			s.Identify, s.log = ids, memlog.New(memlog.Options{})
			s.Throttle = limitsOver(t, s.log, policy.Options{Fixed: map[string]policy.Definition{"api": {Limit: "1/s"}}})
		})
		as := func(i int) []string { return []string{"Authorization", "Bearer " + secrets[i]} }
		want := func(i, status int, method, path, body string) string {
			t.Helper()
			res, answer := r.do(method, path, body, as(i)...)
			if res.StatusCode != status {
				t.Fatalf("%s %s as %d: %d %s, want %d", method, path, i, res.StatusCode, answer, status)
			}
			return answer
		}
		want(1, 201, "PUT", "/v1/limits/login.web", `{"limit":"5/15m","algorithm":"sliding-log"}`)
		want(1, 200, "PUT", "/v1/limits/login.web", `{"limit":"6/15m","algorithm":"sliding-log"}`)
		want(0, 403, "PUT", "/v1/limits/login.web", `{"limit":"9/s"}`)
		want(2, 403, "PUT", "/v1/limits/login.web", `{"limit":"9/s"}`)
		want(2, 403, "DELETE", "/v1/limits/login.web", "")
		want(0, 200, "GET", "/v1/limits/login.web", "")
		want(0, 403, "GET", "/v1/limits/api", "")
		want(0, 403, "POST", "/v1/limits/api/check", "")
		want(2, 403, "POST", "/v1/limits/login.web/check", "")
		if got := want(0, 200, "POST", "/v1/limits/login.web/check", `{"key":"ann"}`); !strings.Contains(got, `"allowed":true,"limit":6,"remaining":5`) {
			t.Error(got)
		}
		for i, names := range []string{"[login.web]", "[api login.web]", "[]"} {
			var list LimitList
			if err := json.Unmarshal([]byte(want(i, 200, "GET", "/v1/limits", "")), &list); err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, l := range list.Limits {
				got = append(got, l.Name)
			}
			if fmt.Sprint(got) != names {
				t.Errorf("%d sees %v, want %s", i, got, names)
			}
		}
		want(1, 204, "DELETE", "/v1/limits/login.web", "")
		want(1, 404, "GET", "/v1/limits/login.web", "")
		if res, _ := r.do("POST", "/v1/limits/api/check", "", as(1)...); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	})
}

// TestTheKeysOfALimit looks while requests are refused: by whom, and until when.
func TestTheKeysOfALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "throttle:api", "admin:api publish")
		r := newRig(t, func(s *setup) {
			s.Identify, s.log = ids, memlog.New(memlog.Options{})
			s.Throttle = limitsOver(t, s.log, policy.Options{Fixed: map[string]policy.Definition{"api": {Limit: "2/10s", Key: "token+topic", On: []string{"publish"}}}})
			s.Admission = door.Limited(s.Throttle)
		})
		as := []string{"Authorization", "Bearer " + secrets[1]}
		for range 3 {
			r.do("POST", events, "x", as...)
		}
		if res, body := r.do("GET", "/v1/limits/api/keys", "", "Authorization", "Bearer "+secrets[0]); res.StatusCode != 403 {
			t.Errorf("who may only check sees other callers: %d %s", res.StatusCode, body)
		}
		res, body := r.do("GET", "/v1/limits/api/keys?top=5&by=spent", "", as...)
		want := `"top":[{"key":"2:tb1:a","parts":["tb","a"],"spent":2,"remaining":0,"reset":5,"free":10,"waiting":0,"counts":{"allowed":2,"rejected":1,"shaped":0,"would_reject":0}}]}`
		if res.StatusCode != 200 || !strings.Contains(body, want) || !strings.Contains(body, `"keys":1,"waiting":0,"counts":{"allowed":2,"rejected":1,`) {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		if res, body := r.do("GET", "/v1/limits/api", "", as...); res.StatusCode != 403 || strings.Contains(body, "counts") {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	})
}

// TestACheckThatRefuses answers as the door would, for who asks before forwarding.
func TestACheckThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gated(t, map[string]policy.Definition{"api": {Limit: "sliding-log 2/10s"}, "shut": {Limit: "0/1s"}, "dry": {Limit: "0/1s", Mode: "shadow"}})
		check := func(limit, body string, status int, remaining string) (*http.Response, string) {
			t.Helper()
			res, answer := r.do("POST", "/v1/limits/"+limit+"/check?refuse=true", body)
			if res.StatusCode != status || res.Header.Get("RateLimit") != remaining {
				t.Fatalf("%s %s: %d %v %s, want %d and %s", limit, body, res.StatusCode, res.Header, answer, status, remaining)
			}
			return res, answer
		}
		check("api", `{"key":"k","cost":2}`, 200, `"api";r=0;t=10`)
		res, answer := check("api", `{"key":"k"}`, 429, `"api";r=0;t=10`)
		if res.Header.Get("Retry-After") != "10" || res.Header.Get("RateLimit-Policy") != `"api";q=2;w=10` || !strings.Contains(answer, `"error":"Rate limit exceeded"`) || !strings.Contains(answer, `"retry_after":10`) {
			t.Errorf("%v %s", res.Header, answer)
		}
		check("api", `{"key":"new","cost":3}`, 413, `"api";r=2`)
		check("shut", `{}`, 403, `"shut";r=0`)
		check("dry", `{}`, 200, `"dry";r=0`)
		if res, answer := r.do("POST", "/v1/limits/api/check", `{"key":"k"}`); res.StatusCode != 200 || res.Header.Get("RateLimit") != "" || !strings.Contains(answer, `"allowed":false`) {
			t.Errorf("%d %v %s", res.StatusCode, res.Header, answer)
		}
	})
}
