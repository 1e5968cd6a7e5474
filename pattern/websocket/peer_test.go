package websocket

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/parleyhq/parley/internal/memnet"
)

// The tests' own codec: a client written from RFC 6455, which shares nothing
// with the code under test.

var testKey = [4]byte{0xA1, 0x02, 0xF3, 0x7C}

// masked makes a client's frame with the shortest length and first byte b0.
func masked(b0 byte, payload []byte) []byte {
	var b []byte
	switch n := len(payload); {
	case n < 126:
		b = []byte{b0, 0x80 | byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{b0, 0x80 | 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{b0, 0x80 | 127}, uint64(n))
	}
	b = append(b, testKey[:]...)
	for i, c := range payload {
		b = append(b, c^testKey[i%4])
	}
	return b
}

func maskedString(b0 byte, payload string) []byte { return masked(b0, []byte(payload)) }

// closing makes a client's close frame.
func closing(code int, reason string) []byte {
	return masked(0x88, append([]byte{byte(code >> 8), byte(code)}, reason...))
}

// join puts frames behind one another.
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// squeeze compresses a message as RFC 7692 §7.2.1 says.
func squeeze(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	_, _ = w.Write(p)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xFF, 0xFF})
}

// readFrame reads one frame of the server and holds it against the rules for
// servers: no mask, the shortest length, no reserved bits.
func readFrame(r *bufio.Reader) (b0 byte, payload []byte, err error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	if h[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a server's frame is masked (RFC 6455 §5.1)")
	}
	if h[0]&0x30 != 0 {
		return 0, nil, fmt.Errorf("reserved bits %#x", h[0])
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(r, l[:])
		if n = uint64(binary.BigEndian.Uint16(l[:])); n < 126 {
			return 0, nil, fmt.Errorf("length %d in three bytes", n)
		}
	case 127:
		var l [8]byte
		_, err = io.ReadFull(r, l[:])
		if n = binary.BigEndian.Uint64(l[:]); n < 1<<16 {
			return 0, nil, fmt.Errorf("length %d in nine bytes", n)
		}
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return h[0], payload, err
}

// describe renders a server's frame for comparison: "text hello", "close 1002".
func describe(b0 byte, p []byte) string {
	name := Opcode(b0 & 0x0F).String()
	if b0&0x80 == 0 {
		name = "unfinished " + name
	}
	if b0&0x40 != 0 {
		out, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), bytes.NewReader([]byte{0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF}))))
		if err != nil {
			return "broken deflate: " + err.Error()
		}
		name, p = "compressed "+name, out
	}
	switch {
	case Opcode(b0&0x0F) == Close && len(p) >= 2:
		return fmt.Sprintf("%s %d", name, binary.BigEndian.Uint16(p))
	case len(p) > 64:
		return fmt.Sprintf("%s [%d]", name, len(p))
	case len(p) == 0:
		return name
	}
	return fmt.Sprintf("%s %s", name, p)
}

// testOptions are the defaults with o's changes.
func testOptions(t testing.TB, o Options) Options {
	t.Helper()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// connect makes a server's connection and the raw network end of its client.
// buffer bounds what is under way in each direction.
func connect(t testing.TB, buffer int, o Options) (*Conn, net.Conn) {
	t.Helper()
	a, b := memnet.Pipe(buffer)
	var ag agreement
	if o.Compression {
		ag.extension = "permessage-deflate"
	}
	c := newConn(a, ag, testOptions(t, o), nil)
	t.Cleanup(func() { c.Abort(); _ = b.Close() })
	return c, b
}

// echo runs c as an echo server; the channel gives what Run returned.
func echo(c *Conn) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background(), c.Write) }()
	return done
}

// converse sends in to an echo server, then a close of 1000, and gives everything
// that comes back, up to EOF. buffer 1 makes every byte arrive alone.
func converse(t testing.TB, buffer int, o Options, in []byte) []string {
	t.Helper()
	c, nc := connect(t, buffer, o)
	done := echo(c)
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		// The server may end first; what it then refuses to take is no matter.
		_, _ = nc.Write(join(in, closing(1000, "")))
	}()
	var got []string
	r := bufio.NewReader(nc)
	for {
		b0, p, err := readFrame(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, describe(b0, p))
	}
	_ = nc.Close()
	<-wrote
	<-done
	return got
}
