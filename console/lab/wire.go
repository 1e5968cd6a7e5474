package lab

import (
	"net"
	"sync"
	"time"
)

// tap is a listener that records what its connections carry.
type tap struct {
	net.Listener
	lane string
	rec  *recorder

	mu    sync.Mutex
	conns []net.Conn
}

// Accept implements net.Listener.
func (t *tap) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &tapped{Conn: conn, tap: t, number: t.rec.opened(t.lane)}
	c.out.server = true
	t.mu.Lock()
	t.conns = append(t.conns, c)
	t.mu.Unlock()
	return c, nil
}

// cut closes every connection, those that have left net/http too.
func (t *tap) cut() {
	t.mu.Lock()
	conns := t.conns
	t.conns = nil
	t.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// tapped is the server's end of a connection. It hides the socket, so that every
// byte goes through Read and Write.
type tapped struct {
	net.Conn
	tap    *tap
	number int

	mu      sync.Mutex // reading and writing meet in the upgrade to frames
	in, out half
	ended   bool
}

// Read implements net.Conn.
func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.record(&c.in, p[:n], time.Now())
	}
	return n, err
}

// Write implements net.Conn. A message counts as sent when its write begins, or the
// client could answer it before it was sent.
func (c *tapped) Write(p []byte) (int, error) {
	at := time.Now()
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.record(&c.out, p[:n], at)
	}
	return n, err
}

// Close implements net.Conn.
func (c *tapped) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		now := time.Now()
		c.tap.rec.moved(c.tap.lane, c.number, false, 0, now, c.in.end())
		c.tap.rec.moved(c.tap.lane, c.number, true, 0, now, c.out.end())
	}
	return err
}

func (c *tapped) record(h *half, p []byte, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return // the figures are being added up
	}
	pieces := h.feed(p)
	if h == &c.out && c.in.mode == frames && c.out.mode == head {
		c.in = half{} // the upgrade was refused: the client goes on in HTTP
	}
	c.tap.rec.moved(c.tap.lane, c.number, h == &c.out, len(p), at, pieces)
}
