package websocket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
)

// dialPeer serves h on loopback and connects somebody else's client to it.
func dialPeer(t *testing.T, h http.HandlerFunc, mode coder.CompressionMode) *coder.Conn {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	c, _, err := coder.Dial(ctx, srv.URL, &coder.DialOptions{Subprotocols: []string{"x", "chat"}, CompressionMode: mode, CompressionThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(1 << 20)
	return c
}

func TestPeerEcho(t *testing.T) {
	for name, mode := range map[string]coder.CompressionMode{
		"plain": coder.CompressionDisabled, "no takeover": coder.CompressionNoContextTakeover, "takeover offered": coder.CompressionContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			ran := make(chan error, 1)
			c := dialPeer(t, func(w http.ResponseWriter, r *http.Request) {
				s, err := Upgrade(w, r, Options{Compression: true, CompressAbove: 64, Subprotocols: []string{"chat"}, MaxMessage: 1 << 20})
				if err != nil {
					t.Error(err)
					return
				}
				if s.Compressed() != (mode != coder.CompressionDisabled) {
					t.Errorf("compressed: %v", s.Compressed())
				}
				go func() { ran <- s.Run(context.Background(), s.Write) }()
			}, mode)
			if c.Subprotocol() != "chat" {
				t.Errorf("subprotocol %q", c.Subprotocol())
			}
			for _, n := range []int{0, 1, 125, 126, 4096, 65535, 65536, 300_000} {
				want := strings.Repeat("Grüße ", n/8+1)[:n/8*8]
				if err := c.Write(t.Context(), coder.MessageText, []byte(want)); err != nil {
					t.Fatal(err)
				}
				kind, got, err := c.Read(t.Context())
				if err != nil || kind != coder.MessageText || string(got) != want {
					t.Fatalf("%d bytes: %v, %d bytes back, %v", n, kind, len(got), err)
				}
			}
			readCtx := c.CloseRead(t.Context())
			if err := c.Ping(readCtx); err != nil {
				t.Error(err)
			}
			if err := c.Close(coder.StatusNormalClosure, "done"); err != nil {
				t.Errorf("the peer's close: %v", err)
			}
			if err := <-ran; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// The peer reads our close frame over real TCP, although it has sent much that we
// will never read: there is no reset on the way.
func TestPeerSeesTheCode(t *testing.T) {
	for _, row := range []struct {
		code coder.StatusCode
		max  int
		end  func(*Conn) error
	}{
		{3001, 1 << 20, func(s *Conn) error { return s.Close(CloseShutdown, "come back") }},
		{1009, 100, func(s *Conn) error { _, _, err := s.Read(context.Background()); return err }},
	} {
		t.Run(fmt.Sprint(row.code), func(t *testing.T) {
			ended := make(chan error, 1)
			c := dialPeer(t, func(w http.ResponseWriter, r *http.Request) {
				s, err := Upgrade(w, r, Options{MaxMessage: row.max})
				if err != nil {
					t.Error(err)
					return
				}
				go func() { ended <- row.end(s) }()
			}, coder.CompressionDisabled)
			// More than the socket buffers of one direction would hide.
			_ = c.Write(t.Context(), coder.MessageBinary, make([]byte, 300_000))
			_, _, err := c.Read(t.Context())
			if coder.CloseStatus(err) != row.code {
				t.Errorf("the peer saw %v, want %d", err, row.code)
			}
			if err := <-ended; err != nil && CloseCodeOf(err) != CloseTooBig {
				t.Error(err)
			}
		})
	}
}

// Prepared frames, compressed once, read by a client with and one without.
func TestPeerReadsPreparedFrames(t *testing.T) {
	text := strings.Repeat(`{"price": 42, "currency": "EUR"} `, 100)
	f, err := NewFrame(Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []coder.CompressionMode{coder.CompressionDisabled, coder.CompressionContextTakeover} {
		c := dialPeer(t, func(w http.ResponseWriter, r *http.Request) {
			s, err := Upgrade(w, r, Options{Compression: true})
			if err != nil {
				t.Error(err)
				return
			}
			// A ping between the two must not enter anybody's window.
			if err := errors.Join(s.WriteFrames(f), s.Ping(), s.WriteFrames(f, f)); err != nil {
				t.Error(err)
			}
		}, mode)
		for range 3 {
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != text {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
	}
}
