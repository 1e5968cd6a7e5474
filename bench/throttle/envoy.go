package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	ratelimit "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/parleyhq/parley/bench/target"
)

// config has a limit for each address, and a stricter one for one path.
const config = `domain: edge
descriptors:
  - key: remote_address
    rate_limit: {unit: minute, requests_per_unit: 600}
  - key: path
    value: /login
    descriptors:
      - key: remote_address
        rate_limit: {unit: hour, requests_per_unit: 100}
`

const (
	connections = 8  // Envoys
	askers      = 64 // at a time
	addresses   = 10_000
)

// ask puts question i over one of the connections.
type ask func(ctx context.Context, i int) error

// envoy asks a server in a process of its own at a steady pace, whatever becomes of
// the questions before: a question that has to wait for a slow answer counts from
// when it was due. What gRPC and the machine take by themselves is seen beside it.
func envoy() error {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "edge.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	s, err := target.Start("data", ":memory:", "throttle.envoy", file)
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	debug.SetGCPercent(1000) // of the load: what it collects holds questions up, too
	var limits, health []ask
	for range connections {
		conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer conn.Close()
		limiter, checker := rls.NewRateLimitServiceClient(conn), healthpb.NewHealthClient(conn)
		limits = append(limits, func(ctx context.Context, i int) error {
			_, err := limiter.ShouldRateLimit(ctx, question(i))
			return err
		})
		health = append(health, func(ctx context.Context, _ int) error {
			_, err := checker.Check(ctx, &healthpb.HealthCheckRequest{})
			return err
		})
	}
	fmt.Printf("\nEnvoy's service over gRPC, %d questions a second of two descriptors each, %d connections, %s a round\n", *perSecond, connections, *length)
	fmt.Printf("%-22s %10s %10s %10s %10s %10s %10s\n", "", "answered", "a second", "p50", "p99", "p99.9", "CPU s/M")
	const empty = "gRPC's health check"
	for _, round := range []struct {
		name   string
		asks   []ask
		length time.Duration
	}{
		{"warm-up", limits, 2 * time.Second},
		{"rate limit 1", limits, *length},
		{empty + " 1", health, *length},
		{"rate limit 2", limits, *length},
		{empty + " 2", health, *length},
		{"rate limit 3", limits, *length},
		{empty + " 3", health, *length},
	} {
		before, err := s.Stats()
		if err != nil {
			return err
		}
		waits, took, err := steadily(round.asks, round.length)
		if err != nil {
			return err
		}
		after, err := s.Stats()
		if err != nil {
			return err
		}
		slices.Sort(waits)
		n := len(waits)
		cpu := (after.CPU - before.CPU).Seconds() / float64(n) * 1e6
		fmt.Printf("%-22s %10d %10.0f %10s %10s %10s %10.1f\n", round.name, n, float64(n)/took.Seconds(), at(waits, 0.5), at(waits, 0.99), at(waits, 0.999), cpu)
	}
	return nil
}

func at(sorted []time.Duration, part float64) time.Duration {
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))].Round(time.Microsecond)
}

// steadily asks for so long, and gives how long each question took from when it was
// due.
func steadily(asks []ask, length time.Duration) ([]time.Duration, time.Duration, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	total := int(length.Seconds() * float64(*perSecond))
	waits := make([][]time.Duration, askers)
	var wg sync.WaitGroup
	start := time.Now().Add(10 * time.Millisecond)
	due := make(chan int, total) // whoever is late finds its questions waiting
	wg.Go(func() { pace(ctx, start, total, due) })
	for a := range askers {
		wg.Go(func() {
			for i := range due {
				if err := asks[i%len(asks)](ctx, i); err != nil {
					cancel(err)
					return
				}
				waits[a] = append(waits[a], time.Since(start.Add(time.Duration(i)*gap())))
			}
		})
	}
	wg.Wait()
	return slices.Concat(waits...), time.Since(start), context.Cause(ctx)
}

// gap is the time between two questions.
func gap() time.Duration { return time.Second / time.Duration(*perSecond) }

// pace tells when each question is due. It sleeps in a system call of its own: the
// runtime rounds the sleep of an idle processor up to whole milliseconds, which would
// be counted as the server's.
func pace(ctx context.Context, start time.Time, total int, due chan<- int) {
	defer close(due)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range total {
		if early := time.Until(start.Add(time.Duration(i) * gap())); early > 0 {
			rest := syscall.NsecToTimespec(int64(early))
			_ = syscall.Nanosleep(&rest, nil) // a signal only makes one question early
		}
		if ctx.Err() != nil {
			return
		}
		due <- i
	}
}

// question is what an Envoy asks about one request.
func question(i int) *rls.RateLimitRequest {
	n := i % addresses
	address := fmt.Sprintf("10.0.%d.%d", n/256, n%256)
	entry := func(key, value string) *ratelimit.RateLimitDescriptor_Entry {
		return &ratelimit.RateLimitDescriptor_Entry{Key: key, Value: value}
	}
	return &rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{
		{Entries: []*ratelimit.RateLimitDescriptor_Entry{entry("remote_address", address)}},
		{Entries: []*ratelimit.RateLimitDescriptor_Entry{entry("path", "/login"), entry("remote_address", address)}},
	}}
}
