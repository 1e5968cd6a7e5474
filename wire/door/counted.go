package door

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// answerTimeout is how long a peer may take nothing of an answer before it counts
// as gone. Streams are held to WriteTimeout: they can be resumed.
const answerTimeout = 30 * time.Second

// countedConn leaves the count once, whoever closes it. Each of its writes has a
// deadline, unless somebody set one: a server of streams cannot limit the time of
// a whole answer, and a peer that does not read must not hold its handler.
type countedConn struct {
	net.Conn
	once    sync.Once
	release func()
	theirs  atomic.Bool // whoever uses the connection keeps its own deadlines
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}

// NetConn gives the connection below, for system calls on its socket.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

// CloseWrite tells the peer that nothing follows, where the network can do that.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetDeadline implements net.Conn.
func (c *countedConn) SetDeadline(t time.Time) error {
	c.theirs.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.theirs.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// Write implements net.Conn. Without a deadline of the caller's it goes on for as
// long as the peer takes something.
func (c *countedConn) Write(b []byte) (n int, err error) {
	for !c.theirs.Load() {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(b[n:])
		if n += m; err == nil || m == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	m, err := c.Conn.Write(b[n:])
	return n + m, err
}
