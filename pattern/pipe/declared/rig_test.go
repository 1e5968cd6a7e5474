package declared

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// office is a registry that runs over a log, in a bubble: one node.
type office struct {
	*Registry
	t      testing.TB
	log    parley.Log
	topics *topic.Registry
	stop   func()
}

func open(t testing.TB, log parley.Log, host shard.Host, o Options) *office {
	t.Helper()
	keys, err := cursor.LoadKeys(t.Context(), log)
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	topics := topic.New(log, topic.Options{AutoCreate: true, Logger: quiet})
	must(t, topics.Load(t.Context()))
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(keys...), pubsub.Options{})
	o.Topics, o.Hub, o.Logger = topics, hub, quiet
	o.Graph.Expr, o.Graph.JQ = where.Compile, jq.Compile
	r, err := NewRegistry(log, host, o)
	must(t, err)
	must(t, r.Load(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{hub.Run, topics.Run, r.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return &office{r, t, log, topics, stop}
}

func newOffice(t *testing.T, o Options) *office {
	t.Helper()
	return open(t, memlog.New(memlog.Options{}), new(shard.Local), o)
}

// again stops the node and begins another over the same log.
func (o *office) again() *office {
	o.t.Helper()
	o.stop()
	return open(o.t, o.log, new(shard.Local), o.opt)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) put(name, text string) {
	o.t.Helper()
	_, _, err := o.Put(o.t.Context(), name, []byte(text), PutOptions{})
	must(o.t, err)
}

func code(t testing.TB, err error, want parley.Code) {
	t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		t.Fatalf("%v, want %v", err, want)
	}
}

// publish publishes data to a topic, each an event.
func (o *office) publish(name string, data ...string) {
	o.t.Helper()
	var events []parley.Event
	for _, d := range data {
		events = append(events, parley.Event{Data: []byte(d), DataContentType: "application/json"})
	}
	_, _, err := o.topics.Publish(o.t.Context(), name, events, topic.PublishOptions{})
	must(o.t, err)
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf(`{"n":%d}`, i))
	}
	return list
}

// events gives all that a topic has.
func (o *office) events(name string) (list []parley.Event) {
	o.t.Helper()
	t, err := o.topics.Get(name)
	if parley.CodeOf(err) == parley.NotFound && err != nil {
		return nil
	}
	must(o.t, err)
	for _, p := range t.Partitions {
		for at := (parley.Place{Stream: p.Stream}); ; {
			run, err := o.log.Read(o.t.Context(), at, 1<<20)
			must(o.t, err)
			if run.Empty() {
				break
			}
			for rec, err := range run.Records() {
				must(o.t, err)
				e, err := rec.Event()
				must(o.t, err)
				list = append(list, e.Clone())
			}
			at.At = run.Next()
			run.Release()
		}
	}
	return list
}

func (o *office) data(name string) (list []string) {
	o.t.Helper()
	for _, e := range o.events(name) {
		list = append(list, string(e.Data))
	}
	return list
}

func (o *office) stats(name string) Stats {
	o.t.Helper()
	s, err := o.Stats(o.t.Context(), name)
	must(o.t, err)
	return s
}

func bubble(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, fn)
}

// settle waits until nothing happens any more, and so much time has passed.
func settle(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
	synctest.Wait()
}

// programs answer as a function says, in place of processes.
type programs func(in []byte) ([]byte, error)

func (p programs) Open(graph.Program) (graph.Running, error) { return p, nil }

func (p programs) Do(_ context.Context, inputs [][]byte) (all []graph.Result) {
	for _, in := range inputs {
		out, err := p(in)
		r := graph.Result{Attempts: 1, Err: err}
		if err == nil && out != nil {
			r.Out = [][]byte{out}
		}
		all = append(all, r)
	}
	return all
}

func (programs) Close() error { return nil }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
