package lab

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

var conversations = []struct {
	what   string
	server bool
	wire   string
	want   string // kind, label, bytes, events of each message
}{
	{"a request without a body, twice", false, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", "request GET /a 28 0\nrequest GET /b 28 0\n"},
	{"a request with a body", false, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n", "request POST /a 51 0\nrequest GET /b 28 0\n"},
	{"an empty page", true, "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n" + `{"events":[],"cursor":"c"}`, "response 200 OK · empty 65 0 empty\n"},
	{"a page", true, "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" + `{"events":[1,2],"cursor":"c"}`, "response 200 OK · 2 events 68 2\n"},
	{"not modified", true, "HTTP/1.1 304 Not Modified\r\n\r\n", "response 304 Not Modified 29 0 empty\n"},
	{"chunks", true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "response 200 OK 92 0\nresponse 204 No Content 27 0\n"},
	{"a body until the end", true, "HTTP/1.1 200 OK\r\n\r\nabc", "response 200 OK 22 0\n"},
	{"server-sent events", true, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1\nid: a\n\n:\n\nid: b\ndata: {}\n\n", "response 200 OK 52 0\nother opening 16 0\nheartbeat heartbeat 3 0\nevent event 16 1\n"},
	{
		"an upgrade", true, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x1c" + `{"events":[1],"cursor":"abc"` + "\x81\x1d" + `{"events":[1],"cursor":"abc"}` + "\x89\x00\x81\x7e\x00\x0d" + `{"cursor":""}`,
		"response 101 Switching Protocols 56 0\nother text frame 30 0\nevent text frame · 1 event 31 1\nheartbeat ping 2 0\nother text frame 17 0\n",
	},
	{"a client's frames", false, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n\x88\x82\x01\x02\x03\x04\x02\xea\x8a\x80\x00\x00\x00\x00", "request GET /ws 49 0\nother close frame 8 0\nheartbeat pong 6 0\n"},
	{"no HTTP", true, "SSH-2.0-x\r\n\r\nmore", "other bytes 17 0\n"},
	{"half a head", false, "GET / HT", "other incomplete 8 0\n"},
	{"a bad chunk", true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "other incomplete 51 0\n"},
}

func told(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		fmt.Fprintf(&b, "%s %s %d %d", p.kind, p.label, p.bytes, p.events)
		if p.empty {
			b.WriteString(" empty")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestDissect feeds each conversation whole and byte by byte.
func TestDissect(t *testing.T) {
	for _, row := range conversations {
		whole := &half{server: row.server}
		got := told(append(whole.feed([]byte(row.wire)), whole.end()...))
		if got != row.want {
			t.Errorf("%s:\n%swant\n%s", row.what, got, row.want)
		}
		slow, bytewise := &half{server: row.server}, []piece(nil)
		for i := range len(row.wire) {
			bytewise = append(bytewise, slow.feed([]byte(row.wire[i:i+1]))...)
		}
		if got := told(append(bytewise, slow.end()...)); got != row.want && row.what != "no HTTP" {
			t.Errorf("%s, byte by byte:\n%swant\n%s", row.what, got, row.want)
		}
	}
}

// FuzzDissect wants every byte counted once, whatever comes, and little kept.
func FuzzDissect(f *testing.F) {
	for _, row := range conversations {
		f.Add([]byte(row.wire), row.server, uint8(7))
	}
	f.Add([]byte("HTTP/1.1 101 x\r\n\r\n\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), true, uint8(3))
	f.Fuzz(func(t *testing.T, wire []byte, server bool, step uint8) {
		h := &half{server: server}
		total := 0
		count := func(pieces []piece) {
			for _, p := range pieces {
				total += p.bytes
				if p.kind == "" || len(p.raw) > keepBytes {
					t.Fatalf("%+v", p)
				}
			}
		}
		for chunk := range bytes.Lines(wire) {
			for len(chunk) > 0 {
				n := min(len(chunk), int(step)+1)
				count(h.feed(chunk[:n]))
				chunk = chunk[n:]
			}
		}
		count(h.end())
		if total != len(wire) {
			t.Fatalf("%d of %d bytes", total, len(wire))
		}
	})
}

func TestPrintable(t *testing.T) {
	got := printable([]byte("GET / HTTP/1.1\r\nAuthorization: Bearer secret\r\nX: \x00\xff\x1b[1m\r\n\r\n"))
	if want := "GET / HTTP/1.1\nAuthorization: …\nX: ···[1m\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := printable(bytes.Repeat([]byte("é"), 1000)); len(got) > rawBytes+len("…")+1 {
		t.Errorf("%d bytes", len(got))
	}
}
