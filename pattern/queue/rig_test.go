package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/memlog"
)

// rig is a queue in a synctest bubble, over a log in memory. It can be stopped
// and run again.
type rig struct {
	*Queue
	t    *testing.T
	log  parley.Log
	stop func()
}

// fake runs a test in fake time.
func fake(t *testing.T, o Options, fn func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, log: memlog.New(memlog.Options{})}
		r.run(o)
		defer func() { r.stop() }()
		fn(r)
	})
}

// run runs the queue on a new node.
func (r *rig) run(o Options) {
	r.t.Helper()
	host := new(shard.Local)
	q, err := New(r.log, host, "emails", o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Queue = q
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// restart stops the queue and runs it again, as after a crash of its owner.
func (r *rig) restart() {
	r.stop()
	r.run(Options{})
}

func (r *rig) ctx() context.Context { return r.t.Context() }

func (r *rig) enqueue(jobs ...Job) []ID {
	r.t.Helper()
	list, err := r.Enqueue(r.ctx(), jobs, EnqueueOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	ids := make([]ID, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	return ids
}

func (r *rig) lease(q LeaseRequest) []Lease {
	r.t.Helper()
	list, err := r.Lease(r.ctx(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// one leases one job.
func (r *rig) one(q LeaseRequest) Lease {
	r.t.Helper()
	list := r.lease(q)
	if len(list) != 1 {
		r.t.Fatalf("%d jobs leased, want 1", len(list))
	}
	return list[0]
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) code(err error, want parley.Code) {
	r.t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		r.t.Fatalf("error %v, want code %v", err, want)
	}
}

func (r *rig) configure(s Settings) {
	r.t.Helper()
	_, err := r.Configure(r.ctx(), s)
	r.must(err)
}

func (r *rig) stats() Stats {
	r.t.Helper()
	s, err := r.Stats(r.ctx())
	r.must(err)
	return s
}

func text(s string) Job { return Job{Event: parley.Event{Data: []byte(s)}} }

// waiting is a Lease under way.
type waiting struct {
	at   time.Time
	jobs []Lease
	err  error
}

// wait begins a Lease that waits; the answer comes on the channel, with when.
func (r *rig) wait(ctx context.Context, q LeaseRequest) <-chan waiting {
	out := make(chan waiting, 1)
	go func() {
		jobs, err := r.Lease(ctx, q)
		out <- waiting{time.Now(), jobs, err}
	}()
	synctest.Wait()
	return out
}
