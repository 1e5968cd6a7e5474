package websocket

import (
	"sync"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// Frame is a message encoded once, for any number of connections: the same bytes
// go to all of them, and those that agreed on permessage-deflate share one
// compressed twin, made when the first of them needs it. It is immutable and
// safe for concurrent use.
type Frame struct {
	payload []byte // within plain
	plain   []byte
	once    sync.Once
	twin    []byte // nil: compression does not make it shorter
	op      Opcode
}

// NewFrame encodes a message of kind Text or Binary. It copies payload. Text that
// is not UTF-8 and other opcodes are refused with Invalid.
func NewFrame(op Opcode, payload []byte) (*Frame, error) {
	if err := sendable(op, payload); err != nil {
		return nil, err
	}
	h := Header{Fin: true, Opcode: op, Length: uint64(len(payload))}
	plain := h.AppendTo(make([]byte, 0, 10+len(payload)))
	head := len(plain)
	plain = append(plain, payload...)
	return &Frame{op: op, plain: plain, payload: plain[head:]}, nil
}

// Opcode gives the kind of the message.
func (f *Frame) Opcode() Opcode { return f.op }

// Size gives the bytes that the frame takes on a connection without compression.
func (f *Frame) Size() int { return len(f.plain) }

// bytes gives the wire form for a connection.
func (f *Frame) bytes(compress bool) []byte {
	if !compress {
		return f.plain
	}
	f.once.Do(f.compress)
	if f.twin != nil {
		return f.twin
	}
	return f.plain
}

func (f *Frame) compress() {
	buf := getBuffer()
	defer putBuffer(buf)
	*buf = deflate(*buf, f.payload)
	h := Header{Fin: true, Compressed: true, Opcode: f.op, Length: uint64(len(*buf))}
	var head [maxHeader]byte
	hb := h.AppendTo(head[:0])
	if size := len(hb) + len(*buf); size < len(f.plain) {
		f.twin = append(append(make([]byte, 0, size), hb...), *buf...)
	}
}

// sendable checks a message that is to be sent.
func sendable(op Opcode, payload []byte) error {
	if !op.data() {
		return parley.BadField("opcode", "a message is Text or Binary, not "+op.String(), "use Ping or Close for control frames")
	}
	if op == Text && !utf8.Valid(payload) {
		return parley.BadField("payload", "a text message must be UTF-8", "send it as Binary")
	}
	return nil
}
