package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// FuzzPublish sends any header and body to the publish path. The answer is a
// problem document that agrees with its status, or 201, and then the events read
// back byte for byte.
func FuzzPublish(f *testing.F) {
	for _, s := range []struct{ header, body string }{
		{"", "x"},
		{"Content-Type: application/json", `{"a":1}`},
		{"Content-Type: application/x-ndjson", "1\n\n2\r\n"},
		{"Content-Type: application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[1, 2]}}`},
		{"Content-Type: application/cloudevents-batch+json", `[{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AA=="}]`},
		{"Ce-Specversion: 1.0\nCe-Id: %41\nCe-Source: \"/s\"\nCe-Type: t\nCe-Ext: 5", "\x00\xff"},
		{"Idempotency-Key: \"a\\\"b\";x\nParley-Key: k\nParley-Type: t\nParley-Subject: s", "x"},
		{"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nContent-Encoding: gzip", "x"},
		{"Content-Type: text/plain; charset=latin1", "\xe9"},
		{"Content-Type: application/x-www-form-urlencoded", "a=b"},
	} {
		f.Add(s.header, []byte(s.body))
	}
	r := newRig(f, func(s *setup) { s.Limits.Body = 1 << 20 })
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "http://localhost"+events, strings.NewReader(string(body)))
		for line := range strings.SplitSeq(header, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && name != "Origin" && name != "Authorization" {
				req.Header.Add(name, value)
			}
		}
		out := httptest.NewRecorder()
		r.api.ServeHTTP(out, req)
		if out.Code != http.StatusCreated {
			var p door.Problem
			if err := json.Unmarshal(out.Body.Bytes(), &p); err != nil || p.Status != out.Code || p.Status >= 500 || p.Field == "" || p.Fix == "" || !utf8.Valid(out.Body.Bytes()) {
				t.Fatalf("%d %s", out.Code, out.Body)
			}
			return
		}
		var a PublishAnswer
		if err := json.Unmarshal(out.Body.Bytes(), &a); err != nil || len(a.Events) == 0 {
			t.Fatalf("%v in %s", err, out.Body)
		}
		if out.Header().Get("Idempotent-Replayed") == "" {
			readsBack(t, r, req.Header, body, a)
		}
	})
}

// readsBack looks for the events where the answer says that they are.
func readsBack(t *testing.T, r *rig, h http.Header, body []byte, a PublishAnswer) {
	sent, err := messageOf(h, body)
	if err != nil || len(sent.events) != len(a.Events) {
		t.Fatalf("%d events of %d: %v", len(a.Events), len(sent.events), err)
	}
	tp, err := r.topics.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.log.Read(t.Context(), parley.Place{Stream: tp.Partitions[0].Stream, At: a.Events[0].Position}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Release()
	i := 0
	for b := range run.Batches() {
		for rec, err := range b.Records() {
			if err != nil {
				t.Fatal(err)
			}
			e, err := rec.Event()
			if err != nil || i == len(a.Events) || rec.Position != a.Events[i].Position {
				t.Fatalf("event %d at %d: %v", i, rec.Position, err)
			}
			if string(e.Data) != string(sent.events[i].Data) || e.DataContentType != sent.events[i].DataContentType || e.ID != a.Events[i].ID {
				t.Fatalf("event %d is %+v, sent %+v", i, e, sent.events[i])
			}
			whole := e.AppendJSON(nil)
			if again, err := parley.ParseJSON(whole); err != nil || string(again.Data) != string(e.Data) {
				t.Fatalf("%s: %v", whole, err)
			}
			i++
		}
	}
	if i != len(a.Events) {
		t.Fatalf("%d of %d events", i, len(a.Events))
	}
}

// FuzzRequest sends any request line and query to the API: no panic, and every
// failure is a problem document of the caller's.
func FuzzRequest(f *testing.F) {
	for _, s := range [][3]string{
		{"GET", "/v1/topics/a/events?after=earliest", ""},
		{"GET", "/v1/topics/a/events", "text/event-stream;q=.1, */*"},
		{"HEAD", "/v1/topics", ""},
		{"PUT", "/v1/topics/%2f", ""},
		{"OPTIONS", "/v1/topics/a", ""},
		{"GET", "/v1/topics/a/events?tail=1&before=x", ""},
		{"DELETE", "/v1/topics/b", ""},
		{"GET", "/v1/topics/a/ws?after=@", ""},
		{"GET", "//v1", ""},
		{"GET", "/v1/topics?limit=1&after=a&internal", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	r := newRig(f, func(s *setup) { s.Limits.Rotate = 1 })
	f.Fuzz(func(t *testing.T, method, target, accept string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, http.NoBody)
		if err != nil || strings.Contains(target, "wait") {
			return
		}
		req.Header.Set("Accept", accept)
		out := httptest.NewRecorder()
		r.api.ServeHTTP(out, req)
		if out.Code < 400 || method == "HEAD" {
			return
		}
		var p door.Problem
		if err := json.Unmarshal(out.Body.Bytes(), &p); err != nil || p.Status != out.Code || p.Status >= 500 {
			t.Fatalf("%s %q: %d %s", method, target, out.Code, out.Body)
		}
	})
}
