package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// piping is a node in a bubble that may own parts of pipes.
type piping struct {
	topics *topic.Registry
	hub    *pubsub.Hub
	pipes  *declared.Registry
	kill   func() // it has no time to say that it goes
}

func pipingNode(t *testing.T, ns *server.Server, name string) *piping {
	t.Helper()
	log, quiet := inBubble(t, ns), slog.New(slog.DiscardHandler)
	life, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	run := func(f func(context.Context) error) {
		all.Go(func() { _ = f(life) }) // it ends with life, or when the node is killed
	}
	run(log.Run)
	p := &piping{topics: topic.New(log, topic.Options{AutoCreate: true, Logger: quiet})}
	if err := p.topics.Load(life); err != nil {
		t.Fatal(err)
	}
	keys, err := cursor.LoadKeys(life, log)
	if err != nil {
		t.Fatal(err)
	}
	p.hub = pubsub.NewHub(log, p.topics, cursor.NewSealer(keys...), pubsub.Options{})
	p.pipes, err = declared.NewRegistry(log, hostOf(t, log, name), declared.Options{Topics: p.topics, Hub: p.hub, Logger: quiet, Graph: graph.Options{Expr: where.Compile}})
	if err == nil {
		err = p.pipes.Load(life)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(p.topics.Run)
	run(p.hub.Run)
	run(p.pipes.Run)
	p.kill = sync.OnceFunc(func() {
		log.Close()
		end()
		all.Wait()
	})
	t.Cleanup(p.kill)
	return p
}

// publish publishes numbers, each with itself as key.
func (p *piping) publish(t *testing.T, from, to int) {
	t.Helper()
	var events []parley.Event
	for n := from; n < to; n++ {
		e := parley.Event{Data: []byte(strconv.Itoa(n)), DataContentType: "application/json"}
		e.Set(parley.PartitionKey, strconv.Itoa(n))
		events = append(events, e)
	}
	if _, _, err := p.topics.Publish(t.Context(), "in", events, topic.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
}

// wants waits until so many events have gone through, and wants each of them once in
// the outputs. It gives how many partitions each node owns.
func (p *piping) wants(t *testing.T, events int) map[string]int {
	t.Helper()
	var last declared.Stats
	for range 60 {
		<-time.After(time.Second)
		s, err := p.pipes.Stats(t.Context(), "copy")
		if last = s; err == nil && s.In >= int64(events) {
			break
		}
	}
	if last.In != int64(events) || last.Out != int64(events) || len(last.Partitions) != 6 {
		t.Fatalf("%+v", last)
	}
	page, err := p.hub.Tail(t.Context(), pubsub.Request{Topics: []string{"out"}, From: pubsub.Earliest()}, 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	came := map[string]int{}
	for _, v := range page.Events {
		came[string(v.Data)]++
	}
	for n := range events {
		if times := came[strconv.Itoa(n)]; times != 1 {
			t.Fatalf("%d is in the outputs %d times", n, times)
		}
	}
	nodes := map[string]int{}
	for _, part := range last.Partitions {
		nodes[part.Node]++
	}
	return nodes
}

// TestPipeOverTwoNodes has two nodes share the partitions of a pipe's topic, one killed
// with events on their way, and another begun in its place: every event is in the
// outputs once.
func TestPipeOverTwoNodes(t *testing.T) {
	ats.Register() // see TestPatternsOverTwoNodes
	defer ats.Unregister()
	synctest.Test(t, func(t *testing.T) {
		ns := serverInBubble(t)
		one := pipingNode(t, ns, "one")
		for name, n := range map[string]int{"in": 6, "out": 2} {
			if _, err := one.topics.Create(t.Context(), name, topic.Settings{Partitions: n}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := one.pipes.Put(t.Context(), "copy", []byte("steps: 'topic in | where data >= 0 | topic out'"), declared.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		two := pipingNode(t, ns, "two")
		one.publish(t, 0, 100)
		<-time.After(20 * time.Second) // two has its share
		share := func(p *piping, events int, want map[string]int) {
			t.Helper()
			if got := p.wants(t, events); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("owners are %v, want %v", got, want)
			}
		}
		share(two, 100, map[string]int{"one": 3, "two": 3})
		two.publish(t, 100, 200)
		share(one, 200, map[string]int{"one": 3, "two": 3})
		two.publish(t, 200, 300)
		two.kill()
		<-time.After(10 * time.Second)
		share(one, 300, map[string]int{"one": 6})
		three := pipingNode(t, ns, "three")
		one.publish(t, 300, 400)
		<-time.After(20 * time.Second)
		share(three, 400, map[string]int{"one": 3, "three": 3})
	})
}
