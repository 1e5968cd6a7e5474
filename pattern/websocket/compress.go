package websocket

import (
	"compress/flate"
	"io"
	"sync"

	"github.com/parleyhq/parley"
)

const (
	// syncTail ends every flush; RFC 7692 §7.2.1 takes it off the wire. A final
	// empty block after it makes the end of the message the end of the stream.
	syncTail = "\x00\x00\xff\xff"
	lastTail = syncTail + "\x01\x00\x00\xff\xff"

	window = 32 << 10
	// maxFinal bounds the blocks with BFINAL in one message. RFC 7692 §7.2.3.4
	// allows any number; each costs a reset, and nobody needs more than one.
	maxFinal = 16
)

// pieces reads a message and then the tail that the wire left out.
type pieces struct{ now, then []byte }

func (s *pieces) left() int { return len(s.now) + len(s.then) }

func (s *pieces) turn() bool {
	if len(s.now) == 0 {
		s.now, s.then = s.then, nil
	}
	return len(s.now) > 0
}

// Read implements io.Reader.
func (s *pieces) Read(p []byte) (int, error) {
	if !s.turn() {
		return 0, io.EOF
	}
	n := copy(p, s.now)
	s.now = s.now[n:]
	return n, nil
}

// ReadByte implements io.ByteReader, which keeps flate from reading ahead.
func (s *pieces) ReadByte() (byte, error) {
	if !s.turn() {
		return 0, io.EOF
	}
	b := s.now[0]
	s.now = s.now[1:]
	return b, nil
}

// inflater is about 40 KB, so it is shared: without context takeover nothing of
// it outlives a message.
type inflater struct {
	src  pieces
	read io.ReadCloser
	tail []byte
}

var inflaters = sync.Pool{New: func() any {
	i := &inflater{tail: []byte(lastTail)}
	i.read = flate.NewReader(&i.src)
	return i
}}

// inflate appends the message p to *dst (RFC 7692 §7.2.2) and stops with an error
// as soon as it is longer than limit: a bomb costs limit bytes and no more.
func inflate(dst *[]byte, p []byte, limit int) error {
	i := inflaters.Get().(*inflater)
	defer i.release()
	i.src = pieces{now: p, then: i.tail}
	i.reset(nil)
	out, finals := *dst, 0
	defer func() { *dst = out }()
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := i.read.Read(out[len(out):min(cap(out), limit+1)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return tooBig()
		case err == nil:
			continue
		case err != io.EOF:
			return violation(CloseInvalid, parley.Invalid, "compressed message does not inflate")
		case i.src.left() == 0:
			return nil
		}
		// A block with BFINAL ended a stream, but more blocks follow and may
		// refer to what came before.
		if finals++; finals > maxFinal {
			return violation(CloseInvalid, parley.Invalid, "compressed message has too many final blocks")
		}
		i.reset(out[max(0, len(out)-window):])
	}
}

func (i *inflater) reset(dict []byte) {
	// A flate reader can always be reset; its Reset has no way to fail.
	_ = i.read.(flate.Resetter).Reset(&i.src, dict)
}

func (i *inflater) release() {
	i.src = pieces{}
	inflaters.Put(i)
}

// deflater is about 650 KB, so it is shared too; it is held for the time of the
// computation only, never across a write.
type deflater struct {
	write *flate.Writer
	out   []byte
}

// Write implements io.Writer.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	// BestSpeed is a valid level, the one thing NewWriter checks.
	d.write, _ = flate.NewWriter(d, flate.BestSpeed)
	return d
}}

// deflate appends p, compressed as one message (RFC 7692 §7.2.1), to dst.
func deflate(dst, p []byte) []byte {
	d := deflaters.Get().(*deflater)
	d.out = dst
	d.write.Reset(d)
	// Writes to memory do not fail.
	_, _ = d.write.Write(p)
	_ = d.write.Flush()
	out := d.out[:len(d.out)-len(syncTail)]
	d.out = nil
	deflaters.Put(d)
	return out
}
