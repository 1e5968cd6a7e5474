package declared

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
)

// appendRecords appends records to a topic, one a batch, as a producer may that knows
// nothing of CloudEvents.
func (o *office) appendRecords(name string, all ...rawRecord) {
	o.t.Helper()
	t, err := o.topics.Get(name)
	must(o.t, err)
	for _, r := range all {
		var b parley.Builder
		must(o.t, b.AddRecord(time.Now(), r.key, r.value, r.headers...))
		batch, err := b.Batch()
		must(o.t, err)
		_, err = o.log.Append(o.t.Context(), parley.Write{Stream: t.Partitions[0].Stream, Batch: batch})
		must(o.t, err)
	}
}

type rawRecord struct {
	key, value []byte
	headers    []parley.Header
}

// recordsOf gives all that a topic has, as it stands there.
func (o *office) recordsOf(name string) (list []rawRecord) {
	o.t.Helper()
	t, err := o.topics.Get(name)
	must(o.t, err)
	run, err := o.log.Read(o.t.Context(), parley.Place{Stream: t.Partitions[0].Stream}, 1<<20)
	must(o.t, err)
	defer run.Release()
	for rec, err := range run.Records() {
		must(o.t, err)
		r := rawRecord{key: bytes.Clone(rec.Key), value: bytes.Clone(rec.Value)}
		for name, value := range rec.Headers() {
			r.headers = append(r.headers, parley.Header{Name: name, Value: bytes.Clone(value)})
		}
		list = append(list, r)
	}
	return list
}

// What a filter lets pass is the same event an hour later, in the same bytes, with what
// no attribute has. What is no event is passed over.
func TestRecordsPassAsTheyAre(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{Graph: graph.Options{Fields: where.Fields, Test: where.Test, Template: jq.Template}})
		o.publish("in", `{ "n" : 1.0, "s":"\u00e9" }`, `{"n":2}`, `{"n":3}`)
		header := func(pairs ...string) (all []parley.Header) {
			for i := 0; i < len(pairs); i += 2 {
				all = append(all, parley.Header{Name: pairs[i], Value: []byte(pairs[i+1])})
			}
			return all
		}
		o.appendRecords("in",
			rawRecord{[]byte("k"), []byte(`{"n":4}`), header("x-other", "kept", "ce_region", "eu", "ce_time", "2026-01-02T03:04:05+02:00", "content-type", "application/json")},
			rawRecord{nil, []byte(`no event`), header("content-type", parley.StructuredType)},
			rawRecord{nil, []byte(`{"specversion":"1.0","id":"s","source":"/s","type":"t","data":{"n":5}}`), header("content-type", parley.StructuredType)},
			rawRecord{nil, []byte(`{"n":2}`), nil},
		)
		settle(time.Hour)
		o.put("p", "steps:\n  - topic: in\n  - where: data.n != 2\n  - topic: out\n")
		settle(time.Minute)

		all := o.recordsOf("in")
		var want []parley.Event
		for _, e := range o.eventsBut("in", 4) {
			if !bytes.Contains(e.Data, []byte(`"n":2`)) {
				want = append(want, e)
			}
		}
		if got := o.events("out"); !reflect.DeepEqual(got, want) {
			t.Errorf("%v\nwant %v", got, want)
		}
		out := o.recordsOf("out")
		if n := len(out[2].headers); n < len(all[3].headers) || !reflect.DeepEqual(out[2].headers[:len(all[3].headers)], all[3].headers) || string(out[2].key) != "k" {
			t.Errorf("%s is not %s", out[2], all[3])
		}
		if s := o.stats("p"); s.In != 6 || s.Out != 4 || s.Dead != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// eventsBut gives the events of a topic's first partition but for one record, which is
// none.
func (o *office) eventsBut(name string, no int) (list []parley.Event) {
	o.t.Helper()
	t, err := o.topics.Get(name)
	must(o.t, err)
	run, err := o.log.Read(o.t.Context(), parley.Place{Stream: t.Partitions[0].Stream}, 1<<20)
	must(o.t, err)
	defer run.Release()
	n := 0
	for rec, err := range run.Records() {
		must(o.t, err)
		if n++; n-1 != no {
			e, err := rec.Event()
			must(o.t, err)
			list = append(list, e.Clone())
		}
	}
	return list
}
