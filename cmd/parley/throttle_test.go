package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/server"
)

// proxied runs `throttle --upstream` and gives its URL.
func proxied(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // ended by Cleanup, before the program is waited for
	r, w := io.Pipe()
	a := &app{in: strings.NewReader(""), out: w, err: io.Discard}
	code := make(chan int, 1)
	go func() {
		code <- a.run(ctx, append([]string{"throttle", "--json", "--listen", "127.0.0.1:0"}, args...))
		_ = w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_, _ = io.Copy(io.Discard, r)
		if c := <-code; c != exitOK {
			t.Errorf("code %d", c)
		}
	})
	var e struct{ Result throttling }
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.Result.HTTP == "" {
		t.Fatal(err, line)
	}
	return e.Result.HTTP
}

// statuses makes requests, one after the other.
func statuses(t *testing.T, url string, n int) (got []int, last *http.Response) {
	t.Helper()
	for range n {
		res, err := http.Get(url) // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		got, last = append(got, res.StatusCode), res
	}
	return got, last
}

// Of five requests in a second the fourth and the fifth are refused, and let in a
// second later.
func TestThrottleBeforeAnUpstream(t *testing.T) {
	var seen http.Header
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer upstream.Close()
	url := proxied(t, "--upstream", upstream.URL+"/base", "--limit", "3/s")
	got, last := statuses(t, url+"/x?y=z", 5)
	if fmt.Sprint(got) != "[200 200 200 429 429]" || last.Header.Get("Retry-After") != "1" || last.Header.Get("RateLimit-Policy") != `"limit";q=3;w=1` {
		t.Fatalf("%v %v", got, last.Header)
	}
	<-time.After(time.Second) // as Retry-After says
	if got, _ = statuses(t, url+"/x?y=z", 2); fmt.Sprint(got) != "[200 200]" {
		t.Error(got)
	}
	if seen.Get("X-Forwarded-For") != "127.0.0.1" || seen.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%v", seen)
	}
}

func TestThrottleShapesAndStreams(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_, _ = io.WriteString(w, "first\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // the rest never comes
		}
	}))
	defer upstream.Close()
	url := proxied(t, "--upstream", upstream.URL, "--limit", "leaky-queue 20/s", "--shape", "5s")
	begin := time.Now()
	if got, _ := statuses(t, url, 4); fmt.Sprint(got) != "[200 200 200 200]" || time.Since(begin) < 150*time.Millisecond {
		t.Errorf("%v in %s", got, time.Since(begin))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "first\n" {
		t.Errorf("%q %v: a stream passes as it comes", line, err)
	}
}

func TestThrottleWithoutItsUpstream(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	url := proxied(t, "--upstream", gone.URL, "--limit", "2/1h", "--limit", "concurrency 5")
	if got, _ := statuses(t, url, 3); fmt.Sprint(got) != "[502 502 429]" {
		t.Error(got)
	}
}

func TestThrottleMistakes(t *testing.T) {
	for _, c := range []struct{ args, why, fix string }{
		{"throttle --upstream localhost:3000 --limit 3/s", "is not an http or https URL", "http://127.0.0.1:3000"},
		{"throttle --upstream http://localhost:1", "--limit is missing", "--limit 3/s"},
		{"throttle --upstream http://localhost:1 --limit many", "quota", "3/s"},
		{"throttle --upstream http://localhost:1 --limit 3/s --key cookie", "cookie", "--key ip"},
		{"throttle --upstream http://localhost:1 --limit 3/s --trusted proxy", "proxy", "10.0.0.0/8"},
		{"throttle --upstream http://localhost:1 --limit 3/s --shape -1s", "negative", "--shape"},
		{"throttle try", "LIMIT is missing", "parley throttle try"},
		{"throttle try 3/x", "window", "3/s"},
		{"throttle try 3/s --calls 0", "cannot be tried", "--calls"},
		{"throttle put api", "--limit is missing", "--limit 100/1m"},
		{"throttle lss", "is not a command", "did you mean parley throttle ls?"},
	} {
		r := invoke(t, strings.Fields(c.args)...)
		if r.code != exitUsage || !strings.Contains(r.err, c.why) || !strings.Contains(r.err, c.fix) {
			t.Errorf("%s: %d %s", c.args, r.code, r.err)
		}
	}
}

