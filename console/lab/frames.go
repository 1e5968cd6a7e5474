package lab

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
)

// block names one block of an event stream.
func block(b []byte) piece {
	switch {
	case bytes.HasPrefix(b, []byte("data:")) || bytes.Contains(b, []byte("\ndata:")):
		return piece{kind: KindEvent, label: "event", events: 1}
	case bytes.HasPrefix(b, []byte(":")):
		return piece{kind: KindHeartbeat, label: "heartbeat"}
	}
	return piece{kind: KindOther, label: "opening"}
}

// frame takes bytes of a WebSocket frame until it is complete. What it needs of the
// head is in kept, or in p.
func (h *half) frame(p []byte) (int, bool) {
	if h.left > 0 {
		n := int(min(h.left, int64(len(p))))
		h.left -= int64(n)
		return n, h.left == 0
	}
	for i := range p {
		start := append(slices.Clip(h.kept), p[:i+1]...)
		headLen, payload, ok := frameHead(start)
		if !ok || len(start) < headLen {
			continue
		}
		if payload > keepBytes {
			h.mode = lost
			return len(p), false
		}
		h.left = int64(payload)
		return i + 1, payload == 0
	}
	return len(p), false
}

// frameHead reads the lengths of a frame (RFC 6455 §5.2); ok says whether the head is
// long enough for that.
func frameHead(b []byte) (headLen int, payload uint64, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	headLen, payload = 2, uint64(b[1]&0x7f)
	switch payload {
	case 126:
		if headLen = 4; len(b) < headLen {
			return 0, 0, false
		}
		payload = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if headLen = 10; len(b) < headLen {
			return 0, 0, false
		}
		payload = binary.BigEndian.Uint64(b[2:])
	}
	if b[1]&0x80 != 0 {
		headLen += 4
	}
	return headLen, payload, true
}

var opcodes = map[byte]string{0: "continuation frame", 1: "text frame", 2: "binary frame", 8: "close frame", 9: "ping", 10: "pong"}

// frame names a whole frame, and unmasks what a client sent so that it can be read.
func frame(b []byte) piece {
	opcode := b[0] & 0x0f
	p := piece{kind: KindOther, label: opcodes[opcode]}
	if p.label == "" {
		p.label = "frame"
	}
	if opcode == 9 || opcode == 10 {
		p.kind = KindHeartbeat
	}
	n, _, _ := frameHead(b)
	payload := b[min(n, len(b)):]
	if b[1]&0x80 != 0 && n >= 6 && n <= len(b) {
		key := b[n-4 : n]
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	var message struct {
		Events []json.RawMessage `json:"events"`
		Cursor string            `json:"cursor"`
	}
	switch {
	case opcode != 1 || b[0]&0x40 != 0 || json.Unmarshal(payload, &message) != nil:
	case len(message.Events) > 0:
		p.kind, p.events = KindEvent, len(message.Events)
		p.label += " · " + counted(p.events, "event")
	case message.Cursor != "":
		p.label = "opening frame"
	}
	return p
}
