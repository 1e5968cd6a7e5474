package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// decoded says what is known of an item's data.
type decoded uint8

const (
	notYet decoded = iota
	isJSON
	isText
	isBytes
)

// valueOf gives the data of an event as a value: see item.value.
func valueOf(e *parley.Event) (any, decoded, error) {
	switch {
	case e.Data == nil:
		return nil, isJSON, nil
	case parley.IsJSON(e.DataContentType) || e.DataContentType == "" && isOne(e.Data):
		v, err := decode(e.Data)
		return v, isJSON, err
	case utf8.Valid(e.Data):
		return string(e.Data), isText, nil
	}
	return base64.StdEncoding.EncodeToString(e.Data), isBytes, nil
}

// become makes another event of an item: its data is JSON now. index tells several
// of one from each other.
func (s *stage) become(it *item, v any, index int) (item, error) {
	b, err := appendValue(s.bytes[:0], v)
	if err != nil {
		return item{}, err
	}
	s.bytes = b
	out := s.with(it, bytes.Clone(b), jsonType, index)
	out.data, out.state = v, isJSON
	return out, nil
}

// with makes another event of an item, with other data and an id of its own.
func (s *stage) with(it *item, data []byte, contentType string, index int) item {
	return item{
		event: parley.Event{Data: data, DataContentType: contentType}, unmade: ofParent, number: index,
		maker: s, parent: it, origin: it.origin, from: it.from, more: it.more,
	}
}

// page is room for data that a machine makes. What is on it stays: when it is full
// there is another.
type page struct{ b []byte }

const pageSize = 64 << 10

// begin gives what to append to.
func (p *page) begin() []byte {
	if cap(p.b)-len(p.b) < pageSize/16 {
		p.b = make([]byte, 0, pageSize)
	}
	return p.b
}

// end gives what was appended.
func (p *page) end(b []byte) []byte {
	from := len(p.b)
	p.b = b
	return b[from:len(b):len(b)]
}

// source is that of the events that a pipe makes.
func (m *Machine) source() string {
	if m.plan.Graph.Name == "" {
		return "/pipes/-"
	}
	return "/pipes/" + m.plan.Graph.Name
}

// id derives the id of an event from what it was made of, the stage that made it and
// which of several it is: whoever makes it again makes the same id.
func (s *stage) id(parts ...string) string {
	b := appendPart(appendPart(s.bytes[:0], s.m.plan.Graph.Name), s.spec.path)
	if s.m.part != "" {
		b = appendPart(b, s.m.part)
	}
	for _, p := range parts {
		b = appendPart(b, p)
	}
	s.bytes = b
	sum := sha256.Sum256(b)
	return lowerHex.EncodeToString(sum[:16])
}

// lowerHex is RFC 4648 §7 in small letters, without padding.
var lowerHex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func appendPart(b []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
}
