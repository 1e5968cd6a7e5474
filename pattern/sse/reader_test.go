package sse

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parleyhq/parley"
)

// readAll gives every event of a stream as type|id|data, one a line, quoted, and
// the error that ended it.
func readAll(src io.Reader, maxEvent int) (string, *Reader, error) {
	r := NewReader(src, maxEvent)
	var out strings.Builder
	for {
		m, err := r.Next()
		if err != nil {
			return out.String(), r, err
		}
		fmt.Fprintf(&out, "%s|%s|%q\n", m.Type, m.ID, m.Data)
	}
}

// Each row is one rule of WHATWG HTML sections 9.2.5 and 9.2.6.
var streams = []struct{ rule, in, want string }{
	{"an empty stream has no event", "", ""},
	{"LF ends a line", "data: a\n\n", "message||\"a\"\n"},
	{"CR ends a line", "data: a\r\r", "message||\"a\"\n"},
	{"CRLF is one end", "data: a\r\ndata: b\r\n\r\n", "message||\"a\\nb\"\n"},
	{"ends may be mixed", "data: a\rdata: b\ndata: c\r\n\n", "message||\"a\\nb\\nc\"\n"},
	{"LF CR are two ends", "data: a\n\rdata: b\n\n", "message||\"a\"\nmessage||\"b\"\n"},
	{"one BOM at the start is dropped", "\uFEFFdata: a\n\n", "message||\"a\"\n"},
	{"a second BOM makes a field unknown", "\uFEFF\uFEFFdata: a\n\ndata: b\n\n", "message||\"b\"\n"},
	{"a BOM later is part of the name", "data: a\n\n\uFEFFdata: b\n\n", "message||\"a\"\n"},
	{"a BOM in a value is data", "data: \uFEFFa\n\n", "message||\"\\ufeffa\"\n"},
	{"one blank after the colon is dropped", "data:  a\n\n", "message||\" a\"\n"},
	{"no blank is needed", "data:a\n\n", "message||\"a\"\n"},
	{"a tab is no blank", "data:\ta\n\n", "message||\"\\ta\"\n"},
	{"only the first colon splits", "data:a:b\n\n", "message||\"a:b\"\n"},
	{"a name without colon has an empty value", "data\n\ndata\ndata\n\ndata:x\n\n", "message||\"\"\nmessage||\"\\n\"\nmessage||\"x\"\n"},
	{"an empty last line is kept", "data: a\ndata:\n\n", "message||\"a\\n\"\n"},
	{"blanks before the colon belong to the name", "data : a\n\n", ""},
	{"names are case-sensitive", "Data: a\nDATA: b\n\n", ""},
	{"a leading blank belongs to the name", " data: a\n\n", ""},
	{"comments are ignored", ":c\ndata: a\n:\n: data: x\ndata: b\n\n", "message||\"a\\nb\"\n"},
	{"a heartbeat dispatches nothing", Heartbeat + "data: a\n\n" + Heartbeat, "message||\"a\"\n"},
	{"unknown fields are ignored", "foo: bar\ndata: a\nfoo\n\n", "message||\"a\"\n"},
	{"an event without data is not dispatched", "event: x\n\ndata: a\n\n", "message||\"a\"\n"},
	{"event names the type", "event: x\ndata: a\n\n", "x||\"a\"\n"},
	{"the type lasts for one event", "event: x\ndata: a\n\ndata: b\n\n", "x||\"a\"\nmessage||\"b\"\n"},
	{"the last event line wins", "event: x\nevent: y\ndata: a\n\n", "y||\"a\"\n"},
	{"an empty event line means message", "event: x\nevent:\ndata: a\n\n", "message||\"a\"\n"},
	{"event may follow data", "data: a\nevent: x\n\n", "x||\"a\"\n"},
	{"id is reported", "id: 1\ndata: a\n\n", "message|1|\"a\"\n"},
	{"id persists", "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n", "message|1|\"a\"\nmessage|1|\"b\"\nmessage|2|\"c\"\n"},
	{"an empty id resets", "id: 1\ndata: a\n\nid:\ndata: b\n\n", "message|1|\"a\"\nmessage||\"b\"\n"},
	{"an id without colon resets", "id: 1\ndata: a\n\nid\ndata: b\n\n", "message|1|\"a\"\nmessage||\"b\"\n"},
	{"an id with NUL is ignored", "id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", "message|1|\"a\"\nmessage|1|\"b\"\n"},
	{"an id without data counts for later events", "id: 7\n\ndata: a\n\n", "message|7|\"a\"\n"},
	{"NUL in data is data", "data: a\x00b\n\n", "message||\"a\\x00b\"\n"},
	{"an incomplete event at the end is dropped", "data: a\n\ndata: b\n", "message||\"a\"\n"},
	{"an incomplete line at the end is dropped", "data: a\n\ndata: b\n\ndata: c", "message||\"a\"\nmessage||\"b\"\n"},
	{"many blank lines are one", "\n\n\ndata: a\n\n\n\ndata: b\n\n", "message||\"a\"\nmessage||\"b\"\n"},
	{"text is UTF-8", "data: ok…\n\n", "message||\"ok…\"\n"},
	{"an invalid byte becomes U+FFFD", "data: a\xFFb\n\n", "message||\"a\uFFFDb\"\n"},
	{"a maximal invalid part becomes one U+FFFD", "data: \xE2\x82b\xF0\x9F\x98\n\n", "message||\"\uFFFDb\uFFFD\"\n"},
	{"surrogates and overlong forms are one each byte", "data: \xED\xA0\x80\xC0\xAF\n\n", "message||\"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\"\n"},
	{"invalid bytes in id and event become U+FFFD", "id: \xFF\nevent: \xFE\ndata: a\n\n", "\uFFFD|\uFFFD|\"a\"\n"},
}

