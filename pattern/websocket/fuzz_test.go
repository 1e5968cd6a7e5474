package websocket

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/parleyhq/parley/internal/memnet"
)

func FuzzParseHeader(f *testing.F) {
	for _, seed := range [][]byte{{0x81, 0x85, 1, 2, 3, 4}, {0x82, 0x7E, 0, 126}, {0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, {0x8F, 0}, {0x09, 0x80}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := ParseHeader(p)
		if err != nil {
			if n != 0 || CloseCodeOf(err) != CloseProtocol {
				t.Fatalf("%x: %d %v", p, n, err)
			}
			return
		}
		// Encodings are unique: what parses encodes to the same bytes.
		if n > 0 && !bytes.Equal(h.AppendTo(nil), p[:n]) {
			t.Fatalf("%x parses as %+v, which encodes as %x", p[:n], h, h.AppendTo(nil))
		}
	})
}

func FuzzUTF8(f *testing.F) {
	for _, row := range textRows {
		f.Add([]byte(row.bytes), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, step int) {
		step = max(1, step%16)
		var s utf8State
		ok := true
		for i := 0; i < len(p) && ok; i += step {
			ok = s.feed(p[i:min(i+step, len(p))])
		}
		if got := ok && s.done(); got != utf8.Valid(p) {
			t.Fatalf("%q, %d at a time: %v", p, step, got)
		}
	})
}

// record replays input through a machine, step bytes at a time.
func record(in []byte, step int) (events []string) {
	r := receiver{maxMessage: 1 << 10, maxFragments: 16, deflate: true}
	for i := 0; i < len(in); i += step {
		p := bytes.Clone(in[i:min(i+step, len(in))])
		for len(p) > 0 {
			n, ev, err := r.feed(p)
			p = p[n:]
			if err != nil {
				return append(events, err.Error())
			}
			switch ev {
			case evMessage:
				op, data := r.message()
				events = append(events, op.String()+" "+string(data))
				r.done()
			case evPing, evPong, evClose:
				events = append(events, string('0'+byte(ev))+string(r.data))
			}
		}
	}
	return events
}

// The machine gives the same events however its input is cut, never holds more
// than was sent, and what it delivers obeys its limits.
func FuzzReceiver(f *testing.F) {
	seeds := [][]byte{
		join(maskedString(0x81, "Grüße"), closing(1000, "bye")),
		join(maskedString(0x01, "a"), maskedString(0x89, "ping"), maskedString(0x80, "b")),
		join(masked(0x41, squeeze([]byte("Hello"))[:3]), masked(0x80, squeeze([]byte("Hello"))[3:])),
		masked(0xC2, squeeze(make([]byte, 1<<16))),
		masked(0x82, make([]byte, 300)),
		{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
	}
	for _, s := range seeds {
		f.Add(s, 1)
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		whole := record(in, len(in)+1)
		if cut := record(in, max(1, step%64)); !slices.Equal(whole, cut) {
			t.Fatalf("at once %q\nin pieces %q", whole, cut)
		}
		for _, e := range whole {
			if len(e) > 1<<10+64 {
				t.Fatalf("an event of %d bytes", len(e))
			}
		}
	})
}

// A whole connection ends in order whatever it is sent: with a close frame if
// anything was wrong, and with every answer well formed.
func FuzzConn(f *testing.F) {
	for _, s := range [][]byte{
		join(maskedString(0x81, "a"), closing(1000, "")),
		join(maskedString(0x89, "p"), maskedString(0x01, "a")),
		masked(0xC1, squeeze([]byte("Hello, Hello, Hello"))),
		{0x81, 0x00},
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a, nc := memnet.Pipe(1 << 20)
		o, err := Options{MaxMessage: 1 << 10, CompressAbove: 16}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		c := newConn(a, agreement{extension: "permessage-deflate"}, o, nil)
		got := frames(nc)
		if _, err := nc.Write(in); err != nil {
			t.Fatal(err)
		}
		_ = nc.(interface{ CloseWrite() error }).CloseWrite()
		err = c.Run(context.Background(), c.Write)
		var end *CloseError
		if err != nil && !errors.As(err, &end) {
			t.Fatalf("Run: %v", err)
		}
		closes := 0
		for _, s := range <-got {
			if len(s) >= 5 && s[:5] == "close" {
				closes++
			}
		}
		if lost := end != nil && end.Code == CloseAbnormal; closes > 1 || (closes == 1) == lost {
			t.Fatalf("%d close frames, Run: %v", closes, err)
		}
		<-c.Done()
	})
}

func FuzzExtensions(f *testing.F) {
	for _, s := range []string{"permessage-deflate; client_max_window_bits", `a; b="c\d", e`, ";", `a;b="`, ",,", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		offers, ok := parseExtensions([]string{line})
		if !ok {
			return
		}
		for _, o := range offers {
			if !isToken(o.name) {
				t.Fatalf("%q gave the name %q", line, o.name)
			}
			for _, p := range o.params {
				if !isToken(p.name) || p.valued != isToken(p.value) {
					t.Fatalf("%q gave the parameter %+v", line, p)
				}
			}
		}
	})
}
