package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/enginetest"
	"github.com/parleyhq/parley/engine/memlog"
)

// Whatever engine a stream goes to, the router is an engine like any other.
func TestRouterIsAnEngine(t *testing.T) {
	enginetest.Run(t, func(*testing.T) parley.Log {
		return &router{durable: memlog.New(memlog.Options{}), memory: memlog.New(memlog.Options{})}
	})
}

// routed is a router whose two engines can be looked into.
type routed struct {
	*router
	topics *topic.Registry
}

func newRouted(t *testing.T) routed {
	t.Helper()
	r := &router{durable: memlog.New(memlog.Options{}), memory: memlog.New(memlog.Options{})}
	topics := topic.New(r, topic.Options{AutoCreate: true})
	r.topics.Store(topics)
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return routed{r, topics}
}

func (r routed) create(t *testing.T, name string, d topic.Durability) parley.Stream {
	t.Helper()
	made, err := r.topics.Create(t.Context(), name, topic.Settings{Durability: d})
	if err != nil {
		t.Fatal(err)
	}
	return made.Partitions[0].Stream
}

func (r routed) publish(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, _, err := r.topics.Publish(t.Context(), name, []parley.Event{{Data: []byte(name)}}, topic.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRouterHomes(t *testing.T) {
	r := newRouted(t)
	kept, quick := r.create(t, "kept", topic.Fsync), r.create(t, "quick", topic.Memory)
	os := r.create(t, "os", topic.OS)
	r.publish(t, "kept", "quick", "os", "~gone")
	for _, c := range []struct {
		stream   parley.Stream
		inMemory bool
	}{{kept, false}, {os, false}, {quick, true}, {parley.Stream{Name: "~gone"}, true}, {parley.Stream{Name: topic.TopicsStream}, false}} {
		for engine, want := range map[engine]bool{r.memory: c.inMemory, r.durable: !c.inMemory} {
			st, err := engine.Stat(t.Context(), c.stream)
			if err != nil || (st.Events > 0) != want {
				t.Errorf("%s: %d events in memory=%v, %v", c.stream.Name, st.Events, engine == r.memory, err)
			}
		}
		if st, err := r.Stat(t.Context(), c.stream); err != nil || st.Events == 0 {
			t.Errorf("%s through the router: %+v, %v", c.stream.Name, st, err)
		}
	}
	all, err := r.Streams(t.Context(), "")
	if err != nil || len(all) != 5 {
		t.Errorf("streams are %v, %v", all, err)
	}
}

// A deleted topic leaves nothing behind in either engine.
func TestRouterRemoves(t *testing.T) {
	r := newRouted(t)
	quick := r.create(t, "quick", topic.Memory)
	r.publish(t, "quick")
	if err := r.topics.Delete(t.Context(), "quick"); err != nil {
		t.Fatal(err)
	}
	if st, err := r.memory.Stat(t.Context(), quick); err != nil || st.Events != 0 {
		t.Errorf("after the deletion: %+v, %v", st, err)
	}
}

func TestRouterRefusesCommitsAcross(t *testing.T) {
	r := newRouted(t)
	r.create(t, "kept", topic.Fsync)
	r.create(t, "quick", topic.Memory)
	r.publish(t, "kept", "quick")
	one := []parley.Event{{Data: []byte("x")}}
	for _, other := range []string{"quick", "~gone"} {
		_, _, err := r.topics.PublishAll(t.Context(), []topic.TopicEvents{{Topic: "kept", Events: one}, {Topic: other, Events: one}}, topic.PublishOptions{})
		if parley.CodeOf(err) != parley.Apart {
			t.Errorf("kept and %s in one commit: %v, want apart", other, err)
		}
	}
	st, err := r.topics.Get("kept")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.Stat(t.Context(), st.Partitions[0].Stream); err != nil || s.Events != 1 {
		t.Errorf("the refused commits left %d events, %v", s.Events, err)
	}
}

// A wait over both engines ends with the first that has something, and leaves no
// goroutine behind: synctest would not end.
func TestRouterWaitsInBoth(t *testing.T) {
	for _, name := range []string{"kept", "quick"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouted(t)
			places := []parley.Place{{Stream: r.create(t, "kept", topic.Fsync)}, {Stream: r.create(t, "quick", topic.Memory)}}
			done := make(chan error, 1)
			go func() { done <- r.Wait(t.Context(), places...) }()
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("returned before there was anything: %v", err)
			default:
			}
			r.publish(t, name)
			if err := <-done; err != nil {
				t.Errorf("a publish to %s: %v", name, err)
			}
		})
	}
}

func TestRouterWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouted(t)
		places := []parley.Place{{Stream: r.create(t, "kept", topic.Fsync)}, {Stream: r.create(t, "quick", topic.Memory)}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Wait(ctx, places...); parley.CodeOf(err) != parley.Timeout {
			t.Errorf("gives %v, want timeout", err)
		}
	})
}
