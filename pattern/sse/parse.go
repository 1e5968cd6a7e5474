package sse

import (
	"bytes"
	"math"
	"time"
	"unicode/utf8"
)

// block is the state of the interpretation rules (WHATWG HTML section 9.2.6):
// lines go in, events come out. It does no I/O and knows no time.
type block struct {
	data     []byte        // the data buffer, each line followed by LF
	typ      []byte        // the event type buffer
	text     []byte        // scratch
	pending  string        // the last event ID buffer
	last     string        // the last event ID: pending, once its block is complete
	retry    time.Duration // the last retry field
	hasRetry bool
}

// line interprets one line without its end. It reports true when the line was
// blank and completed an event.
func (b *block) line(line []byte) (Message, bool) {
	if len(line) == 0 {
		return b.dispatch()
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		b.data = append(appendText(b.data, value), '\n')
	case "event":
		b.typ = appendText(b.typ[:0], value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			b.text = appendText(b.text[:0], value)
			b.pending = string(b.text)
		}
	case "retry":
		if wait, ok := parseRetry(value); ok {
			b.retry, b.hasRetry = wait, true
		}
	}
	// Everything else is a comment (the empty name) or a field of the future.
	return Message{}, false
}

func (b *block) dispatch() (Message, bool) {
	b.last = b.pending
	if len(b.data) == 0 {
		b.typ = b.typ[:0]
		return Message{}, false
	}
	m := Message{ID: b.last, Type: "message", Data: bytes.Clone(b.data[:len(b.data)-1])}
	if len(b.typ) > 0 {
		m.Type = string(b.typ)
	}
	b.data, b.typ = b.data[:0], b.typ[:0]
	return m, true
}

// parseRetry takes ASCII digits only. A number beyond what a Duration holds is
// the longest Duration, as the sender plainly wants a long wait.
func parseRetry(value []byte) (time.Duration, bool) {
	if len(value) == 0 {
		return 0, false
	}
	const limit = math.MaxInt64 / int64(time.Millisecond)
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		if ms <= limit {
			ms = ms*10 + int64(c-'0')
		}
	}
	if ms > limit {
		return math.MaxInt64, true
	}
	return time.Duration(ms) * time.Millisecond, true
}

// appendText appends src decoded as UTF-8 the way browsers do it: each maximal
// invalid part becomes one U+FFFD (WHATWG Encoding section 4.1.1; Unicode 16.0
// section 3.9). The standard library would put one for each invalid byte.
func appendText(dst, src []byte) []byte {
	if utf8.Valid(src) {
		return append(dst, src...)
	}
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			n = invalidPrefix(src)
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, src[:n]...)
		}
		src = src[n:]
	}
	return dst
}

// invalidPrefix gives the length of the longest start of src that could still
// have become a character; src does not begin with a valid one.
func invalidPrefix(src []byte) int {
	lead := src[0]
	low, high, want := byte(0x80), byte(0xBF), 0
	switch {
	case lead >= 0xC2 && lead <= 0xDF:
		want = 1
	case lead >= 0xE0 && lead <= 0xEF:
		want = 2
	case lead >= 0xF0 && lead <= 0xF4:
		want = 3
	}
	switch lead {
	case 0xE0:
		low = 0xA0 // below it the form would be overlong
	case 0xED:
		high = 0x9F // above it lie the surrogates
	case 0xF0:
		low = 0x90
	case 0xF4:
		high = 0x8F // above it ends Unicode
	}
	n := 1
	for n <= want && n < len(src) && src[n] >= low && src[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}
