package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// rig is a queue in a synctest bubble, over a log in memory. It can be stopped
// and run again.
type rig struct {
	*Queue
	t    *testing.T
	log  parley.Log
	opt  Options
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
	r.opt = o
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
	o := r.opt
	if o.Topics != nil {
		o.Topics = r.registry()
	}
	r.run(o)
}

// registry gives a new registry over the log.
func (r *rig) registry() *topic.Registry {
	r.t.Helper()
	topics := topic.New(r.log, topic.Options{})
	r.must(topics.Load(r.t.Context()))
	return topics
}

// withTopics runs a test in fake time, with topics.
func withTopics(t *testing.T, log parley.Log, fn func(r *rig)) {
	t.Helper()
	r := &rig{t: t, log: log}
	r.run(Options{Topics: r.registry()})
	defer func() { r.stop() }()
	fn(r)
}

// publish publishes to a topic, which is made when it is not there.
func (r *rig) publish(name string, events ...parley.Event) {
	r.t.Helper()
	_, err := r.ensure(r.ctx(), name)
	r.must(err)
	_, _, err = r.opt.Topics.Publish(r.ctx(), name, events, topic.PublishOptions{})
	r.must(err)
}

// read gives all events of a topic.
func (r *rig) read(name string) (list []parley.Event) {
	r.t.Helper()
	t, err := r.opt.Topics.Get(name)
	if parley.CodeOf(err) == parley.NotFound {
		return nil
	}
	r.must(err)
	for _, p := range t.Partitions {
		list = append(list, readAll(r.t, r.log, p.Stream)...)
	}
	return list
}

// readAll gives all events of a stream.
func readAll(t testing.TB, log parley.Log, s parley.Stream) (list []parley.Event) {
	t.Helper()
	for at := (parley.Place{Stream: s}); ; {
		run, err := log.Read(t.Context(), at, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if run.Empty() {
			return list
		}
		for rec, err := range run.Records() {
			var e parley.Event
			if err == nil {
				e, err = rec.Event()
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e.Clone())
		}
		at.At = run.Next()
		run.Release()
	}
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