func TestReaderRules(t *testing.T) {
	for _, row := range streams {
		for way, src := range map[string]io.Reader{
			"whole":        strings.NewReader(row.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(row.in)),
			"halves":       iotest.HalfReader(strings.NewReader(row.in)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(row.in)),
		} {
			got, _, err := readAll(src, 0)
			if got != row.want || err != io.EOF {
				t.Errorf("%s (%s)\nread %q\ngot  %q, %v\nwant %q", row.rule, way, row.in, got, err, row.want)
			}
		}
	}
}

func TestReaderRetry(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"retry: 1500\n":                             1500 * time.Millisecond,
		"retry:0\n":                                 0,
		"retry: 007\n":                              7 * time.Millisecond,
		"retry: 1\nretry: x\n":                      time.Millisecond,
		"retry: 10000\r\n":                          10 * time.Second, // needs no blank line
		"retry: 9223372036854775808\n":              1<<63 - 1,
		"retry: " + strings.Repeat("9", 400) + "\n": 1<<63 - 1,
	} {
		_, r, _ := readAll(strings.NewReader(in), 0)
		if got, ok := r.Retry(); !ok || got != want {
			t.Errorf("%.40q: got %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"retry: 1000x\n", "retry: -1\n", "retry:\n", "retry\n", "retry: 1.5\n", "retry:  5\n", "retry: ٣\n", "retry: 5"} {
		_, r, _ := readAll(strings.NewReader(in), 0)
		if got, ok := r.Retry(); ok {
			t.Errorf("%q: got %v, want it ignored", in, got)
		}
	}
}

func TestLastEventIDNeedsACompleteBlock(t *testing.T) {
	_, r, _ := readAll(strings.NewReader("id: 1\n\nid: 2\ndata: a\n"), 0)
	if r.LastEventID() != "1" {
		t.Errorf("resume from %q, want 1: the event of 2 never came", r.LastEventID())
	}
	r = NewReader(strings.NewReader("data: a\n\n"), 0)
	r.SetLastEventID("before")
	if m, err := r.Next(); m.ID != "before" || err != nil {
		t.Errorf("got %q, %v, want the id of the connection before", m.ID, err)
	}
}

// Line ends are found wherever they stand relative to the search's windows.
func TestLongLines(t *testing.T) {
	for n := 240; n < 280; n++ {
		for _, end := range []string{"\n", "\r", "\r\n"} {
			x := strings.Repeat("x", n)
			got, _, err := readAll(strings.NewReader("data:"+x+end+"data:"+x+x+end+end), 0)
			if want := fmt.Sprintf("message||\"%s\\n%s%s\"\n", x, x, x); got != want || err != io.EOF {
				t.Fatalf("%d bytes and %q: got %q, %v", n, end, got, err)
			}
		}
	}
}

// An event that ends in CR must not wait for the byte after it.
func TestReaderDoesNotWaitAfterCR(t *testing.T) {
	pr, pw := io.Pipe()
	defer pr.Close()
	go pw.Write([]byte("data: a\r\r"))
	r := NewReader(pr, 0)
	if m, err := r.Next(); string(m.Data) != "a" || err != nil {
		t.Fatalf("got %q, %v", m.Data, err)
	}
	go pw.Write([]byte("\ndata: b\r\n\r\n"))
	if m, err := r.Next(); string(m.Data) != "b" || err != nil {
		t.Fatalf("got %q, %v: the LF belongs to the CR before it", m.Data, err)
	}
}

func TestReaderLimit(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, row := range []struct {
		in    string
		limit int
		ok    bool
	}{
		{"data: 12345678\n\n", 8, true},
		{"data: 123456789\n\n", 8, false},
		{"data: 1234\ndata: 567\n\n", 8, true},
		{"data: 1234\ndata: 5678\n\n", 8, false},
		{":" + long + "\ndata: a\n\n", 0, true},
		{":" + long + "\ndata: a\n\n", 1000, false},
		{long, 1000, false}, // no end of line ever comes
		{strings.Repeat(":c\n", 10_000) + "data: a\n\n", 8, true},
		{"data: " + long + "\n\n", len(long), true},
		{"data: " + long + "\n\n", len(long) - 1, false},
	} {
		got, r, err := readAll(strings.NewReader(row.in), row.limit)
		if ok := err == io.EOF && got != ""; ok != row.ok {
			t.Errorf("%.20q limit %d: got %.30q, %v", row.in, row.limit, got, err)
		}
		if !row.ok && parley.CodeOf(err) != parley.TooLarge {
			t.Errorf("%.20q: %v, want too-large", row.in, err)
		}
		if len(r.buf) > 8*max(row.limit, 4096) && row.limit > 0 {
			t.Errorf("%.20q limit %d: a buffer of %d bytes", row.in, row.limit, len(r.buf))
		}
		if _, again := r.Next(); again != err {
			t.Errorf("the error changed from %v to %v", err, again)
		}
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken))
	got, _, err := readAll(src, 0)
	if got != "message||\"a\"\n" || err != broken {
		t.Errorf("got %q, %v", got, err)
	}
	if _, _, err := readAll(nothing{}, 0); err != io.ErrNoProgress {
		t.Errorf("a source that reads nothing for ever: %v", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }
