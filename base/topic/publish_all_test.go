package topic

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestPublishAll(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	nodes := []*Registry{newTest(t, log, Options{AutoCreate: true}), newTest(t, log, Options{AutoCreate: true})}
	if _, err := nodes[0].Create(ctx, "b", Settings{Partitions: 12}); err != nil {
		t.Fatal(err)
	}
	all := []TopicEvents{{"a", []parley.Event{{Data: []byte("0")}}}, {"b", nil}, {"a", []parley.Event{{Data: []byte("1")}}}}
	for i := range 30 {
		all[1].Events = append(all[1].Events, keyed(fmt.Sprint("b", i), fmt.Sprint(i)))
	}
	appends := 0
	log.append = func(...parley.Write) error { appends++; return nil }
	if _, err := nodes[0].Ensure(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	appends = 0
	unkeyed, replayed, err := nodes[0].PublishAll(ctx, all, PublishOptions{})
	if err != nil || replayed || len(unkeyed) != 32 || appends != 1 {
		t.Fatal(len(unkeyed), replayed, err, appends)
	}
	key := PublishOptions{IdempotencyKey: "k"}
	placed, replayed, err := nodes[0].PublishAll(ctx, all, key)
	if err != nil || replayed || appends != 2 {
		t.Fatal(replayed, err, appends)
	}
	a, b := stored(t, nodes[0], "a"), stored(t, nodes[0], "b")
	check := func(i int, data, topic string, in map[string]parley.Event) {
		t.Helper()
		if p := placed[i]; p.Topic != topic || string(in[place(p)].Data) != data || in[place(p)].ID != p.ID {
			t.Fatalf("event %d is placed at %+v, where %+v is", i, p, in[place(p)])
		}
	}
	check(0, "0", "a", a)
	check(31, "1", "a", a)
	for i := range 30 {
		check(i+1, fmt.Sprint("b", i), "b", b)
	}
	if _, err := nodes[0].Update(ctx, "b", Settings{Partitions: 13}); err != nil { // placed anew, but not what is replayed
		t.Fatal(err)
	}
	restarted := newTest(t, log, Options{})
	for _, r := range []*Registry{nodes[0], nodes[1], restarted} {
		again, replayed, err := r.PublishAll(ctx, all, key)
		if err != nil || !replayed || !reflect.DeepEqual(again, placed) {
			t.Fatalf("%t %v\n got %v\nwant %v", replayed, err, again, placed)
		}
	}
	all[2].Events[0].Data = []byte("2")
	_, _, err = restarted.PublishAll(ctx, all, key)
	wantCode(t, err, parley.KeyReused, "Idempotency-Key")
	if after := stored(t, restarted, "a"); len(after) != 4 || len(stored(t, restarted, "b")) != 60 {
		t.Fatalf("%d events", len(after))
	}
	log.append = func(...parley.Write) error { return parley.Errorf(parley.Apart, "two homes") }
	_, _, err = restarted.PublishAll(ctx, all, PublishOptions{IdempotencyKey: "other"})
	wantCode(t, err, parley.Apart, "")
}

func TestPublishAllAfterAnUnknownOutcome(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{AutoCreate: true})
	if _, err := r.Ensure(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	all := []TopicEvents{{"a", []parley.Event{{Data: []byte("x")}}}}
	log.after = func(...parley.Write) error { return parley.Errorf(parley.Unknown, "gone") }
	_, _, err := r.PublishAll(ctx, all, PublishOptions{IdempotencyKey: "k"})
	wantCode(t, err, parley.Unknown, "")
	log.after = nil
	placed, replayed, err := r.PublishAll(ctx, all, PublishOptions{IdempotencyKey: "k"})
	if err != nil || !replayed || len(stored(t, r, "a")) != 1 || placed[0].Position != 1 {
		t.Fatal(placed, replayed, err)
	}
}

// TestPublishAllConflict has another node come first between the look and the
// append.
func TestPublishAllConflict(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	r, other := newTest(t, log, Options{AutoCreate: true}), newTest(t, log.Log, Options{AutoCreate: true})
	if _, err := r.Ensure(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	all := []TopicEvents{{"a", []parley.Event{{Data: []byte("x")}}}}
	key := PublishOptions{IdempotencyKey: "k"}
	var first []Placed
	log.append = func(...parley.Write) error {
		if first == nil {
			var err error
			if first, _, err = other.PublishAll(ctx, all, key); err != nil {
				return err
			}
		}
		return nil
	}
	placed, replayed, err := r.PublishAll(ctx, all, key)
	if err != nil || !replayed || !reflect.DeepEqual(placed, first) || len(stored(t, r, "a")) != 1 {
		t.Fatalf("%v %t %v, want %v", placed, replayed, err, first)
	}
}

func TestPublishAllTouchesTooMuch(t *testing.T) {
	ctx := context.Background()
	r := newTest(t, memlog.New(memlog.Options{}), Options{})
	if _, err := r.Create(ctx, "wide", Settings{Partitions: 1024}); err != nil {
		t.Fatal(err)
	}
	var events []parley.Event
	for i := range 20_000 {
		events = append(events, keyed("", fmt.Sprint(i)))
	}
	_, _, err := r.PublishAll(ctx, []TopicEvents{{"wide", events}}, PublishOptions{})
	wantCode(t, err, parley.TooLarge, "events")
}

// TestPublishAllFindsItsOwnBatch has batches alike before and beside the one
// that a replay looks for.
func TestPublishAllFindsItsOwnBatch(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	now := time.Now()
	r := newTest(t, log, Options{AutoCreate: true, Now: func() time.Time { return now }})
	event := parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("x")}
	if _, _, err := r.Publish(ctx, "a", []parley.Event{event}, PublishOptions{}); err != nil { // the same bytes
		t.Fatal(err)
	}
	beside := false
	log.append = func(w ...parley.Write) error {
		if len(w) == 2 && !beside {
			beside = true
			other := event
			other.ID = "2" // as many bytes
			_, _, err := r.Publish(ctx, "a", []parley.Event{other}, PublishOptions{})
			return err
		}
		return nil
	}
	all, key := []TopicEvents{{"a", []parley.Event{event}}}, PublishOptions{IdempotencyKey: "k"}
	first, _, err := r.PublishAll(ctx, all, key)
	if err != nil || first[0].Position != 3 {
		t.Fatal(first, err)
	}
	again, replayed, err := r.PublishAll(ctx, all, key)
	if err != nil || !replayed || !reflect.DeepEqual(again, first) {
		t.Fatal(again, replayed, err)
	}
}

func TestWindow(t *testing.T) {
	var w window
	start := time.Now()
	a, b := onceKey("all", "", "a"), onceKey("all", "", "b")
	w.add(&commit{key: a, at: start, base: 1})
	w.add(&commit{key: b, at: start.Add(time.Minute), base: 2})
	last := start.Add(parley.OnceWindow - 1)
	if w.find(last, a) == nil || w.expire(last) != 0 {
		t.Fatal("forgotten within the window")
	}
	if w.find(last.Add(1), a) != nil {
		t.Fatal("remembered beyond the window")
	}
	if w.expire(last.Add(1)) != 2 || w.find(last, a) != nil || w.find(last, b) == nil {
		t.Fatal("expire")
	}
	again := &commit{key: b, at: last, base: 3}
	w.add(again) // the newest of a key counts, and the older one does not take it along
	if w.expire(start.Add(time.Minute+parley.OnceWindow)) != 3 || w.find(last, b) != again {
		t.Fatal("the newer commit went with the older one")
	}
}
