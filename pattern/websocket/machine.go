package websocket

import (
	"github.com/parleyhq/parley"
)

// event is what a receiver has completed.
type event uint8

const (
	evNone event = iota
	evMessage
	evPing
	evPong
	evClose
)

// receiver is the receiving half of a server's connection as a pure machine:
// bytes in, messages and control frames out. It does no I/O and knows no clock,
// so a connection's whole input can be replayed, cut anywhere, and must give the
// same events.
//
// Memory follows the bytes that have arrived, never the length a header claims.
// Between messages a receiver holds no buffer, unless it keeps one.
type receiver struct {
	maxMessage   int  // bytes of one message, after inflating
	maxFragments int  // frames of one message
	deflate      bool // permessage-deflate was agreed
	keeps        bool // it keeps the memory of a message for the next one

	// The frame being read.
	head  [maxHeader]byte
	nhead uint8
	open  bool // head is complete, its payload is not
	cur   Header
	left  uint64

	// The message being put together: op is Continuation when there is none.
	op         Opcode
	compressed bool
	frames     int
	text       utf8State
	buf        *[]byte // pooled; nil while empty
	spare      *[]byte // what buf was before, when it keeps it

	ctl  []byte // payload of a control frame that came in pieces
	data []byte // what the last event carries, valid until drop
}

// feed takes bytes from the front of p, which it may overwrite, until p is used
// up or something is complete. It gives how many bytes it took. After an error
// the machine must not be fed again.
func (r *receiver) feed(p []byte) (n int, ev event, err error) {
	for {
		if !r.open {
			took, complete, err := r.header(p[n:])
			n += took
			if err != nil || !complete {
				return n, evNone, err
			}
		}
		piece := p[n:]
		if uint64(len(piece)) > r.left {
			piece = piece[:r.left]
		}
		whole := r.left == r.cur.Length && r.left == uint64(len(piece))
		n += len(piece)
		r.left -= uint64(len(piece))
		r.cur.Key = Mask(piece, r.cur.Key)
		r.open = r.left > 0
		if r.cur.Opcode.control() {
			ev, err = r.control(piece, whole)
		} else {
			ev, err = r.payload(piece, whole)
		}
		if err != nil || ev != evNone || n == len(p) {
			return n, ev, err
		}
	}
}

// header gathers a frame's head and judges it.
func (r *receiver) header(p []byte) (n int, complete bool, err error) {
	n = copy(r.head[r.nhead:], p)
	had := int(r.nhead)
	h, size, err := ParseHeader(r.head[:had+n])
	if size == 0 {
		r.nhead += uint8(n)
		// What the first two bytes say comes first, so that the verdict does
		// not depend on how many bytes arrived together.
		if early := r.early(); early != nil {
			err = early
		}
		return n, false, err
	}
	r.nhead = 0
	if err := r.admit(h); err != nil {
		return size - had, false, err
	}
	r.cur, r.left, r.open = h, h.Length, true
	return size - had, true, nil
}

// early judges an unfinished head by what its first two bytes already say.
func (r *receiver) early() error {
	if r.nhead < 2 {
		return nil
	}
	h, _, err := parseStart(r.head[0], r.head[1])
	if err != nil {
		return err
	}
	h.Length = 0 // not known yet
	return r.order(h)
}

// order holds a head against the state of the message (RFC 6455 §5.1, §5.4;
// RFC 7692 §6).
func (r *receiver) order(h Header) error {
	switch {
	case !h.Masked:
		return protocolError("frame of a client is not masked")
	case h.Compressed && !r.deflate:
		return protocolError("RSV1 is set but no extension was agreed")
	case h.Opcode.data() && r.op != Continuation:
		return protocolError("new message inside a fragmented one")
	case h.Opcode == Continuation && r.op == Continuation:
		return protocolError("continuation of nothing")
	}
	return nil
}

