package queue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// office is a registry that runs, in a bubble.
type office struct {
	*Registry
	log    parley.Log
	topics *topic.Registry
	stop   func()
}

func newOffice(t *testing.T, log parley.Log, o RegistryOptions) *office {
	t.Helper()
	if log == nil {
		log = memlog.New(memlog.Options{})
	}
	topics := topic.New(log, topic.Options{})
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Topics, o.Logger = topics, slog.New(slog.DiscardHandler)
	r, err := NewRegistry(log, new(shard.Local), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return &office{r, log, topics, stop}
}

func (o *office) names() (list []string) {
	for _, q := range o.List() {
		list = append(list, q.Name())
	}
	return list
}

func (o *office) must(t *testing.T, name string) *Queue {
	t.Helper()
	q, err := o.Ensure(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func put(t *testing.T, q *Queue, n int) {
	t.Helper()
	if _, err := q.Enqueue(t.Context(), make([]Job, n), EnqueueOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestQueuesAreMadeListedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil, RegistryOptions{AutoCreate: true, MaxQueues: 2})
		a, b := o.must(t, "a"), o.must(t, "b.x")
		put(t, a, 3)
		put(t, b, 1)
		if got := o.names(); !slices.Equal(got, []string{"a", "b.x"}) {
			t.Fatal(got)
		}
		for name, code := range map[string]parley.Code{
			"c": parley.Overloaded, "": parley.Invalid, "$a": parley.Forbidden, "~a": parley.Invalid, strings.Repeat("x", 201): parley.Invalid,
		} {
			if _, err := o.Ensure(t.Context(), name); parley.CodeOf(err) != code {
				t.Errorf("%.10q: %v", name, err)
			}
		}
		waiting := make(chan error, 1)
		go func() {
			_, err := b.Lease(t.Context(), LeaseRequest{Max: 1})
			if err == nil {
				_, err = b.Lease(t.Context(), LeaseRequest{Wait: time.Minute})
			}
			waiting <- err
		}()
		synctest.Wait()
		begin := time.Now()
		if err := o.Delete(t.Context(), "b.x"); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; parley.CodeOf(err) != parley.NotFound || time.Since(begin) != 0 {
			t.Errorf("who waited is told %v after %s", err, time.Since(begin))
		}
		if _, err := o.Get(t.Context(), "b.x"); parley.CodeOf(err) != parley.NotFound {
			t.Error(err)
		}
		if err := o.Delete(t.Context(), "b.x"); parley.CodeOf(err) != parley.NotFound {
			t.Error(err)
		}
		if _, err := b.Stats(t.Context()); parley.CodeOf(err) != parley.NotFound {
			t.Error(err)
		}
		if got := remains(t, o, "b.x"); len(got) != 0 {
			t.Errorf("left are %v", got)
		}
		if s, err := o.must(t, "b.x").Stats(t.Context()); err != nil || s.Ready != 0 || s.Leased != 0 {
			t.Errorf("made again, it has %+v %v", s, err)
		}
	})
}

// remains lists the streams and topics of a queue.
func remains(t *testing.T, o *office, name string) (list []string) {
	t.Helper()
	streams, err := o.log.(parley.Lister).Streams(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		list = append(list, s.Name)
	}
	for _, k := range o.topics.List() {
		list = append(list, "topic "+k.Name)
	}
	return slices.DeleteFunc(list, func(s string) bool { return !strings.Contains(s, "$queue."+name+".") })
}

func TestQueuesOutliveTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil, RegistryOptions{AutoCreate: true})
		put(t, o.must(t, "a"), 2)
		old := o.must(t, "gone")
		put(t, old, 2)
		if err := o.Delete(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		put(t, old, 1) // as another node may that has not heard of it
		again := newOffice(t, o.log, RegistryOptions{})
		if got := again.names(); !slices.Equal(got, []string{"a"}) {
			t.Fatal(got)
		}
		if got := remains(t, again, "gone"); len(got) != 0 {
			t.Errorf("left are %v", got)
		}
		if _, err := again.Ensure(t.Context(), "b"); parley.CodeOf(err) != parley.NotFound {
			t.Errorf("it makes queues by itself: %v", err)
		}
		o.stop()
		if s, err := again.must(t, "a").Stats(t.Context()); err != nil || s.Ready != 2 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestQueuesOfOtherNodesAppear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newOffice(t, nil, RegistryOptions{AutoCreate: true})
		other := newOffice(t, one.log, RegistryOptions{})
		one.must(t, "a")
		q, err := other.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := one.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the other has heard of it
		if _, err := q.Stats(t.Context()); parley.CodeOf(err) != parley.NotFound || len(other.names()) != 0 {
			t.Errorf("%v, it lists %v", err, other.names())
		}
	})
}

func TestQueuesOfTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil, RegistryOptions{Fixed: map[string]Settings{"mails": {MaxAttempts: 3}}})
		synctest.Wait()
		q, err := o.Get(t.Context(), "mails")
		if err != nil {
			t.Fatal(err)
		}
		if s, err := q.Settings(t.Context()); err != nil || s.MaxAttempts != 3 {
			t.Errorf("%+v %v", s, err)
		}
		change := func(s *Settings) error { s.MaxAttempts = 4; return nil }
		if _, _, err := o.Configure(t.Context(), "mails", change); parley.CodeOf(err) != parley.Conflict {
			t.Error(err)
		}
		if err := o.Delete(t.Context(), "mails"); parley.CodeOf(err) != parley.Conflict {
			t.Error(err)
		}
		for _, wantNew := range []bool{true, false} {
			s, created, err := o.Configure(t.Context(), "other", change)
			if err != nil || created != wantNew || s.MaxAttempts != 4 || s.Visibility != 30*time.Second {
				t.Errorf("%+v %v %v", s, created, err)
			}
		}
		bad := func(s *Settings) error { s.MaxAttempts = -7; return nil }
		if _, _, err := o.Configure(t.Context(), "third", bad); parley.CodeOf(err) != parley.Invalid || len(o.names()) != 2 {
			t.Errorf("%v; there are %v", err, o.names())
		}
		_, err = NewRegistry(o.log, new(shard.Local), RegistryOptions{Fixed: map[string]Settings{"x": {Visibility: -1}}})
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != "x.visibility" {
			t.Error(err)
		}
	})
}

func TestACatalogThatCannotBeIsRefused(t *testing.T) {
	event := func(kind, name, data string) *parley.Event {
		return &parley.Event{Type: kind, Subject: name, Data: []byte(data)}
	}
	c := catalog{numbers: map[string]uint64{}}
	for _, good := range []*parley.Event{event(TypeCreated, "a", `{"number":1}`), event("parley.queue.other", "a", ""), event(TypeDeleted, "a", ""), event(TypeCreated, "b", `{"number":7}`)} {
		if err := c.apply(good); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []*parley.Event{event(TypeCreated, "c", `{"number":7}`), event(TypeCreated, "b", `{"number":8}`), event(TypeCreated, "c", `x`), event(TypeCreated, "$", `{"number":9}`)} {
		if err := c.apply(bad); parley.CodeOf(err) != parley.Damaged {
			t.Errorf("%s %s is taken", bad.Subject, bad.Data)
		}
	}
	for stream, left := range map[string]bool{
		"$queue.a.jobs.1": true, "$queue.a.moves.1": true, "$queue.b.jobs.7": false, "$queue.b.jobs.3": true, "$queue.b.jobs.8": false,
		"$queue.a.jobs": false, "$queue.a.other.1": false, "$queue.a.jobs.x": false, "$queues": false, "a.jobs.1": false, "$queue.b.jobs.0": false,
	} {
		if c.left(stream) != left {
			t.Errorf("%s: %v", stream, !left)
		}
	}
}

// counted counts the calls of a log that a queue makes.
type counted struct {
	*memlog.Log
	calls atomic.Int64
}

func (c *counted) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	c.calls.Add(1)
	return c.Log.Append(ctx, w...)
}

func (c *counted) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	c.calls.Add(1)
	return c.Log.Read(ctx, at, n)
}

func (c *counted) Wait(ctx context.Context, at ...parley.Place) error {
	c.calls.Add(1)
	return c.Log.Wait(ctx, at...)
}

func TestIdleQueuesDoNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &counted{Log: memlog.New(memlog.Options{})}
		o := newOffice(t, log, RegistryOptions{AutoCreate: true})
		for _, name := range []string{"a", "b", "c"} {
			put(t, o.must(t, name), 1)
		}
		<-time.After(linger) // the jobs are taken in
		synctest.Wait()
		before := log.calls.Load()
		day := time.NewTimer(24 * time.Hour)
		<-day.C
		if n := log.calls.Load() - before; n != 0 {
			t.Errorf("%d calls of the log in a day without a caller", n)
		}
	})
}
