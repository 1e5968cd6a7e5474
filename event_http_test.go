package parley_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func header(pairs ...string) map[string][]string {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const oneJSON = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`

func TestParseHTTP(t *testing.T) {
	for _, c := range []struct {
		rule   string
		header map[string][]string
		body   string
		mode   parley.Mode
		events int
	}{
		{"plain", header("Content-Type", "text/plain"), "hi", parley.Plain, 1},
		{"plain without a type", header(), "", parley.Plain, 1},
		{"attributes without a version are plain", header("ce-id", "1"), "hi", parley.Plain, 1},
		{"binary", header("ce-specversion", "1.0", "CE-ID", "1", "ce-source", "/s", "ce-type", "t", "Content-Type", "a/b"), "hi", parley.Binary, 1},
		{"structured", header("Content-Type", "application/cloudevents+json; charset=UTF-8"), oneJSON, parley.Structured, 1},
		{"structured wins over attributes", header("Content-Type", "application/cloudevents+json", "ce-specversion", "1.0"), oneJSON, parley.Structured, 1},
		{"batched", header("Content-Type", "application/cloudevents-batch+json"), "[" + oneJSON + "," + oneJSON + "]", parley.Batched, 2},
		{"an empty batch", header("Content-Type", "application/cloudevents-batch+json"), "[]", parley.Batched, 0},
	} {
		t.Run(c.rule, func(t *testing.T) {
			events, mode, err := parley.ParseHTTP(c.header, []byte(c.body))
			if err != nil || mode != c.mode || len(events) != c.events {
				t.Fatalf("%d events, mode %s, %v; want %d, %s", len(events), mode, err, c.events, c.mode)
			}
		})
	}
}

func TestParseHTTPRefused(t *testing.T) {
	binary := func(pairs ...string) map[string][]string {
		h := header(pairs...)
		for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "t"} {
			if h[name] == nil {
				h[name] = []string{value}
			}
		}
		return h
	}
	for _, c := range []struct {
		rule   string
		header map[string][]string
		code   parley.Code
		field  string
	}{
		{"another event format", header("Content-Type", "application/cloudevents+avro"), parley.Unsupported, "Content-Type"},
		{"another version", binary("ce-specversion", "0.3"), parley.Invalid, "ce-specversion"},
		{"an attribute twice", binary("ce-id", "1", "ce-id", "2"), parley.Invalid, "ce-id"},
		{"no id", binary("ce-id", ""), parley.Invalid, "id"},
		{"datacontenttype as an attribute", binary("ce-datacontenttype", "a/b"), parley.Invalid, "ce-datacontenttype"},
		{"data as an attribute", binary("ce-data", "x"), parley.Invalid, "data"},
		{"a name with a separator", binary("ce-a-b", "x"), parley.Invalid, "a-b"},
		{"half an escape", binary("ce-subject", "%4"), parley.Invalid, "ce-subject"},
		{"an escape of half a character", binary("ce-subject", "%C3"), parley.Invalid, "ce-subject"},
		{"an escaped control character", binary("ce-subject", "%0A"), parley.Invalid, "subject"},
		{"bytes that are not UTF-8", binary("ce-subject", "\xff"), parley.Invalid, "subject"},
		{"time", binary("ce-time", "now"), parley.Invalid, "time"},
		{"content type", binary("Content-Type", "text"), parley.Invalid, "datacontenttype"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, _, err := parley.ParseHTTP(c.header, nil)
			refused(t, err, c.code, c.field)
		})
	}
}

// The binding's own examples of encoding (§3.1.3.2), and what it asks of
// receivers beyond that.
func TestHeaderValues(t *testing.T) {
	e := parley.Event{ID: "Euro € 😀", Source: "/s", Type: `a "b" 100%`}
	h := http.Header{}
	e.WriteHTTP(h)
	if got := h.Get("ce-id"); got != "Euro%20%E2%82%AC%20%F0%9F%98%80" {
		t.Errorf("ce-id is %q", got)
	}
	if got := h.Get("ce-type"); got != `a%20%22b%22%20100%25` {
		t.Errorf("ce-type is %q", got)
	}
	for in, want := range map[string]string{
		`"a b"`: "a b", `"a \"b\" \\"`: `a "b" \`, "a b": "a b", "%e2%82%ac": "€", `"%41"`: "A", `"`: `"`, "€": "€", `"a\"`: `a\`,
	} {
		events, _, err := parley.ParseHTTP(header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/", "ce-type", "t", "ce-subject", in), nil)
		if err != nil || events[0].Subject != want {
			t.Errorf("%q is read as %+v, %v; want %q", in, events, err, want)
		}
	}
}

// What WriteHTTP writes survives net/http.
func TestHTTPOverTheWire(t *testing.T) {
	want := parley.Event{ID: "1", Source: "/s", Type: "t", Subject: " é\"% ", DataContentType: "text/plain", Data: []byte(" a\n")}
	want.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	recorder := httptest.NewRecorder()
	want.WriteHTTP(recorder.Header())
	var wire strings.Builder
	if err := recorder.Header().Write(&wire); err != nil {
		t.Fatal(err)
	}
	events, mode, err := parley.ParseHTTP(recorder.Result().Header, want.Data)
	if err != nil || mode != parley.Binary {
		t.Fatalf("mode %s, %v", mode, err)
	}
	sameEvent(t, events[0], want)
	if !strings.Contains(wire.String(), "Ce-Traceparent: 00-4bf9") {
		t.Errorf("headers on the wire:\n%s", wire.String())
	}
}
