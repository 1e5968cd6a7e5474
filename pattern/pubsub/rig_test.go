package pubsub

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// rig is a hub over the in-memory engine.
type rig struct {
	t      testing.TB
	log    parley.Log
	topics *topic.Registry
	hub    *Hub
}

// newRig makes a hub and runs it; the test's end stops it.
func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	return newRigOn(t, memlog.New(memlog.Options{}), o)
}

func newRigOn(t testing.TB, log parley.Log, o Options) *rig {
	t.Helper()
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: log, topics: topics, hub: NewHub(log, topics, cursor.NewSealer(cursor.Key{ID: 1, Secret: [32]byte{7}}), o)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.hub.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	return r
}

func (r *rig) publish(name string, data ...string) []topic.Placed {
	r.t.Helper()
	events := make([]parley.Event, len(data))
	for i, d := range data {
		events[i] = parley.Event{Data: []byte(d), DataContentType: "text/plain"}
	}
	placed, _, err := r.topics.Publish(context.Background(), name, events, topic.PublishOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return placed
}

func (r *rig) subscribe(q Request) *Subscription {
	r.t.Helper()
	s, err := r.hub.Subscribe(context.Background(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) next(s *Subscription) Delivery {
	r.t.Helper()
	d, err := s.Next(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *rig) stream(name string, partition int) parley.Stream {
	r.t.Helper()
	t, err := r.topics.Get(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return t.Partitions[partition].Stream
}

// text gives a delivery as words: data of events, and notices in brackets.
func text(d Delivery) (out []string) {
	for _, n := range d.Notices {
		out = append(out, "["+n.Kind.String()+" "+strconv.FormatInt(int64(n.From), 10)+"-"+strconv.FormatInt(int64(n.To), 10)+"]")
	}
	for _, c := range d.Chunks {
		for _, v := range c.Views() {
			out = append(out, string(v.Data))
		}
	}
	return out
}
