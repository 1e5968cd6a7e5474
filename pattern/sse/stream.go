package sse

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// Style says how the events of topics become events of a stream. The zero Style
// sends an event's data as it is, without an event line, so that a browser's
// onmessage sees everything.
type Style struct {
	// Names sets the event line to the event's type.
	Names bool
	// Structured sends whole CloudEvents in JSON instead of their data.
	Structured bool
}

// formats are by Style, without and with the id line of a reader of one stream.
var formats = func() (f [2][2][2]*pubsub.Format) {
	for n, names := range []bool{false, true} {
		for s, structured := range []bool{false, true} {
			for i, id := range []bool{false, true} {
				f[n][s][i] = &pubsub.Format{Name: "sse", Append: func(dst []byte, v *pubsub.View) []byte {
					return appendView(dst, v, names, structured, id)
				}}
			}
		}
	}
	return f
}()

func (s Style) format(id bool) *pubsub.Format {
	return formats[boolInt(s.Names)][boolInt(s.Structured)][boolInt(id)]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func appendView(dst []byte, v *pubsub.View, names, structured, id bool) []byte {
	if id {
		dst, _ = AppendID(dst, v.Cursor()) // a cursor is base64url
	}
	if names {
		dst, _ = AppendType(dst, v.Type) // an attribute holds no line end; a name that fails has no line
	}
	// A browser drops an event without data, so such an event is sent whole.
	if !structured && len(v.Data) > 0 && Representable(v.Data) {
		dst, _ = AppendData(dst, v.Data) // representable
		return AppendEnd(dst)
	}
	whole := v.AppendJSON(nil)
	if !Representable(whole) {
		whole = v.AppendJSONBase64(whole[:0])
	}
	dst, _ = AppendData(dst, whole) // JSON in UTF-8 whose strings escape CR
	return AppendEnd(dst)
}

// AppendDelivery appends a delivery of a subscription. Each durable event has the
// reader's cursor as its id, so a stream that is cut anywhere is resumed exactly.
// The lines of an event are shared by all readers; when the cursor is that of one
// stream, so is the id.
func (s Style) AppendDelivery(dst []byte, d *pubsub.Delivery) []byte {
	for i := range d.Notices {
		dst = appendNotice(dst, &d.Notices[i])
	}
	for _, c := range d.Chunks {
		switch {
		case c.Fleeting:
			dst = append(dst, c.Frame(s.format(false)).From(c.First)...)
		case d.Single():
			dst = append(dst, c.Frame(s.format(true)).From(c.First)...)
		default:
			lines := c.Frame(s.format(false))
			views := c.Views()
			for i := range views {
				d.Advance(&views[i])
				dst, _ = AppendID(dst, d.Cursor())
				dst = append(dst, lines.Event(c.First+i)...)
			}
		}
	}
	return dst
}

// appendNotice tells a reader about its place: an event named gap, reset or
// ahead. It has no id: the place does not move by it.
func appendNotice(dst []byte, n *pubsub.Notice) []byte {
	dst, _ = AppendType(dst, n.Kind.String())
	data := append([]byte(nil), `{"topic":`...)
	data = parley.AppendJSONString(data, n.Topic)
	data = strconv.AppendInt(append(data, `,"partition":`...), int64(n.Partition), 10)
	if n.Kind == pubsub.Gap {
		data = strconv.AppendInt(append(data, `,"from":`...), int64(n.From), 10)
		data = strconv.AppendInt(append(data, `,"to":`...), int64(n.To), 10)
	}
	dst, _ = AppendData(dst, append(data, '}'))
	return AppendEnd(dst)
}

// AppendOpening appends what a stream begins with: how long a client waits
// before it comes back (spread at random, so that not all come at once) and the
// reader's place, so that a stream that breaks before its first event is
// resumed and not begun anew.
func AppendOpening(dst []byte, cursor string) []byte {
	dst = AppendRetry(dst, 2*time.Second+rand.N(4*time.Second))
	if cursor == "" {
		return AppendEnd(dst)
	}
	dst, _ = AppendCheckpoint(dst, cursor)
	return dst
}
