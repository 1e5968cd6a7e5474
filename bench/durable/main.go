// Command durable measures acknowledged appends: how many events a second go
// through an fsync before they are acknowledged, over loopback TCP, beside peers in
// the same run.
//
//	go run ./durable -for 3s -rounds 3
//
// A window of P × W is P connections with W events in flight each: as one request
// of W events where the protocol has batches, pipelined where it has not. The load
// shares the cores with the server; CPU is the server's own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley/bench/target"
)

var (
	length = flag.Duration("for", 3*time.Second, "length of one measurement")
	rounds = flag.Int("rounds", 3, "measurements of each; the median counts")
	only   = flag.String("only", "", "peers whose names contain this")
	sizes  = flag.String("size", "", "this payload alone, in bytes: 100 or 1024")
	shape  = flag.String("window", "", "this window alone, such as 64x1")
	dir    = flag.String("dir", "", "folder on the disk to measure; default a temporary one")
	start  = flag.Float64("start", 0, "instead: GB of a log whose server is killed under load, and started again")
)

// window is producers × outstanding.
type window struct{ producers, outstanding int }

var windows = []window{{64, 1}, {64, 64}, {8, 256}}

// producer appends n events of a payload and returns when they are durable.
type producer interface {
	append(n int, payload []byte) error
	close()
}

// peer is something that takes events.
type peer struct {
	name  string
	fits  func(window) bool
	start func(dir string) (instance, error)
}

// instance is a running peer.
type instance interface {
	connect() (producer, error)
	pid() int
	stop()
}

func main() {
	target.Main()
	peerMain()
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if *start > 0 {
		return restart(*start)
	}
	for _, size := range []int{100, 1024} {
		for _, w := range windows {
			if *sizes != "" && *sizes != strconv.Itoa(size) || *shape != "" && *shape != fmt.Sprintf("%dx%d", w.producers, w.outstanding) {
				continue
			}
			fmt.Printf("\npayload %d B, window %d × %d\n", size, w.producers, w.outstanding)
			fmt.Printf("  %-34s %12s %12s %12s %14s\n", "", "events/s", "p50", "p99", "server CPU s/M")
			for _, p := range peers() {
				if !strings.Contains(p.name, *only) || p.fits != nil && !p.fits(w) {
					continue
				}
				if err := measure(p, w, size); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
		}
	}
	return nil
}

// result is one measurement.
type result struct {
	rate     float64
	p50, p99 time.Duration
	cpu      float64 // seconds per million events
}

func measure(p peer, w window, size int) error {
	var all []result
	for range *rounds {
		r, err := once(p, w, size)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b result) int { return int(a.rate - b.rate) })
	m := all[len(all)/2]
	fmt.Printf("  %-34s %12.0f %12v %12v %14.2f\n", p.name, m.rate, m.p50.Round(time.Microsecond), m.p99.Round(time.Microsecond), m.cpu)
	return nil
}

func once(p peer, w window, size int) (result, error) {
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
	producers := make([]producer, w.producers)
	for i := range producers {
		if producers[i], err = in.connect(); err != nil {
			return result{}, err
		}
		defer producers[i].close()
	}
	payload := []byte(strings.Repeat("x", size))
	if err := load(producers, w, payload, 300*time.Millisecond, nil); err != nil { // warm up
		return result{}, err
	}
	var s samples
	before := cpuOf(in.pid())
	start := time.Now()
	if err := load(producers, w, payload, *length, &s); err != nil {
		return result{}, err
	}
	took, cpu := time.Since(start), cpuOf(in.pid())-before
	events := float64(len(s.all) * w.outstanding)
	slices.Sort(s.all)
	return result{rate: events / took.Seconds(), p50: s.all[len(s.all)/2], p99: s.all[len(s.all)*99/100], cpu: cpu.Seconds() * 1e6 / events}, nil
}

type samples struct {
	mu  sync.Mutex
	all []time.Duration
}

// load lets every producer keep its window full for a while.
func load(producers []producer, w window, payload []byte, d time.Duration, into *samples) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	for _, p := range producers {
		work.Go(func() {
			var took []time.Duration
			for ctx.Err() == nil {
				start := time.Now()
				if err := p.append(w.outstanding, payload); err != nil {
					failed.Store(&err)
					return
				}
				took = append(took, time.Since(start))
			}
			if into != nil {
				into.mu.Lock()
				into.all = append(into.all, took...)
				into.mu.Unlock()
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