// admit checks a complete head and opens its message.
func (r *receiver) admit(h Header) error {
	if err := r.order(h); err != nil {
		return err
	}
	if h.Opcode.control() {
		r.ctl = r.ctl[:0]
		return nil
	}
	if h.Opcode.data() {
		r.op, r.compressed, r.frames, r.text = h.Opcode, h.Compressed, 0, utf8State{}
	}
	if r.frames++; r.frames > r.maxFragments {
		return violation(ClosePolicy, parley.TooLarge, "message has too many fragments")
	}
	if h.Length > uint64(r.wireLimit()-r.held()) {
		return tooBig()
	}
	return nil
}

// wireLimit bounds a message as it is sent. Deflate may make incompressible data
// a little longer: five bytes a block.
func (r *receiver) wireLimit() int {
	if r.compressed {
		return r.maxMessage + r.maxMessage>>8 + 64
	}
	return r.maxMessage
}

func tooBig() error { return violation(CloseTooBig, parley.TooLarge, "message is over the limit") }

// held says how many payload bytes of the message are here.
func (r *receiver) held() int {
	if r.buf == nil {
		return 0
	}
	return len(*r.buf)
}

// control takes a piece of a control frame, which may stand between the frames
// of a message and leaves that untouched.
func (r *receiver) control(p []byte, whole bool) (event, error) {
	if !whole {
		r.ctl = append(r.ctl, p...)
		p = r.ctl
	}
	if r.open {
		return evNone, nil
	}
	r.data = p
	switch r.cur.Opcode {
	case Ping:
		return evPing, nil
	case Pong:
		return evPong, nil
	}
	return evClose, nil
}

// payload takes a piece of a data frame. A message that lies whole in p is lent
// from there without a copy.
func (r *receiver) payload(p []byte, whole bool) (event, error) {
	if r.op == Text && !r.compressed && !r.text.feed(p) {
		return evNone, notText()
	}
	last := r.cur.Fin && !r.open
	if last && whole && r.buf == nil {
		r.data = p
		return r.finish()
	}
	if len(p) > 0 {
		if r.buf == nil {
			r.buf, r.spare = r.spare, nil
		}
		if r.buf == nil {
			r.buf = getBuffer()
		}
		*r.buf = append(*r.buf, p...)
	}
	if !last {
		return evNone, nil
	}
	r.data = nil
	if r.buf != nil {
		r.data = *r.buf
	}
	return r.finish()
}

// finish completes the message in r.data.
func (r *receiver) finish() (event, error) {
	if r.compressed {
		out := getBuffer()
		err := inflate(out, r.data, r.maxMessage)
		r.drop()
		r.buf, r.data = out, *out
		if err != nil {
			return evNone, err
		}
		if r.op == Text && !r.text.feed(r.data) {
			return evNone, notText()
		}
	}
	if r.op == Text && !r.text.done() {
		return evNone, notText()
	}
	return evMessage, nil
}

func notText() error { return violation(CloseInvalid, parley.Invalid, "text is not UTF-8") }

// wants says how many bytes, at least, what has begun still needs; 0 between
// messages.
func (r *receiver) wants() uint64 {
	switch {
	case r.open:
		return r.left
	case r.nhead > 0 || r.op != Continuation:
		return 1
	}
	return 0
}

// message gives the kind of the message that evMessage announced, and its bytes.
func (r *receiver) message() (Opcode, []byte) { return r.op, r.data }

// done ends the message of evMessage and gives its memory back.
func (r *receiver) done() {
	r.op = Continuation
	r.drop()
}

// keptMessage is the largest message whose memory a receiver that keeps some keeps.
const keptMessage = 1 << 20

// drop gives memory back.
func (r *receiver) drop() {
	if r.keeps && r.buf != nil && cap(*r.buf) <= keptMessage {
		*r.buf = (*r.buf)[:0]
		r.buf, r.spare = nil, r.buf
	}
	putBuffer(r.buf)
	r.buf, r.data = nil, nil
}
