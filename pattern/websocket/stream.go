package websocket

import (
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// raws are the formats of a raw socket, on which each event is one message: its
// data, as text where that is what it is, else as bytes. Without and with
// compression.
var raws = [2]*pubsub.Format{
	{Name: "websocket", Append: func(dst []byte, v *pubsub.View) []byte { return appendRaw(dst, v, false) }},
	{Name: "websocket-deflate", Append: func(dst []byte, v *pubsub.View) []byte { return appendRaw(dst, v, true) }},
}

func appendRaw(dst []byte, v *pubsub.View, compressed bool) []byte {
	op := Binary
	if (parley.IsJSON(v.DataContentType) || parley.IsText(v.DataContentType)) && utf8.Valid(v.Data) {
		op = Text
	}
	return AppendFrame(dst, op, v.Data, compressed)
}

// AppendRaw appends a delivery as the messages of a raw socket. The frames are
// shared by all sockets. Notices have no place in a raw socket: whoever needs to
// know about gaps uses the framed protocol.
func (c *Conn) AppendRaw(dst []byte, d *pubsub.Delivery) []byte {
	format := raws[0]
	if c.agree.compress {
		format = raws[1]
	}
	for _, chunk := range d.Chunks {
		dst = append(dst, chunk.Frame(format).From(chunk.First)...)
	}
	return dst
}

// EventOf makes an event of a message that a raw socket sent: text as text,
// bytes as bytes.
func EventOf(op Opcode, payload []byte) parley.Event {
	e := parley.Event{Data: append([]byte{}, payload...), DataContentType: "application/octet-stream"}
	if op == Text {
		e.DataContentType = "text/plain; charset=utf-8"
	}
	return e
}