func TestThrottleTryHere(t *testing.T) {
	r := invoke(t, "throttle", "try", "3/s")
	want := `CALL   AT MS   ANSWER    REMAINING   RETRY AFTER MS
1      0       allowed   2           
2      0       allowed   1           
3      0       allowed   0           
4      0       denied    0           333.333
5      0       denied    0           333.333
`
	if r.code != exitOK || r.out != want || !strings.Contains(r.err, "3 calls allowed, 2 denied") {
		t.Errorf("%d %q %s", r.code, r.out, r.err)
	}
	r = invoke(t, "throttle", "try", "--json", "sliding-log 2/s", "--every", "400ms", "-n", "4", "--cost", "1")
	if e := parse(t, r.out); e.Command != "throttle try" || !strings.Contains(r.out, `"at_ms":800,"allowed":false`) || !strings.Contains(r.out, `"at_ms":1200,"allowed":true`) {
		t.Errorf("%+v %s", e, r.out)
	}
}

func TestThrottleOfAServer(t *testing.T) {
	cfg := server.Default()
	cfg.Data, cfg.Listen, cfg.GRPC, cfg.Drain = ":memory:", "127.0.0.1:0", "off", 0
	started := make(chan server.Addresses, 1)
	s, err := server.New(cfg, server.Options{Log: slog.New(slog.DiscardHandler), Started: func(a server.Addresses) { started <- a }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // ended by Cleanup, before the server is waited for
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	at := "http://" + (<-started).HTTP
	do := func(code int, args ...string) result {
		t.Helper()
		r := invoke(t, append(append([]string{"throttle"}, args...), "--server", at)...)
		if r.code != code {
			t.Fatalf("%v: code %d, %s %s", args, r.code, r.out, r.err)
		}
		return r
	}
	do(exitPartial, "ls")
	do(exitOK, "put", "login", "--limit", "sliding-log 2/1h")
	do(exitOK, "put", "pace", "--limit", "10/s", "--key", "token", "--on", "publish:orders.>", "--shape", "5s")
	do(exitOK, "put", "quiet", "--limit", "1/s", "--on", "poll", "--shadow")
	list := do(exitOK, "ls").out
	for _, want := range []string{"login", "sliding-log", "2/1h0m0s", "checks", "publish:orders.>", "shape", "shadow"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %s:\n%s", want, list)
		}
	}
	if out := do(exitOK, "try", "login", "-n", "3", "--key", "ann", "--every", "1ms").out; strings.Count(out, "allowed") != 2 || strings.Count(out, "denied") != 1 {
		t.Error(out)
	}
	if out := do(exitOK, "try", "login", "-n", "2", "--peek").out; strings.Count(out, "allowed") != 2 {
		t.Error(out)
	}
	if out := do(exitOK, "top", "login").out; !strings.Contains(out, "ann   2       0      in ") || !strings.HasSuffix(out, "0         2          1\n") {
		t.Error(out)
	}
	if r := do(exitOK, "top", "login", "-n", "1", "--by", "spent"); !strings.Contains(r.err, "login, sliding-log 2/1h0m0s: 2 admitted, 1 refused; 1 key held, 0 waiting, since 20") {
		t.Error(r.err)
	}
	do(exitPartial, "top", "pace")
	do(exitUsage, "top", "login", "--by", "name")
	do(exitOK, "rm", "login")
	do(exitFailure, "top", "login")
	do(exitFailure, "rm", "login")
	do(exitFailure, "try", "login")
	do(exitUsage, "put", "bad", "--limit", "soon")
}
