// Command queue measures a work queue from the enqueuing of a job to the ack that it
// is done, beside peers in the same run, over loopback TCP.
//
//	go run ./queue -for 3s -rounds 3        # the table
//	go run ./queue -what latency            # enqueue to start of work on an idle queue
//	go run ./queue -what http               # one job a request, beside an empty handler
//	go run ./queue -what backlog -jobs 10000000
//
// Enqueuers keep 64 jobs in flight on each of 4 connections: as one request where the
// protocol has batches, pipelined where it has not. Workers lease up to 64 jobs at a time
// and ack them in batches where the protocol has them. A job is counted when it is acked;
// what is enqueued in the time given is all worked off before the clock stops.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley/bench/target"
)

var (
	what   = flag.String("what", "table", "table, latency, http or backlog")
	length = flag.Duration("for", 3*time.Second, "length of one measurement")
	rounds = flag.Int("rounds", 3, "measurements of each, by turns; the median counts")
	only   = flag.String("only", "", "peers whose names contain this")
	dir    = flag.String("dir", "", "folder on the disk to measure; default a temporary one")
	alone  = flag.Bool("enqueue", false, "only enqueue: nobody works")
	jobs   = flag.Int("jobs", 10_000_000, "jobs of the backlog")
)

const (
	enqueuers = 4
	inFlight  = 64
	batch     = 64 // jobs that a worker leases, and acks, at a time
	jobSize   = 1024
)

// instance is a running peer.
type instance interface {
	enqueuer() (enqueuer, error)
	worker() (worker, error)
	pid() int
	stop()
}

// enqueuer adds n jobs and returns when they are stored.
type enqueuer interface {
	enqueue(n int, payload []byte) error
	close()
}

// worker leases and acks jobs until ctx ends, and tells done of those that are acked.
type worker interface {
	work(ctx context.Context, done func(n int)) error
}

type peer struct {
	name    string
	workers int
	start   func(dir string) (instance, error)
}

func peers() []peer {
	return []peer{
		{"parley, gRPC streams", 2, startParley},
		{"Redis Streams group, appendfsync always", 2, startRedis},
		{"JetStream work queue, default (no fsync)", 2, startJetStream},
		{"RabbitMQ quorum queue", 2, startRabbitMQ},
		{"River on PostgreSQL", 1, startRiver},
	}
}

func main() {
	target.Main()
	peerMain()
	flag.Parse()
	do := map[string]func() error{"table": table, "latency": latency, "http": overHTTP, "backlog": backlog}[*what]
	if do == nil {
		fmt.Fprintln(os.Stderr, "-what is table, latency, http or backlog")
		os.Exit(2)
	}
	stop, err := profile()
	if err == nil {
		err = do()
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type result struct {
	rate, enqueued float64
	cpu, own       float64 // seconds of the server, and of the load, per million jobs
}

func table() error {
	all := make(map[string][]result)
	var list []peer
	for _, p := range peers() {
		if strings.Contains(p.name, *only) {
			list = append(list, p)
		}
	}
	for range *rounds {
		for _, p := range list {
			r, err := once(p)
			if errors.Is(err, errAbsent) {
				fmt.Printf("%s: %v\n", p.name, err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			all[p.name] = append(all[p.name], r)
		}
	}
	fmt.Printf("%-42s %12s %12s %16s %16s   rounds\n", "", "jobs/s", "enqueued/s", "server CPU s/M", "load CPU s/M")
	for _, p := range list {
		rs := all[p.name]
		if len(rs) == 0 {
			continue
		}
		slices.SortFunc(rs, func(a, b result) int { return int(a.rate - b.rate) })
		m := rs[len(rs)/2]
		fmt.Printf("%-42s %12.0f %12.0f %16.1f %16.1f   %.0f to %.0f\n", p.name, m.rate, m.enqueued, m.cpu, m.own, rs[0].rate, rs[len(rs)-1].rate)
	}
	return nil
}

// errAbsent says that a peer is not installed.
var errAbsent = errors.New("not installed")

func once(p peer) (result, error) {
	place, err := os.MkdirTemp(*dir, "parley-bench-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(place) }()
	in, err := p.start(place)
	if err != nil {
		return result{}, err
	}
	defer in.stop()
	if *alone {
		p.workers = 0
	}
	if _, err := load(in, p.workers, 300*time.Millisecond); err != nil { // warm up
		return result{}, err
	}
	return load(in, p.workers, *length)
}

// load enqueues for a while, works at the same time, and ends when all is done.
func load(in instance, workers int, d time.Duration) (result, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), d+2*time.Minute, errors.New("the jobs are not worked off"))
	defer cancel()
	payload := bytes.Repeat([]byte("x"), jobSize)
	var added, acked atomic.Int64
	var failed atomic.Pointer[error]
	fail := func(err error) {
		if err != nil && failed.CompareAndSwap(nil, &err) {
			cancel()
		}
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	progress := make(chan struct{}, 1)
	before, own, start := cpuOf(in.pid()), ownCPU(), time.Now()
	var work, adding sync.WaitGroup
	for range workers {
		w, err := in.worker()
		if err != nil {
			return result{}, err
		}
		work.Go(func() {
			err := w.work(working, func(n int) {
				acked.Add(int64(n))
				select {
				case progress <- struct{}{}:
				default:
				}
			})
			if working.Err() == nil {
				fail(err)
			}
		})
	}
	for range enqueuers {
		e, err := in.enqueuer()
		if err != nil {
			return result{}, err
		}
		adding.Go(func() {
			defer e.close()
			for time.Since(start) < d && ctx.Err() == nil {
				if err := e.enqueue(inFlight, payload); err != nil {
					fail(err)
					return
				}
				added.Add(inFlight)
			}
		})
	}
	adding.Wait()
	enqueued := time.Since(start)
	if workers == 0 {
		acked.Store(added.Load())
	}
	for acked.Load() < added.Load() && ctx.Err() == nil {
		select {
		case <-progress:
		case <-ctx.Done():
		}
	}
	took, cpu, mine := time.Since(start), cpuOf(in.pid())-before, ownCPU()-own
	stop()
	work.Wait()
	if err := failed.Load(); err != nil {
		return result{}, *err
	}
	if acked.Load() < added.Load() {
		return result{}, fmt.Errorf("%d of %d: %w", acked.Load(), added.Load(), context.Cause(ctx))
	}
	n := float64(acked.Load())
	return result{rate: n / took.Seconds(), enqueued: n / enqueued.Seconds(), cpu: cpu.Seconds() * 1e6 / n, own: mine.Seconds() * 1e6 / n}, nil
}
