package topic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func keyed(data, key string) parley.Event {
	e := parley.Event{Data: []byte(data)}
	e.Set(parley.PartitionKey, key)
	return e
}

// stored reads all events of a topic, by partition and position.
func stored(t testing.TB, r *Registry, name string) map[string]parley.Event {
	t.Helper()
	topic, err := r.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]parley.Event{}
	for i, p := range topic.Partitions {
		for at := (parley.Place{Stream: p.Stream}); ; {
			run, err := r.log.Read(context.Background(), at, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if run.Empty() {
				break
			}
			for rec, err := range run.Records() {
				if err != nil {
					t.Fatal(err)
				}
				e, err := rec.Event()
				if err != nil {
					t.Fatal(err)
				}
				all[fmt.Sprintf("%d/%d", i, rec.Position)] = e.Clone()
			}
			at.At = run.Next()
			run.Release()
		}
	}
	return all
}

func place(p Placed) string { return fmt.Sprintf("%d/%d", p.Partition, p.Position) }

func TestPublishPlacesEveryEvent(t *testing.T) {
	ctx := context.Background()
	r := newTest(t, memlog.New(memlog.Options{}), Options{})
	if _, err := r.Create(ctx, "orders", Settings{Partitions: 20}); err != nil {
		t.Fatal(err)
	}
	var events []parley.Event
	for i := range 200 {
		events = append(events, keyed(fmt.Sprint(i), fmt.Sprint("k", i%50)))
	}
	events = append(events, parley.Event{ID: "mine", Source: "/me", Type: "t", Data: []byte("own")}, parley.Event{})
	before := events[0]
	for range 2 { // the second time with pooled buffers
		placed, replayed, err := r.Publish(ctx, "orders", events, PublishOptions{})
		if err != nil || replayed || len(placed) != len(events) {
			t.Fatal(len(placed), replayed, err)
		}
		all := stored(t, r, "orders")
		touched := map[int]bool{}
		for i, p := range placed {
			got := all[place(p)]
			if string(got.Data) != string(events[i].Data) || got.ID != p.ID || p.Topic != "orders" || got.Key() != events[i].Key() {
				t.Fatalf("event %d is placed at %+v, where %+v is", i, p, got)
			}
			touched[p.Partition] = true
		}
		if len(touched) < 15 {
			t.Fatalf("only partitions %v are touched", touched)
		}
		if got := all[place(placed[200])]; got.ID != "mine" || got.Source != "/me" || got.Type != "t" {
			t.Fatalf("%+v", got)
		}
		if got := all[place(placed[201])]; got.Source != "/topics/orders" || got.Type != DefaultType || got.Data != nil {
			t.Fatalf("%+v", got)
		}
	}
	if !reflect.DeepEqual(before, events[0]) || events[201].ID != "" {
		t.Fatal("the caller's events were changed")
	}
}

func TestPublishErrors(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{AutoCreate: true, Defaults: Settings{MaxEvent: 100}})
	publish := func(o PublishOptions, events ...parley.Event) error {
		_, _, err := r.Publish(ctx, "orders", events, o)
		return err
	}
	large := parley.Event{Data: make([]byte, 101)}
	wantCode(t, publish(PublishOptions{}), parley.Invalid, "events")
	wantCode(t, publish(PublishOptions{}, large), parley.TooLarge, "data")
	wantCode(t, publish(PublishOptions{}, parley.Event{}, large), parley.TooLarge, "events[1].data")
	wantCode(t, publish(PublishOptions{}, parley.Event{}, parley.Event{DataContentType: "/"}), parley.Invalid, "events[1].datacontenttype")
	wantCode(t, publish(PublishOptions{IdempotencyKey: strings.Repeat("k", 256)}, parley.Event{}), parley.Invalid, "Idempotency-Key")
	wantCode(t, publish(PublishOptions{IdempotencyKey: "a\nb"}, parley.Event{}), parley.Invalid, "Idempotency-Key")
	_, _, err := r.PublishAll(ctx, []TopicEvents{{"orders", []parley.Event{{}}}, {"other", []parley.Event{{}, large}}}, PublishOptions{})
	wantCode(t, err, parley.TooLarge, "events[2].data")
	_, _, err = r.PublishAll(ctx, []TopicEvents{{Topic: "orders"}}, PublishOptions{})
	wantCode(t, err, parley.Invalid, "events")
	if all := stored(t, r, "orders"); len(all) != 0 {
		t.Fatalf("a refused request left %v", all)
	}
}

