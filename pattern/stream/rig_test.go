package stream

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// rig is groups in a synctest bubble, over a log in memory. It can be stopped and
// run again.
type rig struct {
	*Groups
	t      *testing.T
	log    parley.Log
	topics *topic.Registry
	opt    Options
	stop   func()
}

// fake runs a test in fake time.
func fake(t *testing.T, o Options, fn func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, log: memlog.New(memlog.Options{}), opt: o}
		r.run()
		defer func() { r.stop() }()
		fn(r)
	})
}

// run runs the groups on a new node.
func (r *rig) run() {
	r.t.Helper()
	r.topics = topic.New(r.log, topic.Options{AutoCreate: true})
	r.must(r.topics.Load(r.t.Context()))
	gs, err := New(r.log, new(shard.Local), r.topics, r.opt)
	r.must(err)
	r.must(gs.Load(r.t.Context()))
	r.Groups = gs
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- gs.Run(ctx) }()
	go func() { done <- r.topics.Run(ctx) }()
	r.stop = func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				r.t.Errorf("Run: %v", err)
			}
		}
	}
}

func (r *rig) ctx() context.Context { return r.t.Context() }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) code(err error, want parley.Code, field string) {
	r.t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		r.t.Fatalf("error %v, want code %v", err, want)
	}
	if e, ok := err.(*parley.Error); !ok || e.Field != field || e.Fix == "" { // ours
		r.t.Fatalf("error %v, want field %s and a fix", err, field)
	}
}

func (r *rig) group(name string) *Group {
	r.t.Helper()
	g, err := r.Ensure(r.ctx(), name)
	r.must(err)
	return g
}

func (r *rig) create(name string, partitions int) topic.Topic {
	r.t.Helper()
	t, err := r.topics.Create(r.ctx(), name, topic.Settings{Partitions: partitions})
	r.must(err)
	return t
}

// put publishes numbers with keys, so that they go to all partitions.
func (r *rig) put(name string, from, to int) {
	r.t.Helper()
	for i := from; i <= to; i++ {
		e := parley.Event{ID: fmt.Sprint("e", i), Source: "/test", Data: []byte(strconv.Itoa(i))}
		_, _, err := r.topics.Publish(r.ctx(), name, []parley.Event{e}, topic.PublishOptions{})
		r.must(err)
	}
}

func (r *rig) consumer(g *Group, o ConsumerOptions) *Consumer {
	r.t.Helper()
	c, err := NewConsumer(g, o)
	r.must(err)
	return c
}

func (r *rig) join(g *Group, q JoinRequest) Joined {
	r.t.Helper()
	j, err := g.Join(r.ctx(), q)
	r.must(err)
	return j
}

func (r *rig) fetch(g *Group, q FetchRequest) *Fetched {
	r.t.Helper()
	f, err := g.Fetch(r.ctx(), q)
	r.must(err)
	return f
}

func (r *rig) describe(g *Group) Info {
	r.t.Helper()
	i, err := g.Describe(r.ctx())
	r.must(err)
	return i
}

func (r *rig) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
