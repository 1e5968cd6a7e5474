package poll

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestParseQuery(t *testing.T) {
	for _, row := range []struct {
		query, prefer string
		want          Request
	}{
		{"", "", Request{Limit: 100}},
		{"after=abc-_9&limit=7&other=x", "", Request{After: "abc-_9", Limit: 7}},
		{"after=earliest&limit=1000", "", Request{After: "earliest", Limit: 1000}},
		{"after=@2026-11-24T10:00:00%2B01:00", "", Request{After: "@2026-11-24T10:00:00+01:00", Limit: 100}},
		{"wait=25s", "", Request{Limit: 100, Wait: 25 * time.Second}},
		{"wait=1m", "", Request{Limit: 100, Wait: 55 * time.Second, Applied: "wait=55"}},
		{"wait=250ms", "", Request{Limit: 100, Wait: 250 * time.Millisecond}},
		{"wait=10", "", Request{Limit: 100, Wait: 10 * time.Second}},
		{"wait=True&timeout=30", "", Request{Limit: 100, Wait: 30 * time.Second}},
		{"wait=true&timeout=1m30s", "", Request{Limit: 100, Wait: 55 * time.Second, Applied: "wait=55"}},
		{"wait=true&timeout=99999999999999999999999", "", Request{Limit: 100, Wait: 55 * time.Second, Applied: "wait=55"}},
		{"wait=true", "", Request{Limit: 100, Wait: 25 * time.Second}},
		{"wait", "", Request{Limit: 100, Wait: 25 * time.Second}},
		{"wait=False", "", Request{Limit: 100}},
		{"wait=0", "", Request{Limit: 100}},
		{"wait=false&timeout=30", "", Request{Limit: 100}},
		{"", "wait=25", Request{Limit: 100, Wait: 25 * time.Second, Applied: "wait=25"}},
		{"", "respond-async, WAIT = \"10\"; x=y, wait=3", Request{Limit: 100, Wait: 10 * time.Second, Applied: "wait=10"}},
		{"", "wait=600", Request{Limit: 100, Wait: 55 * time.Second, Applied: "wait=55"}},
		{"", "wait=25s", Request{Limit: 100}}, // a preference is whole seconds; what cannot be read is ignored
		{"", "wait=-5, foo", Request{Limit: 100}},
		{"", "wait", Request{Limit: 100}},
		{"wait=5s", "wait=25", Request{Limit: 100, Wait: 5 * time.Second}},
		{"wait=false", "wait=25", Request{Limit: 100}},
	} {
		q, err := url.ParseQuery(row.query)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		if row.prefer != "" {
			h.Set("Prefer", row.prefer)
		}
		if got, err := ParseQuery(q, h); got != row.want || err != nil {
			t.Errorf("%q, Prefer %q:\ngot  %+v, %v\nwant %+v", row.query, row.prefer, got, err, row.want)
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	for query, field := range map[string]string{
		"after=":                       "after",
		"after=a%20b":                  "after",
		"after=@2026-11-24T10:00:00+1": "after", // an unescaped + is a blank
		"after=a%22b":                  "after",
		"after=a%5Cb":                  "after",
		"after=%C3%A9":                 "after",
		"after=a%00":                   "after",
		"after=a&after=b":              "after",
		"after=" + strings.Repeat("x", MaxCursor+1): "after",
		"limit=0":                "limit",
		"limit=-1":               "limit",
		"limit=1001":             "limit",
		"limit=ten":              "limit",
		"limit=":                 "limit",
		"limit=1&limit=2":        "limit",
		"wait=-5s":               "wait",
		"wait=soon":              "wait",
		"wait=25s&wait=30s":      "wait",
		"wait=9999999999999h":    "wait",
		"timeout=30":             "timeout",
		"wait=25s&timeout=30":    "timeout",
		"wait=true&timeout=":     "timeout",
		"wait=true&timeout=-1":   "timeout",
		"wait=true&timeout=soon": "timeout",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseQuery(q, http.Header{})
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field || e.Fix == "" {
			t.Errorf("%.60s: %v, want invalid %s with a fix", query, err, field)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("after=abc&limit=5&wait=25s", "wait=10", `"abc", W/"def"`)
	f.Add("wait=True&timeout=30", `respond-async; a="b", wait="7"`, "*")
	f.Add("wait&after=@2026-11-24T10:00:00Z", ",,;=", `"`)
	f.Add("timeout=1h&wait=true&wait=1", "wait=99999999999999999999", `W/"a`)
	f.Fuzz(func(t *testing.T, query, prefer, match string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		req, err := ParseQuery(q, http.Header{"Prefer": {prefer}, "If-None-Match": {match}})
		if err != nil {
			var e *parley.Error
			if !errors.As(err, &e) || e.Field == "" || e.Fix == "" || req != (Request{}) {
				t.Fatalf("an error that does not help: %v", err)
			}
			return
		}
		if req.Limit < 1 || req.Limit > MaxLimit || req.Wait < 0 || req.Wait > MaxWait || (req.After != "" && !validCursor(req.After)) {
			t.Fatalf("out of bounds: %+v", req)
		}
		if strings.Contains(match, `"other"`) || strings.Contains(match, "*") {
			return
		}
		if req.NotModified(Page{Cursor: "other"}) {
			t.Fatalf("%q matches a tag that it does not hold", match)
		}
	})
}
