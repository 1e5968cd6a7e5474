package topic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func newTest(t interface{ Fatal(...any) }, log parley.Log, o Options) *Registry {
	r := New(log, o)
	if err := r.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r
}

func wantCode(t testing.TB, err error, code parley.Code, field string) {
	t.Helper()
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != code || e.Field != field {
		t.Fatalf("got %v, want %v (%s)", err, code, field)
	}
}

func TestEnsure(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	closed, open := newTest(t, log, Options{}), newTest(t, log, Options{AutoCreate: true, Defaults: Settings{Partitions: 2}})
	_, err := closed.Ensure(ctx, "orders")
	wantCode(t, err, parley.NotFound, "topic")
	made, err := open.Ensure(ctx, "orders")
	if err != nil || len(made.Partitions) != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	if got, err := closed.Ensure(ctx, "orders"); err != nil || !reflect.DeepEqual(got, made) {
		t.Fatalf("the other node has %+v, %v; want %+v", got, err, made)
	}
	for name, code := range map[string]parley.Code{"$topics": parley.Forbidden, "$keys": parley.Forbidden, "a b": parley.Invalid, "": parley.Invalid} {
		_, err := open.Ensure(ctx, name)
		wantCode(t, err, code, "topic")
		_, _, err = open.Publish(ctx, name, []parley.Event{{}}, PublishOptions{})
		wantCode(t, err, code, "topic")
	}
	if _, err := open.Get("$keys"); parley.CodeOf(err) != parley.NotFound {
		t.Fatalf("the keys can be read: %v", err)
	}
	full := newTest(t, log, Options{AutoCreate: true, MaxTopics: 1})
	_, err = full.Ensure(ctx, "more")
	wantCode(t, err, parley.Overloaded, "topic")
	if _, err := full.Ensure(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
}

func TestDeclare(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{})
	d, err := r.Declare(ctx, "$queue.jobs.moves")
	if err != nil || d.Partitions[0] != (Partition{parley.Stream{Name: "$queue.jobs.moves"}, FirstNumber}) {
		t.Fatalf("%+v, %v", d, err)
	}
	again, err := newTest(t, log, Options{}).Declare(ctx, "$queue.jobs.moves")
	if err != nil || !reflect.DeepEqual(again, d) {
		t.Fatalf("%+v, %v", again, err)
	}
	_, err = r.Declare(ctx, "orders")
	wantCode(t, err, parley.Invalid, "topic")
	_, _, err = r.Publish(ctx, "$queue.jobs.moves", []parley.Event{{}}, PublishOptions{})
	wantCode(t, err, parley.Forbidden, "topic")
	wantCode(t, r.Delete(ctx, "$queue.jobs.moves"), parley.Forbidden, "topic")
}

// faulty is a log some of whose calls fail.
type faulty struct {
	*memlog.Log
	append func(...parley.Write) error // before the Append
	after  func(...parley.Write) error // instead of its answer
	remove func(parley.Stream) error
}

func (f *faulty) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	if f.append != nil {
		if err := f.append(w...); err != nil {
			return nil, err
		}
	}
	done, err := f.Log.Append(ctx, w...)
	if err == nil && f.after != nil {
		if err = f.after(w...); err != nil {
			return nil, err
		}
	}
	return done, err
}

func (f *faulty) Remove(ctx context.Context, s parley.Stream) error {
	if f.remove != nil {
		if err := f.remove(s); err != nil {
			return err
		}
	}
	return f.Log.Remove(ctx, s)
}

