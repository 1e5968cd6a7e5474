package topic

import (
	"testing"

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
	writes, err := r.Prepare(t.Context(), "x", events)
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
		if _, err := r.Prepare(t.Context(), "x", bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
