package parley_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// ours expects that an error, if there is one, is a *parley.Error that blames
// the input and not us.
func ours(t *testing.T, err error) {
	t.Helper()
	if c := parley.CodeOf(err); err != nil && c != parley.Invalid && c != parley.TooLarge && c != parley.Unsupported && c != parley.Damaged {
		t.Fatalf("error %v has code %s", err, c)
	}
}

// again expects that a checked event survives each of its encodings.
func again(t *testing.T, e parley.Event) {
	t.Helper()
	if err := e.Check(); err != nil {
		t.Fatalf("a parsed event does not pass its check: %v", err)
	}
	text := e.AppendJSON(nil)
	back, err := parley.ParseJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	sameEvent(t, back, e)
	batch, err := parley.NewBatch(time.UnixMilli(0), e)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range batch.Records() {
		if err != nil {
			t.Fatal(err)
		}
		back, err := rec.Event()
		if err != nil {
			t.Fatal(err)
		}
		if e.Time.IsZero() {
			e.Time = rec.Time()
		}
		sameEvent(t, back, e)
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\u0000\n","x":true,"n":-5}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[1,"]"]},"time":"2020-01-01T00:00:00.5+01:00"}`))
	f.Add([]byte(` {"specversion":"1.0","id":"\ud83d\ude00","source":"urn:x","type":"t","data_base64":"AA=="} `))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parley.ParseJSON(b)
		ours(t, err)
		if err == nil {
			again(t, e)
		}
	})
}

func FuzzParseJSONBatch(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"specversion":"1.0","id":"1","source":"/s","type":"t"} , {"specversion":"1.0","id":"2","source":"/s","type":"t","data":[{}]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := parley.ParseJSONBatch(b)
		ours(t, err)
		for _, e := range events {
			again(t, e)
		}
		if back, err2 := parley.ParseJSONBatch(parley.AppendJSONBatch(nil, events)); err == nil && (err2 != nil || len(back) != len(events)) {
			t.Fatalf("%d events come back as %d, %v", len(events), len(back), err2)
		}
	})
}

// FuzzParseHTTP takes the headers as lines, as a peer sends them.
func FuzzParseHTTP(f *testing.F) {
	f.Add("ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\nce-x: %C3%A9 \"\ncontent-type: text/plain", []byte("hi"))
	f.Add("Content-Type: application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`))
	f.Add("Content-Type: application/cloudevents-batch+json", []byte(`[]`))
	f.Fuzz(func(t *testing.T, lines string, body []byte) {
		h := http.Header{}
		for line := range strings.Lines(lines) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		events, mode, err := parley.ParseHTTP(h, body)
		ours(t, err)
		if mode == parley.Plain {
			return
		}
		for _, e := range events {
			again(t, e)
			if strings.HasPrefix(strings.ToLower(e.DataContentType), "application/cloudevents") {
				continue // binary mode cannot carry an event format
			}
			out := http.Header{}
			e.WriteHTTP(out)
			back, _, err := parley.ParseHTTP(out, e.Data)
			if err != nil {
				t.Fatalf("%v: %v", out, err)
			}
			sameEvent(t, back[0], e)
		}
	})
}

func FuzzBatch(f *testing.F) {
	records := []one{{millis: 1, key: []byte("k"), value: []byte("abc"), headers: []parley.Header{{Name: "ce_id", Value: []byte("v")}}}, {millis: 2}}
	f.Add(theirBatch(records, parley.None), false)
	f.Add(theirBatch(records, parley.Gzip), true)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed && len(b) > 21 {
			b = bytes.Clone(b)
			reseal(b)
		}
		_, _, err := parley.CutBatch(b)
		ours(t, err)
		batch, err := parley.ParseBatch(b)
		ours(t, err)
		if err != nil {
			return
		}
		damaged := walk(t, batch)
		kept, err := batch.Keep(func(parley.Record) bool { return true })
		ours(t, err)
		if damaged != (err != nil) {
			t.Fatalf("the walk ends in damage: %t; keeping everything: %v", damaged, err)
		}
		if err == nil && walk(t, kept) {
			t.Fatal("what Keep made is damaged")
		}
	})
}

// walk looks at all that a batch holds and says whether it ended early.
func walk(t *testing.T, batch parley.Batch) (damaged bool) {
	t.Helper()
	past := batch.Base() - 1
	for rec, err := range batch.Records() {
		ours(t, err)
		if err != nil {
			return true
		}
		if rec.Position <= past || rec.Position > batch.Last() {
			t.Fatalf("record at %d after %d in a batch up to %d", rec.Position, past, batch.Last())
		}
		past = rec.Position
		for name, value := range rec.Headers() {
			if len(name)+len(value) > batch.Size() && batch.Codec() == parley.None {
				t.Fatal("a header is larger than its batch")
			}
		}
		rec.Header("ce_id")
		e, err := rec.Event()
		ours(t, err)
		if err != nil {
			continue
		}
		if err := e.Check(); err != nil {
			t.Fatalf("the event of a record does not pass its check: %v", err)
		}
	}
	return false
}

func FuzzRun(f *testing.F) {
	two := append(theirBatch([]one{{value: []byte("a")}}, parley.None), theirBatch([]one{{value: []byte("b")}}, parley.Gzip)...)
	f.Add(two, int64(0))
	f.Add(two[:len(two)-1], int64(101))
	f.Fuzz(func(t *testing.T, b []byte, from int64) {
		run := parley.NewRun(b, parley.Position(from), 0, nil)
		size := 0
		for batch := range run.Batches() {
			size += batch.Size()
		}
		if size > len(b) {
			t.Fatalf("batches of %d bytes in a run of %d", size, len(b))
		}
		for rec, err := range run.Records() {
			ours(t, err)
			if err == nil && rec.Position < parley.Position(from) {
				t.Fatalf("record at %d below %d", rec.Position, from)
			}
		}
		run.Release()
	})
}
