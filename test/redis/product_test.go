package redis_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// limited starts a server whose limits are counted in a store.
func limited(t *testing.T, addr, outage, timeout, limits string) *rig.Server {
	t.Helper()
	config := fmt.Sprintf("throttle:\n  shared: valkey://%s\n  outage: %s\n  timeout: %s\n  limits:\n%s", addr, outage, timeout, limits)
	file := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return rig.Serve(t, "--config", file)
}

// publish sends one event and gives the status.
func publish(t *testing.T, c *http.Client, s *rig.Server, topic string) int {
	t.Helper()
	res, err := c.Post(s.URL+"/v1/topics/"+topic+"/events", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Errorf("publish: %v", err)
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection can be used again
	if (res.StatusCode != 201) != (res.Header.Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	return res.StatusCode
}

// browser is a client with enough idle connections.
func browser(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * askers}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestTwoServersShareALimitInAStore has clients of two servers at once get one quota
// between them, exactly.
func TestTwoServersShareALimitInAStore(t *testing.T) {
	s, c := start(t), browser(t)
	const limits = "    both: {limit: 40/24h, key: everyone, on: [publish]}\n"
	servers := []*rig.Server{limited(t, s.addr, "closed", "5s", limits), limited(t, s.addr, "closed", "5s", limits)}
	var in, out atomic.Int64
	var wg sync.WaitGroup
	for i := range askers {
		wg.Go(func() {
			for range 10 {
				switch status := publish(t, c, servers[i%2], "t"); status {
				case 201:
					in.Add(1)
				case 429:
					out.Add(1)
				default:
					t.Errorf("status %d", status)
				}
			}
		})
	}
	wg.Wait()
	if in.Load() != 40 || out.Load() != 120 {
		t.Errorf("%d were let in, %d refused; the quota is 40", in.Load(), out.Load())
	}
}

// clients publish without a pause, and count what becomes of it.
type clients struct {
	mu       sync.Mutex
	statuses map[int]int
	longest  time.Duration
	stop     chan struct{}
	wg       sync.WaitGroup
}

func (l *clients) begin(t *testing.T, c *http.Client, s *rig.Server) {
	l.stop, l.statuses = make(chan struct{}), map[int]int{}
	for range askers {
		l.wg.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-pace.C:
				}
				begin := time.Now()
				status := publish(t, c, s, "t")
				l.mu.Lock()
				l.statuses[status]++
				l.longest = max(l.longest, time.Since(begin))
				l.mu.Unlock()
			}
		})
	}
}

// figures are the statuses since the last look.
func (l *clients) figures() map[int]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.statuses
	l.statuses = map[int]int{}
	return out
}

func (l *clients) end() {
	close(l.stop)
	l.wg.Wait()
}

// TestTheStoreOfAServerIsKilledAndStartedUnderLoad looks what a server answers while
// its store is away, under each policy, and that it counts there again afterwards.
func TestTheStoreOfAServerIsKilledAndStartedUnderLoad(t *testing.T) {
	for outage, want := range map[string][]int{"open": {201}, "closed": {503}, "local": {201, 429}} {
		t.Run(outage, func(t *testing.T) {
			s, c := start(t), browser(t)
			server := limited(t, s.addr, outage, "200ms", "    api: {limit: \"500/10s\", key: everyone, on: [publish]}\n")
			var l clients
			l.begin(t, c, server)
			defer l.end()
			away := func() string { return server.Metric("parley_throttle_shared_away") }
			for range 2 {
				s.until(20*time.Second, func() bool { f := l.figures(); return f[201] > 0 && f[503] == 0 })
				if away() != "0" {
					t.Fatal("the store is there, and the server says that it is not")
				}
				s.kill()
				s.until(20*time.Second, func() bool { return away() == "1" })
				seen := map[int]int{}
				l.figures() // of calls that were under way
				s.until(20*time.Second, func() bool {
					for status, n := range l.figures() {
						seen[status] += n
					}
					for _, status := range want {
						if seen[status] < 20 {
							return false
						}
					}
					return true
				})
				for status, n := range seen {
					under := false
					for _, w := range want {
						under = under || w == status
					}
					if !under && n > askers { // those that were under way
						t.Errorf("%d answers are %d while the store is away; want %v", n, status, want)
					}
				}
				s.begin()
				s.until(20*time.Second, func() bool { return away() == "0" })
			}
		})
	}
}
