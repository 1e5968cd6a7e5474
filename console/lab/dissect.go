package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// keepBytes is how much of a message is kept to count the events in it.
const keepBytes = 512 << 10

// maxHead is the longest HTTP head that is understood.
const maxHead = 64 << 10

// piece is one message of a connection.
type piece struct {
	kind   string // Kind… of Message
	label  string
	bytes  int // all of it, heads included
	events int
	empty  bool   // an answer without an event
	raw    []byte // its beginning
}

type mode int

// What the next bytes of a direction are.
const (
	head   mode = iota // of a request or response
	sized              // a body of known length
	chunks             // a body in chunks (RFC 9112 §7.1)
	rest               // a body that ends with the connection
	blocks             // server-sent events
	frames             // WebSocket (RFC 6455 §5.2)
	lost               // not understood: counted only
)

// half takes one direction of a connection apart. It is pure: bytes in, messages out.
type half struct {
	server  bool // from server to client
	mode    mode
	left    int64  // of a body or chunk
	line    []byte // of a chunk's size
	kept    []byte
	size    int
	body    int // where the body begins in kept
	current piece
}

// feed takes the next bytes and gives the messages that they complete.
func (h *half) feed(p []byte) (done []piece) {
	for len(p) > 0 {
		n, complete := h.step(p)
		h.keep(p[:n])
		p = p[n:]
		if complete {
			done = append(done, h.finish()...)
		}
	}
	return done
}

// end gives what was still incomplete when the connection closed.
func (h *half) end() []piece {
	if h.size == 0 {
		return nil
	}
	if h.current.kind == "" || h.mode == lost { // of neither a head that was read nor a whole block or frame
		h.current = piece{kind: KindOther, label: "incomplete"}
	}
	return []piece{h.emit()}
}

func (h *half) keep(p []byte) {
	h.size += len(p)
	h.kept = append(h.kept, p[:min(len(p), keepBytes-len(h.kept))]...)
}

// step says how many of the bytes belong to the current message, and whether they
// complete it or its head.
func (h *half) step(p []byte) (n int, complete bool) {
	switch h.mode {
	case head:
		return h.until(p, "\r\n\r\n")
	case blocks:
		return h.until(p, "\n\n")
	case sized:
		n = int(min(h.left, int64(len(p))))
		h.left -= int64(n)
		return n, h.left == 0
	case chunks:
		return h.chunk(p)
	case frames:
		return h.frame(p)
	}
	return len(p), h.mode == lost
}

// until looks for an end that may lie across what came before.
func (h *half) until(p []byte, end string) (int, bool) {
	before := h.kept[max(0, len(h.kept)-len(end)+1):]
	both := append(append(make([]byte, 0, len(before)+len(p)), before...), p...)
	i := bytes.Index(both, []byte(end))
	if i >= 0 {
		return i + len(end) - len(before), true
	}
	if h.size+len(p) > maxHead && h.mode == head || h.size+len(p) > keepBytes {
		h.mode = lost
	}
	return len(p), false
}

// chunk goes through a chunked body byte by byte where it is framing.
func (h *half) chunk(p []byte) (int, bool) {
	if h.left > 0 {
		n := int(min(h.left, int64(len(p))))
		h.left -= int64(n)
		return n, false
	}
	for i, b := range p {
		if h.line = append(h.line, b); b != '\n' {
			if len(h.line) > maxHead {
				h.mode = lost
				return len(p), false
			}
			continue
		}
		line := strings.TrimSpace(string(h.line))
		h.line = h.line[:0]
		if line == "" { // after a chunk's data, or after the last one and its trailer
			if h.left < 0 {
				h.left = 0
				return i + 1, true
			}
			continue
		}
		if h.left < 0 {
			continue // a trailer field
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 32)
		if err != nil || n < 0 {
			h.mode = lost
			return len(p), false
		}
		if h.left = n; n == 0 {
			h.left = -1 // trailers until the empty line
			continue
		}
		return i + 1, false
	}
	return len(p), false
}

// finish ends the current message, or goes from its head to its body.
func (h *half) finish() []piece {
	switch h.mode {
	case head:
		if h.behead(); h.mode != head && h.mode != frames && h.mode != blocks {
			return nil
		}
	case sized, chunks:
		h.count()
		h.mode = head
	case blocks:
		h.current = block(h.kept)
	case frames:
		h.current = frame(h.kept)
	case lost:
		h.current = piece{kind: KindOther, label: "bytes"}
	}
	return []piece{h.emit()}
}

func (h *half) emit() piece {
	p := h.current
	p.bytes, p.raw = h.size, h.kept
	h.current, h.kept, h.size, h.left = piece{}, nil, 0, 0
	return p
}

// behead reads an HTTP head and decides what follows it.
func (h *half) behead() {
	h.body = len(h.kept)
	r := bufio.NewReader(bytes.NewReader(h.kept))
	var header http.Header
	var length int64
	var encoding []string
	if h.server {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			h.mode = lost
			return
		}
		header, length, encoding = res.Header, res.ContentLength, res.TransferEncoding
		h.current = piece{kind: KindResponse, label: strings.TrimSpace(res.Status)}
		h.current.empty = res.StatusCode == http.StatusNotModified
		switch media := header.Get("Content-Type"); {
		case res.StatusCode == http.StatusSwitchingProtocols:
			h.mode = frames
			return
		case strings.HasPrefix(media, "text/event-stream") && len(encoding) == 0:
			h.mode = blocks
			return
		}
	} else {
		req, err := http.ReadRequest(r)
		if err != nil {
			h.mode = lost
			return
		}
		header, length, encoding = req.Header, req.ContentLength, req.TransferEncoding
		h.current = piece{kind: KindRequest, label: req.Method + " " + req.URL.Path}
		if strings.EqualFold(header.Get("Upgrade"), "websocket") {
			h.mode = frames
			return
		}
	}
	switch {
	case len(encoding) > 0:
		h.mode = chunks
	case length > 0:
		h.mode, h.left = sized, length
	case length < 0 && h.server:
		h.mode = rest
	}
}

// count looks how many events a JSON answer holds.
func (h *half) count() {
	if !h.server || h.body > len(h.kept) {
		return
	}
	var page struct {
		Events *[]json.RawMessage `json:"events"`
		Cursor *string            `json:"cursor"`
	}
	if json.Unmarshal(h.kept[h.body:], &page) != nil || page.Events == nil || page.Cursor == nil {
		return
	}
	h.current.events = len(*page.Events)
	h.current.empty = len(*page.Events) == 0
	h.current.label += " · " + counted(len(*page.Events), "event")
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "empty"
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