func TestAnInterruptedDeletionLeavesNothing(t *testing.T) {
	ctx := context.Background()
	down := errors.New("down")
	log := &faulty{Log: memlog.New(memlog.Options{}), remove: func(parley.Stream) error { return down }}
	r := newTest(t, log, Options{AutoCreate: true})
	if _, _, err := r.Publish(ctx, "orders", []parley.Event{{Data: []byte("old")}}, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	old, _ := r.Get("orders")
	if err := r.Delete(ctx, "orders"); !errors.Is(err, down) {
		t.Fatal(err)
	}
	if _, err := r.Get("orders"); parley.CodeOf(err) != parley.NotFound {
		t.Fatalf("the topic is there: %v", err)
	}
	made, err := r.Ensure(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if run, err := log.Read(ctx, parley.Place{Stream: made.Partitions[0].Stream}, 1); err != nil || !run.Empty() {
		t.Fatalf("a topic made again shows what the old one held: %v", err)
	}
	if made.Epoch <= old.Epoch || !r.Retired(old.Partitions[0].Number) || r.Retired(made.Partitions[0].Number) {
		t.Fatalf("epochs %d, %d", old.Epoch, made.Epoch)
	}
	foreign := parley.Stream{Name: "mine/5"} // a number below the first: not ours
	future := parley.Stream{Name: "orders/999"}
	batch, _ := parley.NewBatch(time.Now(), parley.Event{ID: "1", Source: "/", Type: "t"})
	if _, err := log.Append(ctx, parley.Write{Stream: foreign, Batch: batch}, parley.Write{Stream: future, Batch: batch}); err != nil {
		t.Fatal(err)
	}
	log.remove = nil
	newTest(t, log, Options{})
	streams, _ := log.Streams(ctx, "")
	want := []parley.Stream{{Name: "$topics"}, foreign, future}
	if !slices.Equal(streams, want) {
		t.Fatalf("after Load there are %v, want %v", streams, want)
	}
}

func TestLoadRefusesWhatItCannotUnderstand(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	batch, _ := parley.NewBatch(time.Now(), parley.Event{ID: "1", Source: "/", Type: TypeCreated, Subject: "a", Data: []byte("{")})
	if _, err := log.Append(ctx, parley.Write{Stream: parley.Stream{Name: TopicsStream}, Batch: batch}); err != nil {
		t.Fatal(err)
	}
	r := New(log, Options{})
	wantCode(t, r.Load(ctx), parley.Damaged, "")
	wantCode(t, r.Run(ctx), parley.Damaged, "")
	_, err := r.Create(ctx, "b", Settings{})
	wantCode(t, err, parley.Damaged, "")
	wantCode(t, New(memlog.New(memlog.Options{}), Options{Defaults: Settings{Partitions: 5000}}).Load(ctx), parley.Invalid, "partitions")
}

// TestConcurrentWriters has many goroutines on two nodes create, all at once.
func TestConcurrentWriters(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	nodes := []*Registry{newTest(t, log, Options{AutoCreate: true}), newTest(t, log, Options{AutoCreate: true})}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if _, err := nodes[i%2].Ensure(ctx, fmt.Sprintf("topic-%d", i/3)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range nodes {
		if err := r.roll.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		numbers := map[uint64]bool{}
		for _, topic := range r.List() {
			numbers[topic.Partitions[0].Number] = true
		}
		if len(numbers) != 21 || !numbers[FirstNumber] || !numbers[FirstNumber+19] {
			t.Fatalf("numbers %v", numbers)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	log := &faulty{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{})
	log.append = func(...parley.Write) error { return parley.Errorf(parley.Conflict, "always") }
	_, err := r.Create(context.Background(), "a", Settings{})
	wantCode(t, err, parley.Conflict, "")
	log.append = func(...parley.Write) error { return parley.Errorf(parley.Full, "disk") }
	_, err = r.Create(context.Background(), "a", Settings{})
	wantCode(t, err, parley.Full, "")
	log.append, log.after = nil, func(...parley.Write) error { return parley.Errorf(parley.Unknown, "gone") }
	_, err = r.Create(context.Background(), "a", Settings{})
	wantCode(t, err, parley.Unknown, "")
	log.after = nil
	if _, err = r.Create(context.Background(), "a", Settings{}); err != nil { // it was durable after all
		t.Fatal(err)
	}
	log.append = func(...parley.Write) error { // while one writes, another has to wait
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Delete(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return nil
	}
	if err := r.Delete(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
}

// TestWatch follows the changes of another node through Run.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		log := memlog.New(memlog.Options{})
		here, there := newTest(t, log, Options{}), newTest(t, log, Options{})
		must := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(here.Create(ctx, "first", Settings{}))
		var seen []string
		cancel := here.Watch(func(topic Topic, removed bool) {
			seen = append(seen, fmt.Sprintf("%s %d %t", topic.Name, len(topic.Partitions), removed))
			here.List() // no lock is held
		})
		slices.Sort(seen)
		ended := make(chan error, 1)
		go func() { ended <- here.Run(ctx) }()
		must(there.Create(ctx, "second", Settings{}))
		must(there.Update(ctx, "second", Settings{Partitions: 2}))
		must(nil, there.Delete(ctx, "first"))
		synctest.Wait()
		must(here.Ensure(ctx, "~typing"))
		must(nil, here.Delete(ctx, "~typing"))
		want := "$topics 1 false, first 1 false, second 1 false, second 2 false, first 1 true, ~typing 1 false, ~typing 1 true"
		if got := strings.Join(seen, ", "); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		cancel()
		must(there.Create(ctx, "third", Settings{}))
		synctest.Wait()
		if len(seen) != 7 {
			t.Fatalf("called after cancel: %v", seen)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// TestRunGoesOn has the log fail for a while.
func TestRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		log := &flaky{Log: memlog.New(memlog.Options{}), down: true}
		there := newTest(t, log.Log, Options{})
		here := New(log, Options{Logger: quiet})
		ended := make(chan error, 1)
		go func() { ended <- here.Run(ctx) }()
		synctest.Wait()
		if _, err := there.Create(ctx, "a", Settings{}); err != nil {
			t.Fatal(err)
		}
		log.setDown(false)
		wait(ctx, 2*time.Second)
		if _, err := here.Get("a"); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

type flaky struct {
	*memlog.Log
	mu   sync.Mutex
	down bool
}

func (f *flaky) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *flaky) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	f.mu.Lock()
	down := f.down
	f.mu.Unlock()
	if down {
		return parley.Run{}, parley.Errorf(parley.Unavailable, "down")
	}
	return f.Log.Read(ctx, at, n)
}

func TestEphemeral(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{MaxTopics: 2})
	placed, _, err := r.Publish(ctx, "~typing.room", []parley.Event{{Data: []byte("a")}}, PublishOptions{})
	if err != nil || placed[0].Topic != "~typing.room" {
		t.Fatal(placed, err)
	}
	topic, err := r.Get("~typing.room")
	if err != nil || topic.Settings.Durability != Memory || topic.Partitions[0].Number <= EphemeralNumber {
		t.Fatalf("%+v, %v", topic, err)
	}
	if end, _ := log.End(ctx, parley.Stream{Name: TopicsStream}); end != 0 {
		t.Fatal("an ephemeral topic is in $topics")
	}
	_, err = r.Create(ctx, "~typing.room", Settings{MaxAge: time.Hour})
	wantCode(t, err, parley.Exists, "max_age")
	_, err = r.Create(ctx, "~b", Settings{Partitions: 2})
	wantCode(t, err, parley.Invalid, "partitions")
	_, err = r.Create(ctx, "~b", Settings{Durability: OS})
	wantCode(t, err, parley.Invalid, "durability")
	if made, err := r.Create(ctx, "~b", Settings{MaxAge: time.Hour}); err != nil || made.Settings.MaxAge != time.Hour {
		t.Fatal(made, err)
	}
	_, err = r.Ensure(ctx, "~c")
	wantCode(t, err, parley.Overloaded, "topic")
	if up, err := r.Update(ctx, "~b", Settings{MaxAge: time.Minute}); err != nil || up.Settings.MaxAge != time.Minute {
		t.Fatal(up, err)
	}
	_, err = r.Update(ctx, "~none", Settings{})
	wantCode(t, err, parley.NotFound, "topic")
	if err := r.Delete(ctx, "~b"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.Delete(ctx, "~b"), parley.NotFound, "topic")
	again, err := r.Create(ctx, "~b", Settings{})
	if err != nil || again.Partitions[0].Number != EphemeralNumber+3 {
		t.Fatal(again, err)
	}
}

// bare is a log without any ability.
type bare struct{ parley.Log }

func TestABareEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		log := bare{memlog.New(memlog.Options{})}
		r := newTest(t, log, Options{AutoCreate: true, Logger: quiet, Defaults: Settings{MaxAge: time.Second}})
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		for range 3 {
			if _, _, err := r.Publish(ctx, "orders", []parley.Event{{}}, PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		wait(ctx, time.Hour)
		if n := len(stored(t, r, "orders")); n != 3 {
			t.Fatalf("%d events", n)
		}
		topic, _ := r.Get("orders")
		if err := r.Delete(ctx, "orders"); err != nil {
			t.Fatal(err)
		}
		run, err := log.Read(ctx, parley.Place{Stream: topic.Partitions[0].Stream}, 1<<20)
		if err != nil || run.Next() != 4 || run.From() != 0 {
			t.Fatal(run.Next(), err)
		}
		left := 0
		for range run.Batches() {
			left++
		}
		if left != 1 { // the newest batch cannot be trimmed
			t.Fatalf("%d batches are left", left)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAutoCreates(t *testing.T) {
	for _, c := range []struct {
		name    string
		on, off bool
	}{{"orders", true, false}, {"~typing", true, true}, {"$topics", false, false}, {"a b", false, false}} {
		on, off := New(nil, Options{AutoCreate: true}), New(nil, Options{})
		if on.AutoCreates(c.name) != c.on || off.AutoCreates(c.name) != c.off {
			t.Errorf("%s: %t, %t", c.name, on.AutoCreates(c.name), off.AutoCreates(c.name))
		}
	}
}
