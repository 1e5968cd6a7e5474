package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/internal/vfs"
	"github.com/parleyhq/parley/pattern/queue"
)

// running is a queue over a durable log in this process.
type running struct {
	*queue.Queue
	stop context.CancelFunc
	work sync.WaitGroup
}

func openQueue(place string) (*running, error) {
	log, err := disklog.Open(vfs.OS(place), disklog.Options{})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	q, err := queue.New(log, new(shard.Local), "bench", queue.Options{})
	if err != nil {
		stop()
		return nil, err
	}
	r := &running{Queue: q, stop: stop}
	r.work.Go(func() { _ = log.Run(ctx) })
	r.work.Go(func() { _ = q.Run(ctx) })
	return r, nil
}

func (r *running) close() {
	r.stop()
	r.work.Wait()
}

// backlog compares how fast jobs are leased and acked with few of them in the queue and
// with very many, and measures memory and restart with the latter.
func backlog() error {
	place, err := os.MkdirTemp(*dir, "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(place) }()
	r, err := openQueue(place)
	if err != nil {
		return err
	}
	const some = 100_000
	if err := r.fill(some); err != nil {
		return err
	}
	few, fewCPU, err := r.drain(some)
	if err != nil {
		return err
	}
	before := heap()
	begin := time.Now()
	if err := r.fill(*jobs); err != nil {
		return err
	}
	fmt.Printf("enqueued %d jobs of 16 B in %v\n", *jobs, time.Since(begin).Round(time.Millisecond))
	if _, err := r.Stats(context.Background()); err != nil { // all are taken in
		return err
	}
	fmt.Printf("heap of the process: %.1f MB with an empty queue, %.1f MB with all jobs\n", before, heap())
	many, manyCPU, err := r.drain(some)
	if err != nil {
		return err
	}
	fmt.Printf("leased and acked, 64 at a time: %.0f jobs/s (CPU %.1f s/M) of an empty queue's, %.0f jobs/s (%.1f) of the backlog\n", few, fewCPU, many, manyCPU)
	r.close()
	begin = time.Now()
	if r, err = openQueue(place); err != nil {
		return err
	}
	defer r.close()
	list, err := r.Lease(context.Background(), queue.LeaseRequest{Wait: time.Minute})
	if err != nil || len(list) != 1 {
		return fmt.Errorf("after the restart: %d jobs, %w", len(list), err)
	}
	fmt.Printf("restart, until the first job is leased: %v; heap %.1f MB\n", time.Since(begin).Round(time.Millisecond), heap())
	return nil
}

func (r *running) fill(n int) error {
	list := make([]queue.Job, 1000)
	for i := range list {
		list[i].Event = parley.Event{ID: "0", Data: make([]byte, 16)}
	}
	for n > 0 {
		some := list[:min(n, len(list))]
		if _, err := r.Enqueue(context.Background(), some, queue.EnqueueOptions{}); err != nil {
			return err
		}
		n -= len(some)
	}
	return nil
}

// drain leases and acks n jobs, four workers at a time. It gives how many a second, and
// the processor's seconds for a million.
func (r *running) drain(n int) (rate, cpu float64, err error) {
	begin, before := time.Now(), ownCPU()
	var work sync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		work.Go(func() { errs <- r.drainSome(n / 4) })
	}
	work.Wait()
	for range 4 {
		if err := <-errs; err != nil {
			return 0, 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), (ownCPU() - before).Seconds() * 1e6 / float64(n), nil
}

func (r *running) drainSome(n int) error {
	ctx := context.Background()
	for n > 0 {
		list, err := r.Lease(ctx, queue.LeaseRequest{Max: min(n, batch), Wait: time.Minute})
		if err != nil {
			return err
		}
		acks := make([]queue.Settlement, len(list))
		for i := range list {
			acks[i] = queue.Settlement{Lease: list[i].Token, Action: queue.Ack}
		}
		if len(acks) == 0 {
			continue
		}
		if _, err := r.Settle(ctx, acks); err != nil {
			return err
		}
		n -= len(list)
	}
	return nil
}

// heap is what is alive, in MB.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}
