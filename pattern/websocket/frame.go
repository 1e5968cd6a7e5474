package websocket

import "encoding/binary"

// Opcode says what a frame carries (RFC 6455 §5.2).
type Opcode uint8

// The opcodes. The rest (3–7, 11–15) are reserved and refused.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// control reports whether o is a control opcode: its highest bit is set.
func (o Opcode) control() bool { return o&0x8 != 0 }

// data reports whether o begins a message.
func (o Opcode) data() bool { return o == Text || o == Binary }

// known reports whether RFC 6455 gives o a meaning.
func (o Opcode) known() bool { return o <= Binary || (o >= Close && o <= Pong) }

// String names o as the RFC does.
func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "reserved"
}

const (
	maxHeader  = 14  // two bytes, eight of length, four of key
	maxControl = 125 // RFC 6455 §5.5: a control frame's payload

	bitFin  = 0x80
	bitMask = 0x80
	// RSV1 marks the first frame of a compressed message (RFC 7692 §6); RSV2
	// and RSV3 belong to no extension that is spoken here.
	rsv1     = 0x40
	rsvOther = 0x30
)

// Header is the head of one frame (RFC 6455 §5.2).
type Header struct {
	Fin        bool    // the last frame of its message
	Compressed bool    // RSV1: begins a permessage-deflate message (RFC 7692 §6)
	Opcode     Opcode  // what the payload is
	Masked     bool    // true on every frame of a client, never on one of a server
	Key        [4]byte // the masking key; meaningless unless Masked
	Length     uint64  // payload length in bytes, below 2^63
}

// AppendTo appends the wire form of h to dst: 2 to 14 bytes, with the shortest
// length encoding. It checks nothing; ParseHeader does.
func (h Header) AppendTo(dst []byte) []byte {
	b0, b1 := byte(h.Opcode), byte(0)
	if h.Fin {
		b0 |= bitFin
	}
	if h.Compressed {
		b0 |= rsv1
	}
	if h.Masked {
		b1 = bitMask
	}
	switch {
	case h.Length <= maxControl:
		dst = append(dst, b0, b1|byte(h.Length))
	case h.Length <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, b0, b1|126), uint16(h.Length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, b0, b1|127), h.Length)
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// ParseHeader reads the header at the start of p and says how many bytes it
// takes; n is 0 while p is too short to tell. It refuses, with a *CloseError of
// CloseProtocol, what no state of a connection could make right: reserved bits
// and opcodes, a control frame that is fragmented, compressed or longer than 125
// bytes, a length that is not minimal or has its highest bit set (RFC 6455 §5.2,
// §5.5). The first two bytes are judged as soon as they are there.
func ParseHeader(p []byte) (h Header, n int, err error) {
	if len(p) < 2 {
		return h, 0, nil
	}
	h, n, err = parseStart(p[0], p[1])
	if err != nil || len(p) < n {
		return h, 0, err
	}
	rest := p[2:n]
	switch p[1] &^ bitMask {
	case 126:
		h.Length, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
		if h.Length <= maxControl {
			return h, 0, protocolError("length is not encoded in the fewest bytes")
		}
	case 127:
		h.Length, rest = binary.BigEndian.Uint64(rest), rest[8:]
		if h.Length>>63 != 0 {
			return h, 0, protocolError("length has its highest bit set")
		}
		if h.Length <= 0xFFFF {
			return h, 0, protocolError("length is not encoded in the fewest bytes")
		}
	}
	copy(h.Key[:], rest)
	return h, n, nil
}

// parseStart judges the first two bytes and says how long the header is.
func parseStart(b0, b1 byte) (h Header, n int, err error) {
	h = Header{
		Fin:        b0&bitFin != 0,
		Compressed: b0&rsv1 != 0,
		Opcode:     Opcode(b0 & 0x0F),
		Masked:     b1&bitMask != 0,
		Length:     uint64(b1 &^ bitMask),
	}
	switch {
	case b0&rsvOther != 0:
		return h, 0, protocolError("reserved bit is set")
	case !h.Opcode.known():
		return h, 0, protocolError("reserved opcode")
	case h.Opcode.control() && !h.Fin:
		return h, 0, protocolError("control frame is fragmented")
	case h.Opcode.control() && h.Length > maxControl:
		return h, 0, protocolError("control frame is longer than 125 bytes")
	case h.Compressed && !h.Opcode.data():
		return h, 0, protocolError("RSV1 is set on a frame that begins no message")
	}
	n = 2
	switch h.Length {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if h.Masked {
		n += 4
	}
	return h, n, nil
}
