package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// limited is a server with limits.
func limited(t *testing.T, limits map[string]policy.Definition) *running {
	return start(t, func(c *Config, _ *Options) { c.Throttle.Limits = limits })
}

func TestALimitOnPublishing(t *testing.T) {
	r := limited(t, map[string]policy.Definition{"api": {Limit: "2/1h", On: []string{"publish:orders.>"}}})
	for i := range 2 {
		res, body := r.do("POST", "/v1/topics/orders.eu/events", "x")
		if res.StatusCode != 201 || res.Header.Get("RateLimit-Policy") != `"api";q=2;w=3600` || !strings.HasPrefix(res.Header.Get("RateLimit"), fmt.Sprintf(`"api";r=%d;t=`, 1-i)) {
			t.Fatalf("%d %s %v", res.StatusCode, body, res.Header)
		}
	}
	res, body := r.do("POST", "/v1/topics/orders.eu/events", "x")
	var told map[string]any
	if err := json.Unmarshal([]byte(body), &told); err != nil || res.StatusCode != 429 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	wait := res.Header.Get("Retry-After")
	if wait != "1800" && wait != "1799" || fmt.Sprint(told["retry_after"]) != wait || told["error"] != "Rate limit exceeded" || told["message"] != told["detail"] || told["title"] != told["error"] || told["status"] != 429.0 || fmt.Sprint(told["violated-policies"]) != "[api]" {
		t.Errorf("after %q: %s", wait, body)
	}
	if h := res.Header; h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("RateLimit") != `"api";r=0;t=`+wait {
		t.Errorf("%v", h)
	}
	res, _ = r.do("POST", "/v1/topics/orders.eu/events", "x", "Accept", "application/problem+json")
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Error(got)
	}
	// Nothing goes past it.
	r.want(429, "POST", "/v1/topics/orders.us/events?ephemeral=true", "x")
	r.want(429, "POST", "/v1/topics/~orders.us/events", "x")
	r.want(429, "POST", "/v1/publish", `{"topics":[{"topic":"free","events":[{"data":1}]},{"topic":"orders.us","events":[{"data":1}]}]}`)
	r.want(404, "GET", "/v1/topics/free", "")
	r.want(201, "POST", "/v1/topics/free/events", "x")
	r.want(200, "GET", "/v1/topics/orders.eu/events", "")
	metrics := r.want(200, "GET", "/metrics", "")
	for _, want := range []string{`parley_throttle_decisions_total{decision="allowed",limit="api"} 2`, `parley_throttle_decisions_total{decision="rejected",limit="api"} 5`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestLimitsOnPollingAndStreams(t *testing.T) {
	r := limited(t, map[string]policy.Definition{
		"polls":   {Limit: "1/1h", On: []string{"poll"}},
		"streams": {Limit: "concurrency 2", On: []string{"subscribe"}},
	})
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(200, "GET", "/v1/topics/a/events", "")
	r.want(429, "GET", "/v1/topics/a/events", "")
	stream := func(path string) (*http.Response, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", r.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res, func() { cancel(); _ = res.Body.Close() }
	}
	// A stream that begins tells its place; one that finds no room only when to
	// come back: a browser gives up for good on any status but 200.
	opened := func(res *http.Response) bool {
		br := bufio.NewReader(res.Body)
		retry, err := br.ReadString('\n')
		if err != nil || !strings.HasPrefix(retry, "retry: ") || res.StatusCode != 200 {
			t.Fatalf("%d %q %v", res.StatusCode, retry, err)
		}
		line, err := br.ReadString('\n')
		return err == nil && strings.HasPrefix(line, "id: ")
	}
	one, endOne := stream("/v1/topics/a/events")
	two, endTwo := stream("/v1/sse?topic=a&topic=b.>")
	defer endTwo()
	if !opened(one) || !opened(two) {
		t.Fatal("no stream")
	}
	three, end := stream("/v1/topics/a/events")
	if opened(three) {
		t.Error("three are inside")
	}
	end()
	if res, _ := r.do("GET", "/v1/topics/a/ws", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a socket: %d %v", res.StatusCode, res.Header)
	}
	endOne()
	r.until(func() bool { // its place is free when the server has seen it go
		four, end := stream("/v1/topics/a/events")
		defer end()
		return opened(four)
	})
}

// until waits for what comes soon.
func (r *running) until(done func() bool) {
	r.t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for range 1000 {
		if done() {
			return
		}
		<-pause.C
	}
	r.t.Fatal("it does not come")
}

func TestAnAddressBehindAProxy(t *testing.T) {
	limits := map[string]policy.Definition{"api": {Limit: "1/1h", On: []string{"poll"}}}
	r := start(t, func(c *Config, _ *Options) { c.Throttle.Limits, c.Throttle.Trusted = limits, []string{"127.0.0.1"} })
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(200, "GET", "/v1/topics/a/events", "", "X-Forwarded-For", "192.0.2.1")
	r.want(429, "GET", "/v1/topics/a/events", "", "X-Forwarded-For", "198.51.100.7, 192.0.2.1")
	r.want(200, "GET", "/v1/topics/a/events", "", "X-Forwarded-For", "192.0.2.2")
	r = limited(t, limits) // who trusts nobody
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(200, "GET", "/v1/topics/a/events", "", "X-Forwarded-For", "192.0.2.1")
	r.want(429, "GET", "/v1/topics/a/events", "", "X-Forwarded-For", "192.0.2.2")
}

func TestLimitsArePutAndSurvive(t *testing.T) {
	dir := t.TempDir()
	r := start(t, func(c *Config, _ *Options) { c.Data = dir })
	made := r.want(201, "PUT", "/v1/limits/login", `{"limit":"sliding-log 1/1h","on":["publish"]}`)
	if !strings.Contains(made, `"algorithm":"sliding-log"`) || !strings.Contains(made, `"origin":"api"`) || !strings.Contains(made, `"key":"ip"`) {
		t.Error(made)
	}
	r.want(200, "PUT", "/v1/limits/login", `{"limit":"sliding-log 1/1h","on":["publish"]}`)
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(429, "POST", "/v1/topics/a/events", "x")
	r.end()
	r = start(t, func(c *Config, _ *Options) { c.Data = dir })
	if list := r.want(200, "GET", "/v1/limits", ""); !strings.Contains(list, `"name":"login"`) {
		t.Error(list)
	}
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(429, "POST", "/v1/topics/a/events", "x")
	if told := r.want(200, "GET", "/v1/topics/$limits/events?after=earliest", ""); !strings.Contains(told, "parley.limit.put") {
		t.Error(told)
	}
	r.want(200, "PUT", "/v1/limits/login", `{"limit":"0/s","on":["request"]}`)
	r.want(403, "GET", "/v1/topics", "")
	r.want(204, "DELETE", "/v1/limits/login", "") // a door that is shut can be opened
	r.want(201, "POST", "/v1/topics/a/events", "x")
	if metrics := r.want(200, "GET", "/metrics", ""); strings.Contains(metrics, `limit="login"`) {
		t.Error("a limit that is gone is still counted")
	}
}

func TestChecksOverHTTP(t *testing.T) {
	r := limited(t, map[string]policy.Definition{"otp": {Limit: "sliding-log 3/1h"}})
	check := func(body, want string) {
		t.Helper()
		got := r.want(200, "POST", "/v1/limits/otp/check", body)
		var a struct {
			Allowed    bool    `json:"allowed"`
			Limit      int64   `json:"limit"`
			Remaining  int64   `json:"remaining"`
			RetryAfter float64 `json:"retry_after"`
			Reset      float64 `json:"reset"`
			Reason     string  `json:"reason"`
		}
		if err := json.Unmarshal([]byte(got), &a); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %d %d %v %v %s", a.Allowed, a.Limit, a.Remaining, a.RetryAfter > 3599, a.Reset > 3599, a.Reason); text != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	check("", "true 3 2 false true ")
	check(`{"key":"u","cost":2}`, "true 3 1 false true ")
	check(`{"key":"u","cost":2}`, "false 3 1 true true limited")
	check(`{"key":"u","cost":2,"peek":true}`, "false 3 1 true true limited")
	check(`{"key":"u","cost":0}`, "true 3 1 false true ")
	check(`{"key":"u","refund":true}`, "true 3 2 false true ")
	check(`{"key":"u","cost":4}`, "false 3 2 false true impossible")
}

func TestEnvoysFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
domain: edge
descriptors:
  - key: path
    value: /login
    rate_limit: {unit: hour, requests_per_unit: 1}
  - key: path
    rate_limit: {unlimited: true}
  - key: shy
    shadow_mode: true
    rate_limit: {name: shy, unit: MINUTE, requests_per_unit: 0}
    descriptors:
      - key: inner
        value: a*
`)
	l, err := load(t, "throttle: {envoy: ["+file+"]}", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config, _ *Options) { c.GRPC, c.Throttle = "127.0.0.1:0", l.Config.Throttle })
	conn, err := grpc.NewClient(r.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(key, value, want string) {
		t.Helper()
		// what an Envoy sends: domain = 1, descriptors = 2 {entries = 1 {key = 1, value = 2}}
		field := func(n byte, body string) string { return string([]byte{n<<3 | 2, byte(len(body))}) + body }
		in := wireBytes(field(1, "edge") + field(2, field(1, field(1, key)+field(2, value))))
		var out wireBytes
		if err := conn.Invoke(t.Context(), "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", &in, &out, grpc.ForceCodec(rawCodec{})); err != nil {
			t.Fatal(err)
		}
		if got := map[byte]string{1: "OK", 2: "OVER_LIMIT"}[out[1]]; out[0] != 1<<3 || got != want {
			t.Errorf("%s=%s: %x, want %s", key, value, out, want)
		}
	}
	ask("path", "/login", "OK")
	ask("path", "/login", "OVER_LIMIT")
	ask("path", "/", "OK")
	ask("shy", "x", "OK")
	if text := r.want(200, "GET", "/metrics", ""); !strings.Contains(text, `parley_throttle_decisions_total{decision="rejected",limit="edge.path_/login"} 1`) || !strings.Contains(text, `{decision="would_reject",limit="edge.shy"} 1`) {
		t.Error(text)
	}
	for text, want := range map[string]string{
		"domain: edge\ndescriptors:\n  - kee: x": "throttle.envoy[0]",
		"domain: ''":                             "throttle.envoy[0].domain",
		"domain: a\ndescriptors: [{key: k, rate_limit: {unit: fortnight}}]": "throttle.envoy[0].descriptors[0].rate_limit.unit",
	} {
		write(text)
		_, err := New(l.Config, Options{})
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != want || e.Fix == "" {
			t.Errorf("%q: %v, want an error about %s", text, err, want)
		}
	}
	_ = os.Remove(file)
	if _, err := New(l.Config, Options{}); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
}

// wireBytes is a message as it is on the wire, so that no generated code is
// between the test and the bytes.
type wireBytes []byte

type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*wireBytes), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*wireBytes) = append(wireBytes(nil), b...)
	return nil
}