func TestPublishIsIdempotent(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	nodes := []*Registry{newTest(t, log, Options{AutoCreate: true}), newTest(t, log, Options{AutoCreate: true})}
	key := PublishOptions{IdempotencyKey: "k1"}
	events := []parley.Event{{Data: []byte("a")}, {Data: []byte("b"), Subject: "s"}}
	first, replayed, err := nodes[0].Publish(ctx, "orders", events, key)
	if err != nil || replayed {
		t.Fatal(replayed, err)
	}
	if _, _, err := nodes[0].Publish(ctx, "orders", []parley.Event{{}}, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	traced := []parley.Event{events[0].Clone(), events[1].Clone()}
	traced[0].Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	traced[1].Time = time.Now()
	for _, again := range [][]parley.Event{events, traced} {
		placed, replayed, err := nodes[1].Publish(ctx, "orders", again, key)
		if err != nil || !replayed || !reflect.DeepEqual(placed, first) {
			t.Fatalf("%+v %t %v, want %+v", placed, replayed, err, first)
		}
	}
	for name, change := range map[string]func(*parley.Event){
		"data":         func(e *parley.Event) { e.Data = []byte("B") },
		"no data":      func(e *parley.Event) { e.Data = nil },
		"id":           func(e *parley.Event) { e.ID = "x" },
		"source":       func(e *parley.Event) { e.Source = "/x" },
		"type":         func(e *parley.Event) { e.Type = "x" },
		"subject":      func(e *parley.Event) { e.Subject = "" },
		"content type": func(e *parley.Event) { e.DataContentType = "text/plain" },
		"schema":       func(e *parley.Event) { e.DataSchema = "https://example.com/s.json" },
		"key":          func(e *parley.Event) { e.Set(parley.PartitionKey, "x") },
		"extension":    func(e *parley.Event) { e.Set("x", "y") },
	} {
		other := []parley.Event{events[0].Clone(), events[1].Clone()}
		change(&other[1])
		_, _, err := nodes[1].Publish(ctx, "orders", other, key)
		if parley.CodeOf(err) != parley.KeyReused {
			t.Fatalf("other %s: %v", name, err)
		}
		wantCode(t, err, parley.KeyReused, "Idempotency-Key")
	}
	_, _, err = nodes[0].Publish(ctx, "orders", events[:1], key)
	wantCode(t, err, parley.KeyReused, "Idempotency-Key")
	if all := stored(t, nodes[0], "orders"); len(all) != 3 {
		t.Fatalf("%d events are stored", len(all))
	}
}

func TestAnEventWithAnIDIsPublishedOnce(t *testing.T) {
	ctx := context.Background()
	r := newTest(t, memlog.New(memlog.Options{}), Options{AutoCreate: true})
	one := []parley.Event{{ID: "1", Source: "/s", Type: "t", Data: []byte("a")}}
	first, _, err := r.Publish(ctx, "orders", one, PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, replayed, err := r.Publish(ctx, "orders", one, PublishOptions{})
	if err != nil || !replayed || again[0] != first[0] {
		t.Fatal(again, replayed, err)
	}
	one[0].Data = []byte("b")
	_, _, err = r.Publish(ctx, "orders", one, PublishOptions{})
	wantCode(t, err, parley.KeyReused, "id")
	if !strings.Contains(err.Error(), "digest") {
		t.Fatal(err)
	}
	one[0].Source = "/other"
	if _, replayed, err = r.Publish(ctx, "orders", one, PublishOptions{}); err != nil || replayed {
		t.Fatal(replayed, err)
	}
	for range 2 { // several events without a key of the request are no unit of retry
		if _, replayed, err = r.Publish(ctx, "orders", []parley.Event{one[0], one[0]}, PublishOptions{}); err != nil || replayed {
			t.Fatal(replayed, err)
		}
	}
}

func TestReplayAfterTheOriginalWasTrimmed(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{AutoCreate: true})
	first, _, err := r.Publish(ctx, "orders", []parley.Event{{Data: []byte("a")}}, PublishOptions{IdempotencyKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	all := []TopicEvents{{"orders", []parley.Event{{Data: []byte("b")}}}}
	if _, _, err := r.PublishAll(ctx, all, PublishOptions{IdempotencyKey: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Publish(ctx, "orders", []parley.Event{{}}, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	topic, _ := r.Get("orders")
	if err := log.Trim(ctx, topic.Partitions[0].Stream, first[0].Position+2); err != nil {
		t.Fatal(err)
	}
	again, replayed, err := r.Publish(ctx, "orders", []parley.Event{{Data: []byte("a")}}, PublishOptions{IdempotencyKey: "k"})
	if err != nil || !replayed || again[0] != first[0] {
		t.Fatal(again, replayed, err)
	}
	again, replayed, err = r.PublishAll(ctx, all, PublishOptions{IdempotencyKey: "k"})
	if err != nil || !replayed || again[0].Position != 0 || again[0].ID != DerivedID("orders", "k", 0) {
		t.Fatal(again, replayed, err)
	}
}

// TestRetryAfterAPartialFailure has one partition fail, sends the request again,
// and finds every event once.
func TestRetryAfterAPartialFailure(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{AutoCreate: true, Defaults: Settings{Partitions: 8}})
	topic, err := r.Ensure(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	var events []parley.Event
	for i := range 40 {
		events = append(events, keyed(fmt.Sprint(i), fmt.Sprint(i)))
	}
	down := errors.New("down")
	log.append = func(w ...parley.Write) error {
		if w[0].Stream == topic.Partitions[5].Stream {
			return down
		}
		return nil
	}
	key := PublishOptions{IdempotencyKey: "k"}
	if _, _, err := r.Publish(ctx, "orders", events, key); !errors.Is(err, down) {
		t.Fatal(err)
	}
	before := stored(t, r, "orders")
	log.append = nil
	placed, replayed, err := r.Publish(ctx, "orders", events, key)
	if err != nil || replayed { // something new was appended
		t.Fatal(replayed, err)
	}
	all := stored(t, r, "orders")
	if len(all) != len(events) || len(before) == 0 || len(before) == len(all) {
		t.Fatalf("%d events, %d before", len(all), len(before))
	}
	for i, p := range placed {
		if string(all[place(p)].Data) != string(events[i].Data) {
			t.Fatalf("event %d is not at %+v", i, p)
		}
	}
	again, replayed, err := r.Publish(ctx, "orders", events, key)
	if err != nil || !replayed || !reflect.DeepEqual(again, placed) {
		t.Fatal(replayed, err)
	}
}

func TestAKeyIsReusedForAnotherPartition(t *testing.T) {
	ctx := context.Background()
	log := &faulty{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{AutoCreate: true, Defaults: Settings{Partitions: 8}})
	key := PublishOptions{IdempotencyKey: "k"}
	send := func(data, by string) (Placed, error) {
		placed, _, err := r.Publish(ctx, "orders", []parley.Event{keyed(data, by)}, key)
		if err != nil {
			return Placed{}, err
		}
		return placed[0], nil
	}
	if _, err := r.Ensure(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	log.append = func(...parley.Write) error { return parley.Errorf(parley.Full, "disk") }
	_, err := send("x", "a")
	wantCode(t, err, parley.Full, "")
	log.append = nil
	first, err := send("a", "a") // nothing had been appended under the key
	if err != nil {
		t.Fatal(err)
	}
	for by := 'b'; by < 'h'; by++ {
		_, err := send("a", string(by))
		wantCode(t, err, parley.KeyReused, "Idempotency-Key")
	}
	if again, err := send("a", "a"); err != nil || again != first {
		t.Fatal(again, err)
	}
	if all := stored(t, r, "orders"); len(all) != 1 {
		t.Fatalf("%v", all)
	}
}

func TestConcurrentPublish(t *testing.T) {
	ctx := context.Background()
	r := newTest(t, memlog.New(memlog.Options{}), Options{AutoCreate: true, Defaults: Settings{Partitions: 4}})
	var all sync.WaitGroup
	placed := make([][]Placed, 16)
	for i := range placed {
		all.Go(func() {
			for j := range 20 {
				events := make([]parley.Event, 1+j%9)
				for k := range events {
					events[k] = keyed(fmt.Sprintf("%d %d %d", i, j, k), fmt.Sprint(k))
				}
				got, _, err := r.Publish(ctx, "orders", events, PublishOptions{IdempotencyKey: fmt.Sprint(i, j/2)})
				if j%2 == 1 { // the key of the request before, with more events
					if parley.CodeOf(err) != parley.KeyReused {
						t.Errorf("%v", err)
					}
					continue
				}
				if err != nil {
					t.Error(err)
				}
				placed[i] = append(placed[i], got...)
			}
		})
	}
	all.Wait()
	events := stored(t, r, "orders")
	for _, list := range placed {
		for _, p := range list {
			if events[place(p)].ID != p.ID {
				t.Fatalf("%+v holds %+v", p, events[place(p)])
			}
			delete(events, place(p))
		}
	}
	if len(events) != 0 {
		t.Fatalf("%d events that no answer names", len(events))
	}
}

func TestNoDataDiffersFromEmptyData(t *testing.T) {
	ctx := context.Background()
	r := newTest(t, memlog.New(memlog.Options{}), Options{AutoCreate: true})
	key := PublishOptions{IdempotencyKey: "k"}
	if _, _, err := r.Publish(ctx, "orders", []parley.Event{{Data: []byte{}}}, key); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Publish(ctx, "orders", []parley.Event{{}}, key)
	wantCode(t, err, parley.KeyReused, "Idempotency-Key")
}

// TestReplayAfterCompaction repeats a request of which only a part is stored:
// there is nothing left to compare it with.
func TestReplayAfterCompaction(t *testing.T) {
	ctx := context.Background()
	for _, left := range []int{1, 0} {
		log := memlog.New(memlog.Options{})
		r := newTest(t, log, Options{AutoCreate: true})
		key := PublishOptions{IdempotencyKey: "k"}
		events := []parley.Event{keyed("old", "a"), keyed("new", "a")}
		if _, _, err := r.Publish(ctx, "orders", []parley.Event{{}}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
		first, _, err := r.Publish(ctx, "orders", events, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Publish(ctx, "orders", []parley.Event{{}}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
		topic, _ := r.Get("orders")
		err = log.Rewrite(ctx, topic.Partitions[0].Stream, first[0].Position, first[1].Position+1, func(b parley.Batch) (parley.Batch, error) {
			return b.Keep(func(rec parley.Record) bool { return left == 1 && rec.Position == first[1].Position })
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(stored(t, r, "orders")); n != 2+left {
			t.Fatalf("%d events are stored", n)
		}
		again, replayed, err := r.Publish(ctx, "orders", events, key)
		if err != nil || !replayed || !reflect.DeepEqual(again, first) {
			t.Fatal(again, replayed, err)
		}
	}
}
