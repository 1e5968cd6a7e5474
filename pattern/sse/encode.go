package sse

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// Heartbeat is a comment in a block of its own. It tells a proxy that the
// stream lives and a client nothing; the blank line lets it through proxies that
// hold a stream back until a block is complete. It never carries an id: a reader
// must not move on because of it.
const Heartbeat = ":\n\n"

// Message is one event of a stream.
type Message struct {
	// ID is the place after this event. When sending, an empty ID writes no id
	// line, so that the reader keeps the one before. When reading, it is the last
	// id that the stream gave, of this event or of one before it.
	ID string
	// Type is the event's name. Empty writes no event line, which a reader
	// reports as "message", the name that a browser's onmessage hears.
	Type string
	// Data is the payload: UTF-8 without CR, LF allowed. When reading it belongs
	// to the caller.
	Data []byte
}

// Representable says whether the format can carry data unchanged: it must be
// valid UTF-8 and hold no CR, which every reader takes for an end of line.
func Representable(data []byte) bool {
	return bytes.IndexByte(data, '\r') < 0 && utf8.Valid(data)
}

// AppendEvent appends one whole event: id line, event line, data lines and the
// blank line that dispatches it. Parts that a Message leaves empty have no line,
// except data: an event without data still has one empty data line, else readers
// would not dispatch it. On an error (Invalid, with the field) dst is returned as
// it was.
func AppendEvent(dst []byte, m Message) ([]byte, error) {
	start := len(dst)
	var err error
	if m.ID != "" {
		if dst, err = AppendID(dst, m.ID); err != nil {
			return dst[:start], err
		}
	}
	if m.Type != "" {
		if dst, err = AppendType(dst, m.Type); err != nil {
			return dst[:start], err
		}
	}
	if dst, err = AppendData(dst, m.Data); err != nil {
		return dst[:start], err
	}
	return AppendEnd(dst), nil
}

// AppendID appends the id line alone. It belongs to one subscriber, while all
// other lines of an event can be encoded once and shared by everybody. An empty
// id tells the reader to forget the id it has.
//
// An id comes back in a Last-Event-ID header, so what a header could not carry
// is refused: control characters (NUL and line ends among them), a blank at
// either end, invalid UTF-8.
func AppendID(dst []byte, id string) ([]byte, error) {
	if !headerSafe(id) {
		return dst, parley.BadField("id", "it would not survive the Last-Event-ID header",
			"use valid UTF-8 without control characters and without a blank at either end")
	}
	dst = append(dst, "id: "...)
	dst = append(dst, id...)
	return append(dst, '\n'), nil
}

// AppendCheckpoint appends an id in a block of its own: the reader remembers the
// id, and no event is dispatched. A source sends it first, so that a stream that
// breaks before its first event is resumed and not begun again, and while a
// filter skips many events.
func AppendCheckpoint(dst []byte, id string) ([]byte, error) {
	dst, err := AppendID(dst, id)
	if err != nil {
		return dst, err
	}
	return AppendEnd(dst), nil
}

// AppendType appends the event line. A line end, a NUL or invalid UTF-8 is
// refused, and so is an empty name, which readers take for none.
func AppendType(dst []byte, name string) ([]byte, error) {
	if name == "" || strings.ContainsAny(name, "\x00\r\n") || !utf8.ValidString(name) {
		return dst, parley.BadField("event", "the name of an event is one non-empty line of UTF-8 text",
			"take line ends and NUL out of the name, or leave the name away")
	}
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	return append(dst, '\n'), nil
}

// AppendData appends the data lines, one for each line of data (split at LF).
// Data that is not Representable is refused: a CR in it would let whoever wrote
// the data write fields of the stream.
func AppendData(dst, data []byte) ([]byte, error) {
	if !Representable(data) {
		return dst, parley.BadField("data", "a stream of events carries UTF-8 text without CR",
			"encode the data first, as JSON or base64")
	}
	for {
		line, rest, more := bytes.Cut(data, []byte{'\n'})
		// The blank after the colon is the one that readers take away, so it
		// protects a blank that is the line's own.
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
		if !more {
			return dst, nil
		}
		data = rest
	}
}

// AppendRetry appends a retry line: how long a reader waits before it connects
// again, in whole milliseconds, never negative. It takes effect at once and needs
// no blank line.
func AppendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, max(0, wait.Milliseconds()), 10)
	return append(dst, '\n')
}

// AppendComment appends text as comment lines, which every reader ignores. Any
// line end in text, CR included, begins a new comment line, so a comment cannot
// turn into a field.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ':')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				continue
			}
			dst = append(dst, '\n', ':')
		case '\n':
			dst = append(dst, '\n', ':')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

// AppendEnd appends the blank line that ends a block and dispatches its event.
func AppendEnd(dst []byte) []byte { return append(dst, '\n') }

// headerSafe says whether s arrives unchanged as the value of a header field
// (RFC 9110 section 5.5).
func headerSafe(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s) && strings.Trim(s, " ") == s
}
