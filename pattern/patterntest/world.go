package patterntest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// World is what a case runs on: a log of its own and what all doors stand on,
// running until the test ends. Topics are created by publishing.
type World struct {
	*testing.T
	Log    parley.Log
	Topics *topic.Registry
	Hub    *pubsub.Hub
	Limits *policy.Registry // named limits, which the doors with a boundary ask

	// Host runs machines; Groups are the consumer groups, Queues the work queues and
	// Pipes the declared pipes that it runs. nil where the table names none.
	Host   shard.Host
	Groups *stream.Groups
	Queues *queue.Registry
	Pipes  *declared.Registry

	stopQueues, stopPipes func()

	sealer *cursor.Sealer
	// Life ends after the doors have closed: the context for what outlives a
	// request.
	Life context.Context //nolint:containedctx // it is the world's
}

func newWorld(t *testing.T, log parley.Log) *World {
	w := &World{T: t, Log: log}
	if engine, ok := log.(parley.Runner); ok {
		w.Background("engine", engine.Run)
	}
	var err error
	w.Life = w.Background("life", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	w.Topics = topic.New(log, topic.Options{AutoCreate: true})
	if err = w.Topics.Load(w.Life); err != nil {
		t.Fatal(err)
	}
	if w.Limits, err = policy.New(log, policy.Options{}); err != nil {
		t.Fatal(err)
	}
	if err = w.Limits.Load(w.Life); err != nil {
		t.Fatal(err)
	}
	w.sealer = cursor.NewSealer(secret(1))
	w.Hub = pubsub.NewHub(log, w.Topics, w.sealer, pubsub.Options{TailBytes: tailBytes})
	w.Background("topics", w.Topics.Run)
	w.Background("limits", w.Limits.Run)
	w.Background("hub", w.Hub.Run)
	return w
}

// runQueues runs the queues of the log on the world's host.
func (w *World) runQueues() {
	w.Helper()
	var err error
	w.Queues, err = queue.NewRegistry(w.Log, w.Host, queue.RegistryOptions{AutoCreate: true, Topics: w.Topics, Hub: w.Hub})
	if err == nil {
		err = w.Queues.Load(w.Life)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.ownQueues()
}

func (w *World) ownQueues() {
	ctx, stop := context.WithCancel(w.Life)
	done := make(chan error, 1)
	go func() { done <- w.Queues.Run(ctx) }()
	w.stopQueues = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			w.Errorf("the queues ended with %v", err)
		}
	})
	w.Cleanup(w.stopQueues)
}

// restartQueues has nobody own the queues for a while.
func (w *World) restartQueues() {
	w.Helper()
	if far, ok := w.Host.(*elsewhere); ok {
		w = far.at
	}
	w.stopQueues()
	w.pass(time.Second)
	w.ownQueues()
}

// tailBytes is how much the hub keeps of a stream: little, so that readers come
// to read the log.
const tailBytes = 16 << 10

func secret(n byte) cursor.Key { return cursor.Key{ID: 1, Secret: [32]byte{n}} }

// Background runs f until the test has ended and what was begun or left to Cleanup
// later is over. It returns f's context.
func (w *World) Background(name string, f func(context.Context) error) context.Context {
	ctx, stop := context.WithCancel(context.Background()) //nolint:forbidigo // it ends with the world
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.Errorf("%s ended with %v", name, err)
		}
	})
	return ctx
}

// pass lets time go by: whatever is due by then happens.
func (w *World) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// numbers makes events whose data are the numbers from one to another.
func numbers(from, to int) []parley.Event {
	var events []parley.Event
	for i := from; i <= to; i++ {
		events = append(events, parley.Event{Data: strconv.AppendInt(nil, int64(i), 10), DataContentType: "application/json"})
	}
	return events
}

// put publishes numbers, as one request and not through a door.
func (w *World) put(name string, from, to int) []topic.Placed {
	w.Helper()
	return w.publish(name, numbers(from, to)...)
}

// putLater is put, meanwhile. The test does not end before it.
func (w *World) putLater(after time.Duration, name string, from, to int) {
	w.meanwhile(func() {
		w.pass(after)
		if _, _, err := w.Topics.Publish(w.Life, name, numbers(from, to), topic.PublishOptions{}); err != nil {
			w.Errorf("publish to %s: %v", name, err)
		}
	})
}

