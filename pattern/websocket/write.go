package websocket

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/parleyhq/parley"
)

// gatherBelow is the size up to which frames are copied together for one write;
// above it the copy costs more than a vectored write.
const gatherBelow = 16 << 10

// errClosed answers writes after the connection has ended or its closing begun.
var errClosed error = &parley.Error{Code: parley.Unavailable, Detail: "the WebSocket is closed", Err: net.ErrClosed}

// Write sends one message of kind Text or Binary, compressed if that was agreed,
// it is long enough and it gets shorter. It returns when the network has taken
// it, which lasts at most Options.WriteTimeout for each write that is ahead and
// for its own; a peer that does not read for so long has its connection dropped.
// To send the same message to many, use NewFrame and WriteFrames.
//
// Errors are *parley.Error: Invalid for text that is not UTF-8, Timeout, and
// Unavailable once the connection is closing (errors.Is(err, net.ErrClosed)).
func (c *Conn) Write(op Opcode, payload []byte) error {
	if err := sendable(op, payload); err != nil {
		return err
	}
	if c.sent.Load() {
		return errClosed
	}
	buf := getBuffer()
	defer putBuffer(buf)
	h := Header{Fin: true, Opcode: op, Length: uint64(len(payload))}
	if c.agree.compress && len(payload) >= c.agree.compressAbove {
		// The header's place is kept free in front, so that the compressed
		// payload need not move when its length is known.
		flat := deflate(append(*buf, make([]byte, maxHeader)...), payload)
		*buf = flat
		if size := len(flat) - maxHeader; size < len(payload) {
			h.Compressed, h.Length = true, uint64(size)
			var head [maxHeader]byte
			hb := h.AppendTo(head[:0])
			from := maxHeader - len(hb)
			copy(flat[from:], hb)
			return c.send(flat[from:])
		}
		*buf = flat[:0]
	}
	*buf = h.AppendTo(*buf)
	if len(payload) > gatherBelow {
		return c.sendParts([][]byte{*buf, payload})
	}
	*buf = append(*buf, payload...)
	return c.send(*buf)
}

// WriteFrames sends prepared messages in order and in one write where they are
// small. It is the way to drive many connections from a few goroutines: nothing
// is encoded or allocated for each. Waiting and errors are those of Write.
func (c *Conn) WriteFrames(frames ...*Frame) error {
	switch len(frames) {
	case 0:
		return nil
	case 1:
		return c.send(c.wire(frames[0]))
	}
	total := 0
	for _, f := range frames {
		total += len(c.wire(f))
	}
	if total > gatherBelow {
		parts := make([][]byte, len(frames))
		for i, f := range frames {
			parts[i] = c.wire(f)
		}
		return c.sendParts(parts)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	for _, f := range frames {
		*buf = append(*buf, c.wire(f)...)
	}
	return c.send(*buf)
}

// wire chooses the form of f for this connection.
func (c *Conn) wire(f *Frame) []byte {
	return f.bytes(c.agree.compress && len(f.payload) >= c.agree.compressAbove)
}

// pingFrame is an empty ping: the pong needs no payload to be known, since any
// byte of the peer counts as a sign of life.
var pingFrame = []byte{bitFin | byte(Ping), 0}

// Ping sends an empty ping. It allocates nothing. Waiting and errors are those
// of Write.
func (c *Conn) Ping() error {
	if err := c.startWrite(); err != nil {
		return err
	}
	defer c.endWrite()
	if c.sent.Load() {
		return errClosed
	}
	// Before the write: its answer may be here before the write returns.
	c.life.ask()
	return c.put(c.agree.writeTimeout, pingFrame)
}

// send writes p, whole frames, as one piece of the stream.
func (c *Conn) send(p []byte) error {
	if err := c.startWrite(); err != nil {
		return err
	}
	defer c.endWrite()
	if c.sent.Load() {
		return errClosed // RFC 6455 §5.5.1: nothing follows a close frame
	}
	return c.put(c.agree.writeTimeout, p)
}

// sendParts is send for frames that lie apart, in one vectored write.
func (c *Conn) sendParts(parts net.Buffers) error {
	if err := c.startWrite(); err != nil {
		return err
	}
	defer c.endWrite()
	if c.sent.Load() {
		return errClosed
	}
	err := c.nc.SetWriteDeadline(time.Now().Add(c.agree.writeTimeout))
	if err == nil {
		_, err = parts.WriteTo(c.nc)
	}
	return c.written(err)
}

// startWrite waits for the turn to write. The wait is bounded by the deadlines of
// those ahead, the last of which drops the connection.
func (c *Conn) startWrite() error {
	select {
	case c.writing <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.writing <- struct{}{}:
		return nil
	case <-c.gone:
		return errClosed
	}
}

func (c *Conn) endWrite() { <-c.writing }

// put writes p to the network, under writing.
func (c *Conn) put(timeout time.Duration, p []byte) error {
	err := c.nc.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil {
		_, err = c.nc.Write(p)
	}
	return c.written(err)
}

// written judges a write. An error leaves half a frame behind, after which the
// stream means nothing: the connection is dropped.
func (c *Conn) written(err error) error {
	if err == nil {
		c.life.wrote()
		return nil
	}
	c.Abort()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &parley.Error{Code: parley.Timeout, Detail: "the peer does not read", Err: err}
	}
	return &parley.Error{Code: parley.Unavailable, Detail: "the WebSocket is lost", Err: err}
}
