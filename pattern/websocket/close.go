package websocket

import (
	"context"
	"errors"
	"time"

	"github.com/parleyhq/parley"
)

// Close ends the connection with the closing handshake (RFC 6455 §7): it sends
// code and reason (cut at 123 bytes), waits for the peer's close frame, half-closes
// and waits for the peer to hang up, so that nothing in flight is lost to a reset.
// All of that lasts at most Options.CloseTimeout, after which the connection is
// dropped. Further calls, and calls after the peer began, wait for that end too.
//
// While the handler of Run is at work it sends the frame and returns; Run does the
// rest.
// It returns nil if the handshake was completed, and for a code that may not be
// sent (such as CloseNoStatus) an empty close frame goes out.
func (c *Conn) Close(code CloseCode, reason string) error {
	select {
	case <-c.gone:
		return c.ended()
	default:
	}
	c.beginClose()
	err := c.sendClose(code, reason)
	if c.handling.Load() {
		return err
	}
	select {
	case <-c.gone:
		return c.ended()
	case c.reading <- struct{}{}:
	}
	for c.end == nil {
		// Nobody is left to read: what still arrives is dropped until the
		// peer's close frame, or until the time is over.
		if _, _, err := c.next(context.Background()); err == nil { //nolint:forbidigo // the time is the deadline of the connection
			c.rx.done()
		}
	}
	<-c.reading
	<-c.gone
	return c.ended()
}

// ended gives Close's answer once the connection is gone.
func (c *Conn) ended() error {
	if c.complete.Load() {
		return nil
	}
	return &parley.Error{Code: parley.Timeout, Detail: "the peer did not complete the closing handshake"}
}

// Abort drops the connection at once, without a closing handshake. The peer sees
// 1006 or a reset. It never blocks.
func (c *Conn) Abort() {
	if c.dropped.CompareAndSwap(false, true) {
		close(c.gone)
		_ = c.nc.Close() // nobody is left to tell
	}
}

// beginClose starts the one clock that bounds everything on the way out.
func (c *Conn) beginClose() {
	if c.closing.CompareAndSwap(false, true) {
		time.AfterFunc(c.agree.closeTimeout, c.Abort)
	}
}

// sendClose sends our close frame, the last frame there is; only the first call
// does.
func (c *Conn) sendClose(code CloseCode, reason string) error {
	var buf [2 + maxControl]byte
	frame := appendClose(buf[:0], code, reason)
	if err := c.startWrite(); err != nil {
		return err
	}
	defer c.endWrite()
	if c.sent.Swap(true) {
		return nil
	}
	return c.put(c.agree.closeTimeout, frame)
}

// finish ends the reading half with err, under reading: it answers a close frame
// or a violation with ours, then lets the connection go.
func (c *Conn) finish(err error) error {
	c.flushPongs()
	c.end = err
	c.rx.drop()
	var end *CloseError
	if errors.As(err, &end) && end.Code != CloseAbnormal {
		c.mine = c.sent.Load()
		c.complete.Store(end.Remote)
		c.beginClose()
		// RFC 6455 §5.5.1: a close frame is answered with its own code. If it
		// cannot be sent, the connection is gone and that is the end of it.
		_ = c.sendClose(end.Code, end.Reason)
		c.linger()
	}
	c.in.drop()
	c.Abort()
	return err
}

// lingerBytes bounds what is read from a peer that goes on after the end.
const lingerBytes = 1 << 20

// linger half-closes and reads until the peer hangs up. Closing with unread bytes
// would make the kernel send a reset, which can destroy our close frame in the
// peer's buffers. The clock of beginClose bounds it.
func (c *Conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for total := 0; total < lingerBytes; total += len(c.in.rest) {
		if c.in.fill(c.nc, lingerBytes) != nil {
			return
		}
	}
}
