package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// TestLimitsCountedInTheLog has a limit with a long window go on where it was after a
// restart, through admission and checks alike, and one with a short window work.
func TestLimitsCountedInTheLog(t *testing.T) {
	dir := t.TempDir()
	with := func() *running {
		return start(t, func(c *Config, _ *Options) {
			c.Data, c.Throttle.Shared, c.Throttle.Timeout = dir, "log", 5*time.Second
			c.Throttle.Limits = map[string]policy.Definition{
				"day":   {Limit: "3/24h", Algorithm: "sliding-log", Key: "everyone", On: []string{"publish"}},
				"short": {Limit: "2/1m"},
				"line":  {Limit: "100/1s", Action: "shape", On: []string{"poll"}},
			}
		})
	}
	r := with()
	r.want(201, "POST", "/v1/topics/a/events", "x")
	r.want(200, "GET", "/v1/topics/a/events", "")
	r.want(200, "POST", "/v1/limits/day/check", `{"refund":true}`)
	for range 3 {
		r.want(201, "POST", "/v1/topics/a/events", "x")
	}
	if got := r.want(200, "POST", "/v1/limits/short/check", `{"key":"k","cost":2}`); !strings.Contains(got, `"allowed":true`) {
		t.Error(got)
	}
	if got := r.want(200, "POST", "/v1/limits/short/check", `{"key":"k"}`); !strings.Contains(got, `"allowed":false`) {
		t.Error(got)
	}
	r.want(409, "PUT", "/v1/limits/short", `{"limit": "5/1h"}`)
	r.stop()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	r.done <- nil
	r = with()
	res, body := r.do("POST", "/v1/topics/a/events", "x")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("after a restart: %d %s", res.StatusCode, body)
	}
	if got := r.want(200, "GET", "/metrics", ""); !strings.Contains(got, "parley_throttle_shared_away 0") {
		t.Error("/metrics lacks parley_throttle_shared_away 0")
	}
}

// TestAStoreThatIsNotThere starts without its store, and answers as it was told.
func TestAStoreThatIsNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := "valkey://" + ln.Addr().String()
	_ = ln.Close()
	for outage, want := range map[string][2]int{"local": {201, 429}, "closed": {503, 503}, "open": {201, 201}} {
		t.Run(outage, func(t *testing.T) {
			r := start(t, func(c *Config, _ *Options) {
				c.Throttle.Shared, c.Throttle.Outage = store, outage
				c.Throttle.Limits = map[string]policy.Definition{"api": {Limit: "1/1h", On: []string{"publish"}}}
			})
			for _, status := range want {
				res, body := r.do("POST", "/v1/topics/a/events", "x")
				if res.StatusCode != status || (status != 201) != (res.Header.Get("Retry-After") != "") {
					t.Errorf("%d %s, want %d", res.StatusCode, body, status)
				}
			}
			if got := r.want(200, "GET", "/metrics", ""); !strings.Contains(got, "parley_throttle_shared_away 1") {
				t.Error("/metrics lacks parley_throttle_shared_away 1")
			}
		})
	}
}

func TestWhatAStoreCannotCount(t *testing.T) {
	cfg := Default()
	cfg.Data, cfg.Listen, cfg.GRPC = Memory, "127.0.0.1:0", off
	cfg.Throttle.Shared = "valkey://127.0.0.1:1"
	cfg.Throttle.Limits = map[string]policy.Definition{"exact": {Limit: "1/1h", Algorithm: "sliding-log"}}
	s, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "throttle.limits.exact.algorithm") {
		t.Error(err)
	}
}

// TestDamagedCountsStopNoServer has the counts fail for good: it is said, and nothing
// ends before its time.
func TestDamagedCountsStopNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.without(func(context.Context) error { return parley.Errorf(parley.Damaged, "no snapshot") })(ctx)
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "no snapshot") {
			t.Errorf("it says %q", log.String())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
