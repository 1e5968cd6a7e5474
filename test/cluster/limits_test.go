package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/test/rig"
)

// The limits that are shared: one whose window is in the log, one in the owner's
// memory. Waiting is long here, so that a busy machine is no outage.
const sharedLimits = `throttle:
  shared: log
  outage: closed
  timeout: 5s
  limits:
    day: {limit: 40/24h, algorithm: sliding-log, key: everyone, on: ["publish:daily"]}
    minute: {limit: 30/10m, algorithm: sliding-log, key: everyone, on: ["publish:hourly"]}
`

func openLimited(t *testing.T, url string) door {
	t.Helper()
	file := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(file, []byte(sharedLimits), 0o600); err != nil {
		t.Fatal(err)
	}
	s := rig.Start(t, "--config", file, "--engine", url, "--replicas", "1")
	c, err := client.New(s.URL, client.Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return door{s, c}
}

// storm publishes many times at once at all doors, and counts what was let in.
func storm(ctx context.Context, t *testing.T, topic string, doors ...door) (allowed, refused int64) {
	t.Helper()
	var in, out atomic.Int64
	var wg sync.WaitGroup
	for _, d := range doors {
		for range 8 {
			wg.Go(func() {
				for range 10 {
					_, err := d.client.Publish(ctx, topic, event(1))
					var e *parley.Error
					switch {
					case err == nil:
						in.Add(1)
					case errors.As(err, &e) && e.Code == parley.Throttled && e.RetryAfter > 0:
						out.Add(1)
					default:
						t.Errorf("%s: %v", topic, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	return in.Load(), out.Load()
}

// TestTwoServersShareALimit has clients of two servers at once get one quota between
// them, exactly; what is counted in the log outlives the server that counted.
func TestTwoServersShareALimit(t *testing.T) {
	url := startServers(t, 1, false).url()
	doors := []door{openLimited(t, url), openLimited(t, url)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for topic, quota := range map[string]int64{"daily": 40, "hourly": 30} {
		if in, out := storm(ctx, t, topic, doors...); in != quota || in+out != 160 {
			t.Errorf("%s: %d were let in, %d refused; the quota is %d", topic, in, out, quota)
		}
	}
	// Whichever of them counts: when it is gone, the other goes on with what was told.
	doors[0].server.Kill()
	rig.Eventually(t, "the counts at the other server", func() bool {
		_, err := doors[1].client.Publish(ctx, "daily", event(1))
		if err == nil {
			t.Error("the quota of a day was forgotten with a server")
			return true
		}
		return parley.CodeOf(err) == parley.Throttled
	})
}
