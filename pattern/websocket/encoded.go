package websocket

import (
	"net"
	"time"
)

// AppendFrame appends one message as a server's frame. With compressed it is the
// frame for connections that agreed on permessage-deflate, unless the message is
// shorter as it is. payload of kind Text must be UTF-8. It is how a message is
// encoded once for thousands of connections that are driven with Start.
func AppendFrame(dst []byte, op Opcode, payload []byte, compressed bool) []byte {
	h := Header{Fin: true, Opcode: op, Length: uint64(len(payload))}
	if compressed && len(payload) >= defaultCompressAbove {
		if flat := deflate(nil, payload); len(flat) < len(payload) {
			h.Compressed, h.Length = true, uint64(len(flat))
			payload = flat
		}
	}
	return append(h.AppendTo(dst), payload...)
}

// Start sends frames made by AppendFrame without waiting: what the network takes
// at once is written; if something is left, finished is false, a goroutine writes
// the rest, and done is called from it. Until then p belongs to the connection.
// try writes as much as a connection takes without waiting. Errors are those of
// Write.
func (c *Conn) Start(p []byte, try func(net.Conn, []byte) (int, error), done func(error)) (finished bool, err error) {
	select {
	case c.writing <- struct{}{}:
	default: // somebody else is writing, a pong perhaps
		go func() { done(c.send(p)) }()
		return false, nil
	}
	if c.sent.Load() {
		c.endWrite()
		return true, errClosed
	}
	_ = c.nc.SetWriteDeadline(time.Time{}) // one that has passed would fail try
	n, err := try(c.nc, p)
	if err == nil && n < len(p) {
		go func() {
			err := c.put(c.agree.writeTimeout, p[n:])
			c.endWrite()
			done(err)
		}()
		return false, nil
	}
	c.endWrite()
	return true, c.written(err)
}
