package sse

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// DefaultMaxEvent is the limit of a Reader that sets none: 1 MiB.
const DefaultMaxEvent = 1 << 20

const (
	firstBuffer = 4 << 10
	lineRoom    = 64  // what a line may have beside its value: the field's name
	emptyReads  = 100 // reads of nothing in a row before the source counts as broken
)

// Reader parses one stream by the rules of the WHATWG HTML standard (sections
// 9.2.5 and 9.2.6). An event is returned as soon as the blank line that ends it
// has arrived. A Reader serves one goroutine.
type Reader struct {
	src    io.Reader
	max    int
	buf    []byte // buf[r:w] is read and not yet parsed
	r, w   int
	seen   int  // bytes of buf[r:w] known to hold no line end
	skipLF bool // the line before ended in CR, so an LF next belongs to it
	begun  bool // the first line is done, so a BOM is data
	rules  block
	err    error
}

// NewReader makes a Reader of src. An event with more than maxEvent bytes of
// data, or a line about as long, is an error; zero or less means DefaultMaxEvent. What a
// peer declares is never allocated in advance: memory grows with what arrived.
func NewReader(src io.Reader, maxEvent int) *Reader {
	if maxEvent <= 0 {
		maxEvent = DefaultMaxEvent
	}
	return &Reader{src: src, max: maxEvent}
}

// Next returns the next event, waiting for src if need be. At the end of the
// stream it returns io.EOF, and an event that its blank line did not complete is
// dropped. An event over the limit is a TooLarge error; every other error is that
// of src. After an error Next returns it again.
func (r *Reader) Next() (Message, error) {
	for r.err == nil {
		line, err := r.line()
		if err != nil {
			r.err = err
			break
		}
		if len(line) > r.max+lineRoom {
			r.err = r.tooLarge()
			break
		}
		if m, ok := r.rules.line(line); ok {
			return m, nil
		}
		if len(r.rules.data) > r.max+1 { // + 1: the LF of the last line, which goes
			r.err = r.tooLarge()
		}
	}
	return Message{}, r.err
}

// LastEventID is the id to resume from: that of the last complete block that
// had one, with or without an event.
func (r *Reader) LastEventID() string { return r.rules.last }

// SetLastEventID sets the id that events without one of their own report, as
// when a stream goes on after a break.
func (r *Reader) SetLastEventID(id string) { r.rules.pending, r.rules.last = id, id }

// Retry is the wait that the stream last asked for; ok is false if it never did.
func (r *Reader) Retry() (wait time.Duration, ok bool) { return r.rules.retry, r.rules.hasRetry }

// line returns the next line without its end: CR, LF or CRLF. A CR ends the line
// at once; waiting to see whether an LF follows would hold the event back until
// the next one.
func (r *Reader) line() ([]byte, error) {
	for {
		if r.skipLF && r.r < r.w {
			if r.buf[r.r] == '\n' {
				r.r++
			}
			r.skipLF = false
		}
		if i := lineEnd(r.buf[r.r+r.seen : r.w]); i >= 0 {
			end := r.r + r.seen + i
			line := r.buf[r.r:end]
			r.skipLF = r.buf[end] == '\r'
			r.r, r.seen = end+1, 0
			if !r.begun {
				r.begun = true
				line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
			}
			return line, nil
		}
		r.seen = r.w - r.r
		if r.seen > r.max+lineRoom {
			return nil, r.tooLarge()
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// lineEnd finds the first CR or LF, or gives -1. It looks for each by itself, which
// is many times faster than for both, in windows, so that a stream of short lines
// that end in CR is not searched to its end for an LF each time.
func lineEnd(p []byte) int {
	const window = 256
	for at := 0; at < len(p); at += window {
		w := p[at:min(at+window, len(p))]
		lf := bytes.IndexByte(w, '\n')
		if lf >= 0 {
			w = w[:lf]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			return at + cr
		}
		if lf >= 0 {
			return at + lf
		}
	}
	return -1
}

// fill reads more into the buffer, making room first.
func (r *Reader) fill() error {
	switch {
	case r.buf == nil:
		r.buf = make([]byte, firstBuffer)
	case r.r > 0:
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if r.w == len(r.buf) {
		bigger := make([]byte, 2*len(r.buf))
		copy(bigger, r.buf)
		r.buf = bigger
	}
	for range emptyReads {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			return nil // an error that came along comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) tooLarge() error {
	return &parley.Error{
		Code:   parley.TooLarge,
		Field:  "data",
		Detail: "an event of the stream is over " + strconv.Itoa(r.max) + " bytes",
		Fix:    "raise the limit of the reader, or send smaller events",
	}
}
