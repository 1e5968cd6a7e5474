package queue

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// readsCounted counts what is read.
type readsCounted struct {
	*memlog.Log
	reads int
}

func (c *readsCounted) Read(ctx context.Context, at parley.Place, most int) (parley.Run, error) {
	c.reads++
	return c.Log.Read(ctx, at, most)
}

// batchOf appends n events, each with its position as its data, as one batch.
func batchOf(t *testing.T, log parley.Log, s parley.Stream, from, n int) {
	t.Helper()
	var b parley.Builder
	for i := range n {
		e := parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(strconv.Itoa(from + i))}
		if err := b.Add(time.Unix(1, 0), &e); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	at, err := log.Append(t.Context(), parley.Write{Stream: s, Batch: batch})
	if err != nil || int(at[0].Base) != from {
		t.Fatalf("appended at %v, %v", at, err)
	}
}

// TestReader reads jobs some at a time and in any order, and reads little more than
// once what is read in order.
func TestReader(t *testing.T) {
	log, s := &readsCounted{Log: memlog.New(memlog.Options{})}, parley.Stream{Name: "jobs"}
	const batches, each = 4, 1000
	for i := range batches {
		batchOf(t, log, s, 1+i*each, each)
	}
	r := reader{log: log, stream: s}
	var kept *block // the garbage collector leaves it
	read := func(places ...int64) {
		t.Helper()
		n := 0
		err := r.read(t.Context(), places, func(i int, rec parley.Record) {
			if n++; string(rec.Value) != strconv.FormatInt(places[i], 10) || int64(rec.Position) != places[i] {
				t.Errorf("place %d has %q of %d", places[i], rec.Value, rec.Position)
			}
		})
		if err != nil || n != len(places) {
			t.Errorf("%d of %v, %v", n, places, err)
		}
		if last := r.last.Load(); last != nil {
			kept = last.Value()
		}
	}
	for at := int64(1); at <= batches*each; at += 50 {
		var places []int64
		for i := range int64(50) {
			places = append(places, at+i)
		}
		read(places...)
	}
	if log.reads > 2*batches {
		t.Errorf("%d reads of %d batches", log.reads, batches)
	}
	read(7, 1001, 1002, 2500, 4000)
	read(3)
	read(4000)
	runtime.KeepAlive(kept)
	err := r.read(t.Context(), []int64{3999, 4001, 9000}, func(i int, rec parley.Record) {
		if i != 0 || string(rec.Value) != "3999" {
			t.Errorf("place %d has %q", i, rec.Value)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := log.Trim(t.Context(), s, 2001); err != nil {
		t.Fatal(err)
	}
	fresh := reader{log: log, stream: s}
	found := 0
	if err := fresh.read(t.Context(), []int64{5, 1500, 2001}, func(i int, _ parley.Record) { found += i }); err != nil || found != 2 {
		t.Errorf("of what was trimmed: %d, %v", found, err)
	}
}

// TestLeasesAreTheirOwn: what a worker does with the data of a job is nothing to the
// others; and those who share it have the same.
func TestLeasesAreTheirOwn(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.enqueue(text("aaa"), text("bbb"), text("ccc"), text("ddd"))
		first := r.one(LeaseRequest{})
		for i := range first.Event.Data {
			first.Event.Data[i] = 'x'
		}
		_ = append(first.Event.Data, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyy"...)
		if second := r.one(LeaseRequest{}); string(second.Event.Data) != "bbb" {
			t.Errorf("the second job is %q", second.Event.Data)
		}
		shared, err := r.LeaseShared(r.ctx(), LeaseRequest{Max: 2})
		r.must(err)
		if len(shared) != 2 || string(shared[0].Event.Data) != "ccc" || string(shared[1].Event.Data) != "ddd" {
			t.Errorf("shared: %v", shared)
		}
		r.must(r.Nack(r.ctx(), first.Token, ""))
		<-time.After(time.Hour)
		if again := r.one(LeaseRequest{}); string(again.Event.Data) != "aaa" {
			t.Errorf("the first job is %q when it comes again", again.Event.Data)
		}
	})
}

// TestManyWorkers: each of many jobs comes once, and is the job that its id says.
func TestManyWorkers(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		const all, workers = 3000, 4
		ctx, stop := context.WithCancel(r.ctx())
		defer stop()
		var mu sync.Mutex
		seen := make(map[ID]string)
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for {
					list, err := r.Lease(ctx, LeaseRequest{Max: 64, Wait: time.Minute})
					if err != nil {
						if ctx.Err() == nil {
							t.Error(err)
						}
						return
					}
					acks := make([]Settlement, len(list))
					mu.Lock()
					for i, l := range list {
						acks[i] = Settlement{Lease: l.Token, Action: Ack}
						if before := seen[l.ID]; before != "" {
							t.Errorf("job %v comes again: %q, before %q", l.ID, l.Event.Data, before)
						}
						seen[l.ID] = string(l.Event.Data)
					}
					done := len(seen) == all
					mu.Unlock()
					if len(acks) > 0 {
						if _, err := r.Settle(r.ctx(), acks); err != nil {
							t.Error(err)
						}
					}
					if done {
						stop()
					}
				}
			})
		}
		want := make(map[ID]string)
		for n := 0; n < all; n += 30 {
			jobs := make([]Job, 30)
			for i := range jobs {
				jobs[i] = text("job " + strconv.Itoa(n+i))
			}
			for i, id := range r.enqueue(jobs...) {
				want[id] = "job " + strconv.Itoa(n+i)
			}
		}
		work.Wait()
		for id, data := range want {
			if seen[id] != data {
				t.Errorf("job %v is %q, want %q", id, seen[id], data)
			}
		}
		if s := r.stats(); s.Done != all || s.Ready+s.Leased != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}
