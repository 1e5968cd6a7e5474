package queue

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// countingLog counts the calls that go to a log.
type countingLog struct {
	parley.Log
	calls atomic.Int64
}

func newCountingLog() *countingLog { return &countingLog{Log: memlog.New(memlog.Options{})} }

func (l *countingLog) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	l.calls.Add(1)
	return l.Log.Append(ctx, w...)
}

func (l *countingLog) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	l.calls.Add(1)
	return l.Log.Read(ctx, at, n)
}

func (l *countingLog) Wait(ctx context.Context, at ...parley.Place) error {
	l.calls.Add(1)
	return l.Log.Wait(ctx, at...)
}

// TestIdle: a queue in which nothing happens does nothing, with a waiting worker,
// a delayed job and a dead one in it: no timer goes off, nothing touches the log.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newCountingLog()
		r := &rig{t: t, log: log}
		r.run(Options{})
		defer func() { r.stop() }()
		r.enqueue(text("dead"), Job{Delay: time.Hour})
		r.must(r.Dead(r.ctx(), r.one(LeaseRequest{}).Token, "bad"))
		w := r.wait(r.ctx(), LeaseRequest{Wait: MaxWait})
		before := log.calls.Load()
		if got := <-w; got.err != nil || len(got.jobs) != 0 {
			t.Fatalf("leased %+v", got)
		}
		<-time.After(50 * time.Minute)
		synctest.Wait()
		if n := log.calls.Load() - before; n != 0 {
			t.Fatalf("%d calls of the log by an idle queue", n)
		}
	})
}

// TestBacklogMemory: ten million plain jobs of three priorities, half of them with
// terms of their own, take next to nothing, in the machine and in a snapshot;
// working off some of them takes what is leased.
func TestBacklogMemory(t *testing.T) {
	const n, batch = 10_000_000, 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := newBench(t)
	for at := int64(1); at <= n; at += batch {
		var g gatherer
		for id := at; id < at+batch; id++ {
			g.plain(id, uint8(id*10/n%3), id > n/2)
		}
		if err := b.Apply(moveAt(b.now, encodeIntake(at+batch, g.list))); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		list, err := b.grant(b, b.now, 1, 1000, "w")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if s := b.freshCount(); s != n-1000 {
		t.Fatalf("%d jobs are ready", s)
	}
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("a backlog of %d plain jobs: %d KiB", n, used>>10)
	if used > 8<<20 {
		t.Fatalf("a backlog of %d plain jobs takes %d bytes", n, used)
	}
	size := 0
	for part := range b.Snapshot() {
		size += len(part)
	}
	if size > 1<<20 {
		t.Fatalf("its snapshot has %d bytes", size)
	}
	runtime.KeepAlive(b)
}

// TestCompaction: one job that rests does not keep the log of those that are done;
// it keeps its id, its event and its time through copies and restarts.
func TestCompaction(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		begun := time.Now()
		rests := r.enqueue(Job{Event: parley.Event{ID: "rests", Data: []byte("I rest")}, Delay: time.Hour, Key: "k"})[0]
		for range 12 {
			jobs := make([]Job, 1000)
			for i := range jobs {
				jobs[i] = text(fmt.Sprint(i))
			}
			r.enqueue(jobs...)
			list := r.lease(LeaseRequest{Max: 1000})
			acks := make([]Settlement, len(list))
			for i, l := range list {
				acks[i] = Settlement{Lease: l.Token, Action: Ack}
			}
			_, err := r.Settle(r.ctx(), acks)
			r.must(err)
		}
		synctest.Wait()
		run, err := r.log.Read(r.ctx(), parley.Place{Stream: r.jobs}, 1)
		r.must(err)
		for b := range run.Batches() {
			if b.Base() < 8000 {
				t.Fatalf("the jobs stream still begins at %d", b.Base())
			}
			break
		}
		r.restart()
		i, err := r.Get(r.ctx(), rests)
		r.must(err)
		if i.Event.ID != "rests" || i.State != Delayed || i.Key != "k" || !i.Enqueued.Equal(begun) || len(i.Event.Extensions) != 0 {
			t.Fatalf("info %+v", i)
		}
		// Who was told its place before finds it all the same.
		var found stored
		r.must(r.events(r.ctx(), []granted{{ID: int64(rests), Place: int64(rests)}}, func(_ int, s stored) { found = s }))
		if found.event.ID != "rests" {
			t.Fatalf("found %+v", found)
		}
		got := <-r.wait(r.ctx(), LeaseRequest{})
		if len(got.jobs) != 0 {
			t.Fatalf("leased %+v", got.jobs)
		}
		<-time.After(time.Until(begun.Add(time.Hour)))
		if l := r.one(LeaseRequest{}); l.ID != rests || string(l.Event.Data) != "I rest" || !l.Enqueued.Equal(begun) {
			t.Fatalf("leased %+v", l)
		}
		if s := r.stats(); s.Done != 12000 || s.Enqueued != 12001 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestWorkIsSettledOnce works a queue off with many workers at once.
func TestWorkIsSettledOnce(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		const n = 500
		jobs := make([]Job, n)
		for i := range jobs {
			jobs[i] = Job{Key: []string{"", "a", "b"}[i%3], Priority: i % 4}
		}
		runs := make(chan ID, 10*n)
		ctx, cancel := context.WithCancel(r.ctx())
		defer cancel()
		for range 5 {
			w, err := NewWorker(r, func(_ context.Context, l *Lease) (Result, error) {
				runs <- l.ID
				return nil, nil
			}, WorkerOptions{Concurrency: 4})
			r.must(err)
			go func() { _ = w.Run(ctx) }()
		}
		r.enqueue(jobs...)
		seen := map[ID]int{}
		for range n {
			seen[<-runs]++
		}
		synctest.Wait()
		if len(seen) != n || len(runs) != 0 {
			t.Fatalf("%d jobs ran, %d again", len(seen), len(runs))
		}
		if s := r.stats(); s.Done != n {
			t.Fatalf("stats %+v", s)
		}
	})
}
