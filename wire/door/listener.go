package door

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits bound the connections of one listener. Zero fields are the defaults.
type Limits struct {
	Connections int // in all; default 100,000
	PerIP       int // from one IPv4 address or one IPv6 /64; default 20,000
}

func (l Limits) withDefaults() Limits {
	if l.Connections <= 0 {
		l.Connections = 100_000
	}
	if l.PerIP <= 0 {
		l.PerIP = 20_000
	}
	return l
}

// Listener counts connections where they are made, at the socket, so that a
// connection that left net/http still counts; refuses those over the limits,
// never evicts one; and takes back connections whose request was answered
// outside of net/http, to serve the next request on them.
type Listener struct {
	net.Listener
	limits   Limits
	tls      *tls.Config // nil = plain
	accepted chan accepted
	closed   chan struct{}
	once     sync.Once

	mu    sync.Mutex
	total int
	perIP map[netip.Prefix]int
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listen wraps a listener; config is nil for plain connections. Run must run for
// Accept to give anything.
func Listen(inner net.Listener, config *tls.Config, limits Limits) *Listener {
	return &Listener{
		Listener: inner, limits: limits.withDefaults(), tls: config,
		accepted: make(chan accepted), closed: make(chan struct{}),
		perIP: map[netip.Prefix]int{},
	}
}

// Run accepts until the listener is closed. It returns nil then.
func (l *Listener) Run() error {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			select {
			case <-l.closed:
				return nil
			case l.accepted <- accepted{err: err}:
				if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
					continue
				}
				if errors.Is(err, net.ErrClosed) {
					return nil
				}
				l.rest()
			}
			continue
		}
		if conn = l.admit(conn); conn != nil {
			l.give(conn)
		}
	}
}

// rest waits a little after a failure such as "too many open files".
func (l *Listener) rest() {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.closed:
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Closing again does nothing.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// Return gives a connection back whose last answer is complete and on which
// nothing of the next request was read. It is served like a new one. Return
// waits until Accept takes it, or closes it when the listener is closed.
func (l *Listener) Return(conn net.Conn) {
	_ = conn.SetDeadline(time.Time{})
	l.give(conn)
}

func (l *Listener) give(conn net.Conn) {
	select {
	case l.accepted <- accepted{conn: conn}:
	case <-l.closed:
		_ = conn.Close()
	}
}

const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 46\r\n\r\ntoo many connections; try again in a while...\n"

// admit counts the connection, or tells it that there is no room.
func (l *Listener) admit(conn net.Conn) net.Conn {
	prefix := prefixOf(conn.RemoteAddr())
	l.mu.Lock()
	full := l.total >= l.limits.Connections || l.perIP[prefix] >= l.limits.PerIP
	if !full {
		l.total++
		l.perIP[prefix]++
	}
	l.mu.Unlock()
	if full {
		if l.tls == nil { // a TLS peer could not read it
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = conn.Write([]byte(refusal))
		}
		_ = conn.Close()
		return nil
	}
	counted := &countedConn{Conn: conn, release: func() { l.leave(prefix) }}
	if l.tls != nil {
		return tls.Server(counted, l.tls)
	}
	return counted
}

func (l *Listener) leave(prefix netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.perIP[prefix]--; l.perIP[prefix] == 0 {
		delete(l.perIP, prefix)
	}
}

// Open is the number of connections now.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// prefixOf groups addresses as one peer can change them: an IPv6 peer owns a /64.
func prefixOf(addr net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{} // not an IP network: all are one
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits fit the family
	return p
}
