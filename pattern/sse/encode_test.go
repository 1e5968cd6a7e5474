package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

func TestAppendEvent(t *testing.T) {
	for _, row := range []struct {
		m    Message
		want string
	}{
		{Message{}, "data: \n\n"},
		{Message{Data: []byte("a")}, "data: a\n\n"},
		{Message{ID: "7", Type: "tick", Data: []byte("a\n b\n")}, "id: 7\nevent: tick\ndata: a\ndata:  b\ndata: \n\n"},
		{Message{Data: []byte("data: x\n\nid: 9")}, "data: data: x\ndata: \ndata: id: 9\n\n"},
	} {
		got, err := AppendEvent([]byte("before "), row.m)
		if string(got) != "before "+row.want || err != nil {
			t.Errorf("%+v: got %q, %v", row.m, got, err)
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	for _, row := range []struct {
		m     Message
		field string
	}{
		{Message{ID: "a\nb"}, "id"},
		{Message{ID: "a\rb"}, "id"},
		{Message{ID: "a\x00"}, "id"},
		{Message{ID: " a"}, "id"},
		{Message{ID: "a "}, "id"},
		{Message{ID: "a\x7f"}, "id"},
		{Message{ID: "\xff"}, "id"},
		{Message{Type: "a\nb"}, "event"},
		{Message{Type: "a\rb"}, "event"},
		{Message{Type: "a\x00"}, "event"},
		{Message{Type: "\xff"}, "event"},
		{Message{Data: []byte("a\rid: 9")}, "data"},
		{Message{Data: []byte("a\xff")}, "data"},
		{Message{ID: "1", Type: "t", Data: []byte("\r")}, "data"},
	} {
		got, err := AppendEvent([]byte("x"), row.m)
		e, ok := err.(*parley.Error)
		if !ok || e.Code != parley.Invalid || e.Field != row.field || e.Fix == "" {
			t.Errorf("%+v: error %v, want invalid %s with a fix", row.m, err, row.field)
		}
		if string(got) != "x" {
			t.Errorf("%+v: left %q behind", row.m, got)
		}
	}
	if _, err := AppendType(nil, ""); err == nil {
		t.Error("an empty name was taken")
	}
}

func TestSmallParts(t *testing.T) {
	checkpoint, err := AppendCheckpoint(nil, "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range [][2]string{
		{string(checkpoint), "id: c\n\n"},
		{string(AppendRetry(nil, 1500*time.Millisecond)), "retry: 1500\n"},
		{string(AppendRetry(nil, -time.Second)), "retry: 0\n"},
		{string(AppendComment(nil, "")), ":\n"},
		{string(AppendComment(nil, "a\ndata: x\r\ny\rz")), ":a\n:data: x\n:y\n:z\n"},
		{string(AppendComment(nil, "end\r")), ":end\n:\n"},
	} {
		if row[0] != row[1] {
			t.Errorf("got %q, want %q", row[0], row[1])
		}
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	m := Message{ID: "abc", Type: "t", Data: []byte(strings.Repeat("line\n", 50))}
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst, _ = AppendEvent(dst[:0], m) }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// text is biased towards what the format gives a meaning to.
func text(t *rapid.T, label string) string {
	piece := rapid.OneOf(rapid.SampledFrom([]string{
		"\n", "\r", "\r\n", "\x00", ":", " ", "\uFEFF", "data:", "id: 1\n", "event:x", "retry: 5\n", "\n\n", "é", "\xff", "\xe2\x82",
	}), rapid.String())
	return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, label), "")
}

// What the encoder takes, the reader gives back, between whatever comments,
// retries and heartbeats stand around it and however the bytes are cut.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []Message
		id := ""
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			stream = AppendComment(stream, text(t, "comment"))
			m := Message{ID: text(t, "id"), Type: text(t, "type"), Data: []byte(text(t, "data"))}
			next, err := AppendEvent(stream, m)
			stream = next
			if err != nil {
				if Representable(m.Data) && headerSafe(m.ID) && utf8.ValidString(m.Type) && !strings.ContainsAny(m.Type, "\r\n\x00") {
					t.Fatalf("%+v refused: %v", m, err)
				}
				continue
			}
			if m.ID == "" {
				m.ID = id
			}
			if m.Type == "" {
				m.Type = "message"
			}
			id = m.ID
			want = append(want, m)
			stream = append(AppendRetry(stream, time.Second), Heartbeat...)
		}
		r := NewReader(&chunks{rest: stream, size: rapid.IntRange(1, 64).Draw(t, "chunk")}, 0)
		for i, w := range want {
			got, err := r.Next()
			if err != nil || got.ID != w.ID || got.Type != w.Type || !bytes.Equal(got.Data, w.Data) {
				t.Fatalf("event %d: got %+v, %v, want %+v", i, got, err, w)
			}
		}
		if m, err := r.Next(); err != io.EOF {
			t.Fatalf("one event too many: %+v, %v", m, err)
		}
	})
}

type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
