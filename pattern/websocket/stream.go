package websocket

import (
	"strconv"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
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

// Framed is the subprotocol of sockets whose messages are JSON frames with the
// whole event and a cursor:
//
//	{"topic":"orders","partition":0,"events":[…],"cursor":"…"}
//	{"topic":"orders","partition":0,"notice":"gap","from":1,"to":5}
//
// The cursor is that of the frame's one stream, so that all sockets share the
// frame; a client of several streams keeps one for each and resumes with all of
// them, joined by commas.
const Framed = "parley.v1"

var framed = [2]*pubsub.Format{
	{Name: "websocket-framed", Append: func(dst []byte, v *pubsub.View) []byte { return appendFramed(dst, v, false) }},
	{Name: "websocket-framed-deflate", Append: func(dst []byte, v *pubsub.View) []byte { return appendFramed(dst, v, true) }},
}

func appendFramed(dst []byte, v *pubsub.View, compressed bool) []byte {
	text := appendStream(make([]byte, 0, len(v.Data)+512), v.Topic, v.Partition)
	text = append(text, `,"events":[`...)
	text = append(v.AppendJSON(text), ']')
	if !topic.IsEphemeral(v.Topic) { // what is not stored has no place
		text = append(append(append(text, `,"cursor":"`...), v.Cursor()...), '"')
	}
	text = append(text, '}')
	return AppendFrame(dst, Text, text, compressed)
}

func appendStream(dst []byte, topic string, partition int) []byte {
	dst = parley.AppendJSONString(append(dst, `{"topic":`...), topic)
	return strconv.AppendInt(append(dst, `,"partition":`...), int64(partition), 10)
}

func appendNotice(dst []byte, n *pubsub.Notice) []byte {
	text := appendStream(nil, n.Topic, n.Partition)
	text = parley.AppendJSONString(append(text, `,"notice":`...), n.Kind.String())
	text = strconv.AppendInt(append(text, `,"from":`...), int64(n.From), 10)
	text = strconv.AppendInt(append(text, `,"to":`...), int64(n.To), 10)
	return AppendFrame(dst, Text, append(text, '}'), false)
}

// AppendOpening appends the first frame of a framed socket: the reader's place
// before any event, and in how many streams that is. A client of one stream needs
// only the newest cursor to resume; one of several also this first one.
func AppendOpening(dst []byte, cursor string, streams int) []byte {
	text := append(append([]byte(`{"cursor":"`), cursor...), `","streams":`...)
	return AppendFrame(dst, Text, append(strconv.AppendInt(text, int64(streams), 10), '}'), false)
}

// AppendDelivery appends a delivery as the messages of the socket: framed if that
// was agreed, else raw, each the data of one event. The frames are shared by all
// sockets. A raw socket has no place for notices: whoever needs to know about gaps
// speaks Framed.
func (c *Conn) AppendDelivery(dst []byte, d *pubsub.Delivery) []byte {
	formats := raws
	if c.agree.subprotocol == Framed {
		formats = framed
		for i := range d.Notices {
			dst = appendNotice(dst, &d.Notices[i])
		}
	}
	format := formats[0]
	if c.agree.compress {
		format = formats[1]
	}
	for _, chunk := range d.Chunks {
		dst = append(dst, chunk.Frame(format).From(chunk.First)...)
	}
	return dst
}

// EventOf makes an event of a message that a raw socket sent: text as text,
// bytes as bytes. Its data is payload itself, not a copy.
func EventOf(op Opcode, payload []byte) parley.Event {
	if payload == nil {
		payload = []byte{} // an empty message is data, too
	}
	e := parley.Event{Data: payload, DataContentType: "application/octet-stream"}
	if op == Text {
		e.DataContentType = "text/plain; charset=utf-8"
	}
	return e
}
