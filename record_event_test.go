package parley_test

import (
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// Records of producers other than ours become events too.
func TestRecordEvent(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	plain := parley.Event{ID: "0", Source: "/", Type: "parley.record", Time: at}
	with := func(change func(*parley.Event)) parley.Event {
		e := plain.Clone()
		change(&e)
		return e
	}
	ce := func(pairs ...string) (h []parley.Header) {
		for i := 0; i < len(pairs); i += 2 {
			h = append(h, parley.Header{Name: pairs[i], Value: []byte(pairs[i+1])})
		}
		return h
	}
	for _, c := range []struct {
		rule    string
		key     string
		value   []byte
		headers []parley.Header
		want    parley.Event
	}{
		{"a bare value", "", []byte("v"), nil, with(func(e *parley.Event) { e.Data = []byte("v") })},
		{"a tombstone", "k", nil, nil, with(func(e *parley.Event) { e.Set("partitionkey", "k") })},
		{"a key that is not text is no attribute", "\xff", []byte{}, nil, with(func(e *parley.Event) { e.Data = []byte{} })},
		{"a key with a line break neither", "a\nb", nil, nil, plain},
		{"content type alone", "", nil, ce("content-type", "text/plain"), with(func(e *parley.Event) { e.DataContentType = "text/plain" })},
		{"headers of others are not attributes", "", nil, ce("x-trace", "1", "ce", "2", "ce_", "3"), plain},
		{
			"attributes", "k", nil, ce("ce_specversion", "1.0", "ce_id", "i", "ce_source", "/s", "ce_type", "t", "ce_subject", "é", "ce_time", "2020-01-02T03:04:05.6+01:00", "ce_dataschema", "urn:s", "ce_x", "y"),
			parley.Event{ID: "i", Source: "/s", Type: "t", Subject: "é", Time: time.Date(2020, 1, 2, 3, 4, 5, 6e8, time.FixedZone("", 3600)), DataSchema: "urn:s", Extensions: map[string]string{"x": "y", "partitionkey": "k"}},
		},
		{"attributes that break their rules are left out", "", nil, ce("ce_id", "a\nb", "ce_source", "not a uri", "ce_type", "\xff", "ce_time", "now", "ce_dataschema", "/relative", "content-type", "json", "ce_Upper", "x", "ce_data", "x", "ce_datacontenttype", "a/b"), plain},
		{"the partition key of the headers wins", "k", nil, ce("ce_partitionkey", "p"), with(func(e *parley.Event) { e.Set("partitionkey", "p") })},
		{
			"structured", "k", []byte(`{"specversion":"1.0","id":"i","source":"/s","type":"t","data":1}`), ce("content-type", "application/cloudevents+json; charset=utf-8"),
			parley.Event{ID: "i", Source: "/s", Type: "t", Time: at, DataContentType: "application/json", Data: []byte("1"), Extensions: map[string]string{"partitionkey": "k"}},
		},
		{
			"an event about an event is not structured", "", []byte(`{`), ce("ce_specversion", "1.0", "content-type", "application/cloudevents+json"),
			with(func(e *parley.Event) { e.DataContentType, e.Data = "application/cloudevents+json", []byte("{") }),
		},
		{"a null header is an absent attribute", "", nil, []parley.Header{{Name: "ce_subject"}}, plain},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var b parley.Builder
			var key []byte
			if c.key != "" {
				key = []byte(c.key)
			}
			if err := b.AddRecord(at, key, c.value, c.headers...); err != nil {
				t.Fatal(err)
			}
			batch, err := b.Batch()
			if err != nil {
				t.Fatal(err)
			}
			for rec, err := range batch.Records() {
				if err != nil {
					t.Fatal(err)
				}
				got, err := rec.Event()
				if err != nil {
					t.Fatal(err)
				}
				sameEvent(t, got, c.want)
			}
		})
	}
}

func TestRecordEventDamaged(t *testing.T) {
	var b parley.Builder
	if err := b.AddRecord(time.UnixMilli(0), nil, []byte(`{"id":1}`), parley.Header{Name: "content-type", Value: []byte(parley.StructuredType)}); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	for rec := range batch.Records() {
		if _, err := rec.Event(); parley.CodeOf(err) != parley.Damaged {
			t.Errorf("error is %v", err)
		}
	}
}

// ContentType says what the event says, whatever the headers.
func TestRecordContentType(t *testing.T) {
	header := func(value string) parley.Header { return parley.Header{"content-type", []byte(value)} }
	for _, headers := range [][]parley.Header{
		nil,
		{header("application/json")},
		{header("text/plain"), header("application/json")},
		{header("application/json"), header("not one")},
		{header("application/json"), header("")},
		{header("application/json"), {"content-type", nil}},
		{{"ce_datacontenttype", []byte("text/plain")}},
		{header(parley.StructuredType)},
		{header(parley.StructuredType), {"ce_specversion", []byte("1.0")}},
	} {
		var b parley.Builder
		if err := b.AddRecord(time.UnixMilli(1), nil, []byte(`{"specversion":"1.0","id":"1","source":"/","type":"t","datacontenttype":"text/x"}`), headers...); err != nil {
			t.Fatal(err)
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if e, err := r.Event(); err != nil || r.ContentType() != e.DataContentType {
				t.Errorf("%v: %q, want %q (%v)", headers, r.ContentType(), e.DataContentType, err)
			}
		}
	}
}
