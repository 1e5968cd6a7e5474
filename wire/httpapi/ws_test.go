package httpapi

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

// peer is the client's side of a WebSocket, bare on purpose: it can misbehave.
type peer struct {
	t testing.TB
	net.Conn
	br *bufio.Reader
}

func (r *rig) socket(query, extra string) *peer {
	r.t.Helper()
	return r.upgrade("/v1/topics/a/ws"+query, extra)
}

func (r *rig) upgrade(path, extra string) *peer {
	r.t.Helper()
	c, br := r.raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + extra + "\r\n")
	res, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		r.t.Fatalf("handshake: %v %v", res, err)
	}
	return &peer{r.t, c, br}
}

// send sends one frame of a client: masked, by a key of zeros.
func (p *peer) send(op websocket.Opcode, payload string) {
	p.t.Helper()
	h := websocket.Header{Fin: true, Opcode: op, Masked: true, Length: uint64(len(payload))}
	if _, err := p.Write(append(h.AppendTo(nil), payload...)); err != nil {
		p.t.Fatal(err)
	}
}

// frame reads one frame of the server.
func (p *peer) frame() (websocket.Opcode, string) {
	p.t.Helper()
	var head []byte
	for {
		b, err := p.br.ReadByte()
		if err != nil {
			p.t.Fatalf("%v in a head %x", err, head)
		}
		head = append(head, b)
		h, n, err := websocket.ParseHeader(head)
		if err != nil {
			p.t.Fatal(err)
		}
		if n == 0 {
			continue
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p.br, payload); err != nil {
			p.t.Fatal(err)
		}
		return h.Opcode, string(payload)
	}
}

// closed reads up to the close frame and gives its code.
func (p *peer) closed() (websocket.CloseCode, string) {
	p.t.Helper()
	for {
		op, payload := p.frame()
		if op == websocket.Close {
			return websocket.CloseCode(binary.BigEndian.Uint16([]byte(payload))), payload[2:]
		}
	}
}

func TestARawSocketPublishesAndReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		one, two := r.socket("", ""), r.socket("", "Sec-WebSocket-Protocol: other, parley.v1\r\n")
		if op, first := two.frame(); op != websocket.Text || !strings.HasPrefix(first, `{"cursor":"`) {
			t.Errorf("opening: %q", first)
		}
		one.send(websocket.Text, "hällo")
		one.send(websocket.Binary, "\x00\xff")
		one.send(websocket.Text, "")
		for _, want := range []string{"hällo", "\x00\xff", ""} {
			if op, got := one.frame(); got != want || (op == websocket.Binary) != (want == "\x00\xff") {
				t.Errorf("%v %q, want %q", op, got, want)
			}
			if _, got := two.frame(); !strings.HasPrefix(got, `{"topic":"a","partition":0,"events":[{"specversion"`) || !strings.Contains(got, `"cursor":"`) {
				t.Errorf("framed: %q", got)
			}
		}
		one.send(websocket.Ping, "p")
		if op, got := one.frame(); op != websocket.Pong || got != "p" {
			t.Errorf("%v %q", op, got)
		}
		one.send(websocket.Close, "\x03\xe8")
		if code, _ := one.closed(); code != websocket.CloseNormal {
			t.Errorf("closed with %d", code)
		}
		_ = one.Conn.Close() // the server waits for that, so that its answer arrives
		synctest.Wait()
		if r.lives.Count() != 1 {
			t.Errorf("%d lives", r.lives.Count())
		}
	})
}

func TestBadPlacesOfSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		p := r.socket("?after=garbage", "Sec-WebSocket-Protocol: parley.v1\r\n")
		p.frame()
		if _, got := p.frame(); !strings.Contains(got, `"notice":"reset"`) {
			t.Errorf("%q", got)
		}
		raw := r.socket("?after=garbage", "")
		r.must("a", "2")
		if _, got := raw.frame(); got != "2" {
			t.Errorf("%q", got)
		}
	})
}

func TestHowSocketsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Limits.Body = 1 << 10 })
		r.do("PUT", "/v1/topics/a", `{"max_event":500}`)
		for _, c := range []struct {
			name string
			do   func(p *peer)
			code websocket.CloseCode
		}{
			{"a message over the limit", func(p *peer) { p.send(websocket.Text, strings.Repeat("x", 1025)) }, websocket.CloseTooBig},
			{"an event over the topic's limit", func(p *peer) { p.send(websocket.Text, strings.Repeat("x", 600)) }, websocket.CloseTooBig},
			{"no UTF-8", func(p *peer) { p.send(websocket.Text, "\xff") }, websocket.CloseInvalid},
			{"not masked", func(p *peer) { _, _ = p.Write([]byte{0x81, 1, 'x'}) }, websocket.CloseProtocol},
			{"a declared length", func(p *peer) {
				_, _ = p.Write([]byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
			}, websocket.CloseTooBig},
			{"reserved opcode", func(p *peer) { _, _ = p.Write([]byte{0x83, 0x80, 0, 0, 0, 0}) }, websocket.CloseProtocol},
			{"the topic is deleted", func(*peer) { r.do("DELETE", "/v1/topics/a", "") }, websocket.CloseGoingAway},
		} {
			p := r.socket("", "")
			synctest.Wait()
			c.do(p)
			if code, reason := p.closed(); code != c.code {
				t.Errorf("%s: %d %q", c.name, code, reason)
			}
			_ = p.Conn.Close()
		}
		synctest.Wait()
		if r.lives.Count() != 0 || r.home.Open() > 1 {
			t.Errorf("%d lives, %d connections", r.lives.Count(), r.home.Open())
		}
	})
}

func TestTokensOfSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, token, err := door.MakeToken("r", []string{"read"}, time.Now().Add(20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		ids, err := door.NewTokens([]door.Token{token}, []string{"publish"})
		if err != nil {
			t.Fatal(err)
		}
		limit := &throttler{}
		r := newRig(t, func(s *setup) { s.Identify, s.Admission = ids, limit })
		p := r.socket("?access_token="+reader, "")
		p.send(websocket.Text, "x")
		if code, reason := p.closed(); code != websocket.ClosePermission || !strings.Contains(reason, "publish:a") {
			t.Errorf("published: %d %q", code, reason)
		}
		p = r.socket("?access_token="+reader, "")
		start := time.Now()
		if code, reason := p.closed(); code != websocket.CloseExpired || reason == "" {
			t.Errorf("expired: %d %q", code, reason)
		}
		if took := time.Since(start); took > 21*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAFloodIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := &throttler{}
		r := newRig(t, func(s *setup) { s.Admission = limit })
		p := r.socket("", "")
		go func() { // does not read while it floods
			h := websocket.Header{Fin: true, Opcode: websocket.Text, Masked: true, Length: 1}
			message := append(h.AppendTo(nil), 'x')
			for {
				if _, err := p.Write(message); err != nil {
					return
				}
			}
		}()
		for range 100 {
			if op, got := p.frame(); op != websocket.Text || got != "x" {
				t.Fatalf("%v %q", op, got)
			}
		}
		limit.code.Store(int32(parley.Throttled))
		if code, reason := p.closed(); code != websocket.CloseTooMany {
			t.Errorf("%d %q", code, reason)
		}
		_ = p.Conn.Close()
	})
}

func TestSilentSocketsArePingedAndDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.socket("", "")
		start := time.Now()
		if op, _ := p.frame(); op != websocket.Ping || time.Since(start) > 30*time.Second {
			t.Errorf("%v after %v", op, time.Since(start))
		}
		p.send(websocket.Pong, "")
		if op, _ := p.frame(); op != websocket.Ping {
			t.Errorf("%v", op)
		}
		if code, _ := p.closed(); code != websocket.CloseNoPong || time.Since(start) > 70*time.Second {
			t.Errorf("%d after %v", code, time.Since(start))
		}
	})
}

func TestASlowReaderOfASocketOnlyLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.socket("", "")
		big := `"` + strings.Repeat("x", 100_000) + `"`
		for range 30 {
			r.must("a", big)
		}
		for i := range 30 {
			if _, got := p.frame(); got != big {
				t.Fatalf("%d: %d bytes", i, len(got))
			}
		}
	})
}

func TestSocketsAreDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p := r.socket("", "")
		code := make(chan websocket.CloseCode)
		go func() {
			c, _ := p.closed()
			code <- c
			p.send(websocket.Close, "\x03\xe8")
			_ = p.Conn.Close()
		}()
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- r.lives.Drain(t.Context(), time.Second) }()
		if got := <-code; got != websocket.CloseShutdown {
			t.Errorf("%d", got)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}
