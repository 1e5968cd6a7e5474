package topic

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestPrepareIsPublishWithoutItsAppend(t *testing.T) {
	log := memlog.New(memlog.Options{})
	r := New(log, Options{AutoCreate: true, Defaults: Settings{Partitions: 3, MaxEvent: 100}})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var events []parley.Event
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		e := parley.Event{Data: []byte(key)}
		e.Set(parley.PartitionKey, key)
		events = append(events, e)
	}
	writes, err := r.Prepare(t.Context(), "x", outgoing(events))
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range x.Partitions {
		if end, err := log.End(t.Context(), p.Stream); err != nil || end != 0 {
			t.Fatal(end, err)
		}
	}
	if _, err := log.Append(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, p := range x.Partitions {
		run, err := log.Read(t.Context(), parley.Place{Stream: p.Stream}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			e, err := rec.Event()
			if err != nil || e.ID == "" || e.Type != DefaultType || e.Source != "/topics/x" || PartitionOf(&e, 3) != i {
				t.Fatalf("%+v %v", e, err)
			}
			n++
		}
		run.Release()
	}
	if n != len(events) {
		t.Errorf("%d events", n)
	}
	for _, bad := range [][]parley.Event{nil, {{Data: make([]byte, 101)}}, {{ID: "\n"}}} {
		if _, err := r.Prepare(t.Context(), "x", outgoing(bad)); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func outgoing(events []parley.Event) (all []Outgoing) {
	for _, e := range events {
		all = append(all, Outgoing{Event: e})
	}
	return all
}

// Records are prepared as their events are: to the same partitions, with the same ids,
// times and checks.
func TestPrepareOfRecords(t *testing.T) {
	refused := &parley.Error{Code: parley.Unprocessable, Field: "data", Detail: "it is bad"}
	for _, checked := range []bool{false, true} {
		o := Options{AutoCreate: true, Defaults: Settings{Partitions: 3, MaxEvent: 200}}
		if checked {
			o.Check = func(*Topic) func(*parley.Event) error {
				return func(e *parley.Event) error {
					if string(e.Data) == "bad" {
						return refused
					}
					return nil
				}
			}
		}
		r := New(memlog.New(memlog.Options{}), o)
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		var b parley.Builder
		for _, key := range []string{"a", "b", "c", "d", ""} {
			e := parley.Event{ID: "id " + key, Source: "/in", Type: "t", Data: []byte(key)}
			e.Set(parley.PartitionKey, key)
			if err := b.Add(time.UnixMilli(1000), &e); err != nil {
				t.Fatal(err)
			}
		}
		for _, data := range [][]byte{[]byte("bad"), make([]byte, 300)} {
			if err := b.AddRecord(time.UnixMilli(2000), nil, data); err != nil {
				t.Fatal(err)
			}
		}
		var records, events []Outgoing
		for rec, err := range mustBatch(t, &b).Records() {
			if err != nil {
				t.Fatal(err)
			}
			e, err := rec.Event()
			if err != nil {
				t.Fatal(err)
			}
			records, events = append(records, Outgoing{Record: &rec}), append(events, Outgoing{Event: e})
		}
		for i := range records {
			got, err := r.Prepare(t.Context(), "x", records[:i+1])
			want, failed := r.Prepare(t.Context(), "x", events[:i+1])
			if err != nil || failed != nil {
				if fmt.Sprint(err) != fmt.Sprint(failed) {
					t.Errorf("%d: %v, want %v", i, err, failed)
				}
				continue
			}
			if a, b := eventsIn(t, got), eventsIn(t, want); !reflect.DeepEqual(a, b) {
				t.Errorf("%d: %v\nwant %v", i, a, b)
			}
		}
		if _, err := r.Prepare(t.Context(), "x", records[5:6]); (err != nil) != checked {
			t.Errorf("checked %v: %v", checked, err)
		}
		if _, err := r.Prepare(t.Context(), "x", records[6:]); parley.CodeOf(err) != parley.TooLarge {
			t.Error(err)
		}
	}
}

func mustBatch(t *testing.T, b *parley.Builder) parley.Batch {
	t.Helper()
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func eventsIn(t *testing.T, writes []parley.Write) map[parley.Stream][]parley.Event {
	t.Helper()
	all := map[parley.Stream][]parley.Event{}
	for _, w := range writes {
		for rec, err := range w.Batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			e, err := rec.Event()
			if err != nil {
				t.Fatal(err)
			}
			all[w.Stream] = append(all[w.Stream], e)
		}
	}
	return all
}
