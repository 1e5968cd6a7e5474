package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe makes two connected ends that hold up to buffer bytes in each direction;
// 0 means DefaultBuffer. What was written before a Close can still be read.
func Pipe(buffer int) (net.Conn, net.Conn) {
	if buffer <= 0 {
		buffer = DefaultBuffer
	}
	a, b := newLane(buffer), newLane(buffer)
	return &conn{in: a, out: b}, &conn{in: b, out: a}
}

type conn struct{ in, out *lane }

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *conn) LocalAddr() net.Addr         { return addr{} }
func (c *conn) RemoteAddr() net.Addr        { return addr{} }

func (c *conn) Close() error {
	c.in.change(func(l *lane) { l.readerGone = true })
	c.out.change(func(l *lane) { l.writerGone = true })
	return nil
}

// CloseWrite sends the other end EOF and goes on reading, as TCP's does.
func (c *conn) CloseWrite() error {
	c.out.change(func(l *lane) { l.writerGone = true })
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	c.in.change(func(l *lane) { l.readBy = t })
	c.out.change(func(l *lane) { l.writeBy = t })
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func(l *lane) { l.readBy = t })
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.change(func(l *lane) { l.writeBy = t })
	return nil
}

// lane is one direction. The lock is held for a few instructions only, never
// while waiting; whoever waits does so on changed, which each change replaces.
type lane struct {
	mu                     sync.Mutex
	changed                chan struct{}
	buf                    []byte
	max                    int
	readerGone, writerGone bool
	readBy, writeBy        time.Time
}

func newLane(size int) *lane { return &lane{max: size, changed: make(chan struct{})} }

func (l *lane) change(f func(*lane)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
	l.wake()
}

func (l *lane) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lane) read(p []byte) (int, error) {
	for {
		l.mu.Lock()
		switch {
		case l.readerGone:
			l.mu.Unlock()
			return 0, net.ErrClosed
		case passed(l.readBy):
			l.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(l.buf) > 0 || len(p) == 0:
			n := copy(p, l.buf)
			l.buf = l.buf[:copy(l.buf, l.buf[n:])]
			l.wake()
			l.mu.Unlock()
			return n, nil
		case l.writerGone:
			l.mu.Unlock()
			return 0, io.EOF
		}
		changed, by := l.changed, l.readBy
		l.mu.Unlock()
		await(changed, by)
	}
}

func (l *lane) write(p []byte) (int, error) {
	done := 0
	for {
		l.mu.Lock()
		switch {
		case l.writerGone:
			l.mu.Unlock()
			return done, net.ErrClosed
		case passed(l.writeBy):
			l.mu.Unlock()
			return done, os.ErrDeadlineExceeded
		case l.readerGone:
			l.mu.Unlock()
			return done, io.ErrClosedPipe
		}
		if n := min(l.max-len(l.buf), len(p)-done); n > 0 {
			l.buf = append(l.buf, p[done:done+n]...)
			done += n
			l.wake()
		}
		changed, by := l.changed, l.writeBy
		l.mu.Unlock()
		if done == len(p) {
			return done, nil
		}
		await(changed, by)
	}
}

func passed(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }

// await returns when the lane changes or the deadline passes; the caller looks
// again in either case.
func await(changed <-chan struct{}, by time.Time) {
	if by.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}
