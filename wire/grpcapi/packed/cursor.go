package packed

import (
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parleyhq/parley"
)

// cursor takes a message apart, field by field.
type cursor struct {
	rest []byte
	text []byte // of the field that is a text, bytes or a message
	n    uint64 // of the field that is a number
	bad  bool   // something is in it that is not read by hand
}

// The tags of fields: a number, and what the field is.
const (
	isNumber = uint64(protowire.VarintType)
	isText   = uint64(protowire.BytesType)
)

func numberTag(field uint64) uint64 { return field<<3 | isNumber }
func textTag(field uint64) uint64   { return field<<3 | isText }

// next goes to the next field and gives its tag; 0 when there is none.
func (c *cursor) next() uint64 {
	if len(c.rest) == 0 || c.bad {
		return 0
	}
	tag, n := protowire.ConsumeVarint(c.rest)
	if n < 0 || tag>>3 == 0 {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	switch tag & 7 {
	case isNumber:
		c.n, n = protowire.ConsumeVarint(c.rest)
	case isText:
		c.text, n = protowire.ConsumeBytes(c.rest)
	default:
		n = -1
	}
	if n < 0 {
		c.bad = true
		return 0
	}
	c.rest = c.rest[n:]
	return tag
}

// string is the field's text; it is like if it equals that.
func (c *cursor) string(like string) string {
	if string(c.text) == like {
		return like
	}
	c.bad = c.bad || !utf8.Valid(c.text)
	return string(c.text)
}

// once is for a message within a message: of several, the generated code makes one.
func (c *cursor) once(seen *bool) []byte {
	c.bad = c.bad || *seen
	*seen = true
	return c.text
}

// numbers reads a message of two numbers.
func numbers(b []byte) (first, second int64, ok bool) {
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case numberTag(1):
			first = int64(c.n)
		case numberTag(2):
			second = int64(c.n)
		default:
			c.bad = true
		}
	}
	return first, second, !c.bad
}

// What a Timestamp may be: the years 1 to 9999.
const firstSecond, lastSecond = -62_135_596_800, 253_402_300_799

func readTime(b []byte) (time.Time, bool) {
	s, nanos, ok := numbers(b)
	n := int32(nanos)
	if !ok || s < firstSecond || s > lastSecond || n < 0 || n >= 1e9 {
		return time.Time{}, false
	}
	return time.Unix(s, int64(n)).UTC(), true
}

func readSpan(b []byte) (time.Duration, bool) {
	const most = 1e9 // seconds: far from what a Duration of Go cannot hold
	s, nanos, ok := numbers(b)
	n := int32(nanos)
	if !ok || s < -most || s > most || n <= -1e9 || n >= 1e9 {
		return 0, false
	}
	return time.Duration(s)*time.Second + time.Duration(n), true
}

// readEvent reads an Event, whose data is that of b. Texts that are those of another
// one share their memory.
func readEvent(b []byte, e, like *parley.Event) bool {
	c := cursor{rest: b}
	timed := false
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case textTag(1):
			e.ID = c.string(like.ID)
		case textTag(2):
			e.Source = c.string(like.Source)
		case textTag(3):
			e.Type = c.string(like.Type)
		case textTag(4):
			e.Subject = c.string(like.Subject)
		case textTag(6):
			e.DataContentType = c.string(like.DataContentType)
		case textTag(7):
			e.DataSchema = c.string(like.DataSchema)
		case textTag(eventTime):
			t, ok := readTime(c.once(&timed))
			e.Time, c.bad = t, c.bad || !ok
		case textTag(eventExtensions):
			c.bad = !readExtension(c.text, e) || c.bad
		case textTag(eventData):
			e.Data = slices.Clip(c.text)
		default:
			c.bad = true
		}
	}
	return !c.bad
}

func readExtension(b []byte, e *parley.Event) bool {
	c := cursor{rest: b}
	var name, value string
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case textTag(1):
			name = c.string("")
		case textTag(2):
			value = c.string("")
		default:
			c.bad = true
		}
	}
	if e.Extensions == nil {
		e.Extensions = make(map[string]string)
	}
	e.Extensions[name] = value
	return !c.bad
}