// meanwhile runs f on a goroutine, which must not call Fatal, and has the test
// wait for it.
func (w *World) meanwhile(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	w.Cleanup(func() { <-done })
}

func (w *World) publish(name string, events ...parley.Event) []topic.Placed {
	w.Helper()
	placed, _, err := w.Topics.Publish(w.Life, name, events, topic.PublishOptions{})
	if err != nil {
		w.Fatalf("publish to %s: %v", name, err)
	}
	return placed
}

func (w *World) create(name string, partitions int) topic.Topic {
	w.Helper()
	t, err := w.Topics.Create(w.Life, name, topic.Settings{Partitions: partitions})
	if err != nil {
		w.Fatalf("create %s: %v", name, err)
	}
	return t
}

func (w *World) remove(name string) {
	w.Helper()
	if err := w.Topics.Delete(w.Life, name); err != nil {
		w.Fatalf("delete %s: %v", name, err)
	}
}

func (w *World) stream(name string, partition int) parley.Stream {
	w.Helper()
	t, err := w.Topics.Get(name)
	if err != nil {
		w.Fatal(err)
	}
	return t.Partitions[partition].Stream
}

// grain is the most bytes that an engine may keep beyond what it was told to trim.
const grain = 1 << 20

// trim drops what is below a position of a topic's only stream, whose newest event
// is numbered newest. An engine drops whole files only, so other events are added,
// each as the topic's next number, and more is dropped, until that is gone. What
// is kept then is the numbers from first to last.
func (w *World) trim(name string, upTo parley.Position, newest int) (first, last int) {
	w.Helper()
	s, to := w.stream(name, 0), upTo
	for spent := 0; ; spent += padding {
		if err := w.Log.Trim(w.Life, s, to); err != nil {
			w.Fatalf("trim: %v", err)
		}
		if w.earliest(name) >= upTo {
			return w.first(name), newest
		}
		if spent > grain {
			w.Fatalf("position %d of %s is kept, after %d bytes more", upTo-1, name, spent)
		}
		newest++
		to = w.publish(name, padded(newest))[0].Position
		w.pass(time.Millisecond) // what an engine does in the background gets done
	}
}

// first is the number of a topic's oldest event.
func (w *World) first(name string) int {
	w.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(string(w.stored(name)[0].Data)))
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// stored gives what a topic holds, read by the library.
func (w *World) stored(name string) []parley.Event {
	w.Helper()
	page, err := w.Hub.Tail(w.Life, subscribeTo(name), 1000, "")
	if parley.CodeOf(err) == parley.NotFound && err != nil {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	var all []parley.Event
	for _, v := range page.Events {
		all = append(all, v.Event)
	}
	return all
}

const padding = 16 << 10

// padded is a number's event that takes some room.
func padded(n int) parley.Event {
	return parley.Event{Data: fmt.Appendf(nil, "%d%*s", n, padding, ""), DataContentType: "application/json"}
}

func (w *World) earliest(name string) parley.Position {
	w.Helper()
	stats, err := w.Hub.Stats(w.Life, w.stream(name, 0))
	if err != nil {
		w.Fatal(err)
	}
	return stats.Earliest
}

// cursor gives a good cursor at the end of topics.
func (w *World) cursor(names ...string) string {
	w.Helper()
	return w.cursorOf(w.Hub, names...)
}

func (w *World) cursorOf(hub *pubsub.Hub, names ...string) string {
	w.Helper()
	sub, err := hub.Subscribe(w.Life, pubsub.Request{Topics: names})
	if err != nil {
		w.Fatal(err)
	}
	defer sub.Close()
	return sub.Cursor()
}

// sealed gives a good cursor at some position of a topic's only stream.
func (w *World) sealed(name string, next parley.Position) string {
	w.Helper()
	t, err := w.Topics.Get(name)
	if err != nil {
		w.Fatal(err)
	}
	stats, err := w.Hub.Stats(w.Life, t.Partitions[0].Stream)
	if err != nil {
		w.Fatal(err)
	}
	return w.sealer.Seal("", []cursor.Mark{{Number: t.Partitions[0].Number, Epoch: stats.Epoch, Next: next}})
}

// foreign gives a cursor for a topic as another server would have made it: well
// formed, and sealed with another key.
func (w *World) foreign(name string) string {
	w.Helper()
	return w.cursorOf(pubsub.NewHub(w.Log, w.Topics, cursor.NewSealer(secret(2)), pubsub.Options{}), name)
}
