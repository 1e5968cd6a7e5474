package memnet

import (
	"context"
	"net"
	"sync"
)

// DefaultBuffer is the number of bytes a direction holds before writes block.
const DefaultBuffer = 64 << 10

// Listener is a net.Listener that Dial connects to. Its methods may be called
// from any goroutine.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	buffer int
}

// Listen makes a Listener whose connections hold up to buffer bytes in each
// direction; 0 means DefaultBuffer.
func Listen(buffer int) *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{}), buffer: buffer}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that exist go on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial connects to whoever accepts. Its signature is that of DialContext in
// http.Transport; network and address are ignored.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := Pipe(l.buffer)
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: addr{}, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type addr struct{}

func (addr) Network() string { return "mem" }
func (addr) String() string  { return "mem" }
