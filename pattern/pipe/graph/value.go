package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strconv"
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

// value gives an item's data as a value of JSON: maps, slices, strings, int,
// *big.Int, float64, bool and nil. Text is a string; other bytes are one in base64.
func (it *item) value() (any, error) {
	if it.state != notYet {
		return it.data, nil
	}
	e := &it.event
	switch {
	case e.Data == nil:
		it.data, it.state = nil, isJSON
	case parley.IsJSON(e.DataContentType) || e.DataContentType == "" && isOne(e.Data):
		v, err := decode(e.Data)
		if err != nil {
			return nil, err
		}
		it.data, it.state = v, isJSON
	case utf8.Valid(e.Data):
		it.data, it.state = string(e.Data), isText
	default:
		it.data, it.state = base64.StdEncoding.EncodeToString(e.Data), isBytes
	}
	return it.data, nil
}

// become makes another event of an item: its data is JSON now. index tells several
// of one from each other.
func (s *stage) become(it *item, v any, index int) (item, error) {
	b, err := appendValue(s.bytes[:0], v)
	if err != nil {
		return item{}, err
	}
	s.bytes = b
	out := s.with(it, bytes.Clone(b), "application/json", index)
	out.data, out.state = v, isJSON
	return out, nil
}

// with makes another event of an item, with other data and an id of its own.
func (s *stage) with(it *item, data []byte, contentType string, index int) item {
	out := item{event: it.event, origin: it.origin, from: it.from, more: it.more}
	if out.origin == nil {
		was := it.event
		out.origin = &was
	}
	out.event.ID = s.id(it.event.Source, it.event.ID, strconv.Itoa(index))
	out.event.Source = s.m.source()
	out.event.Data, out.event.DataContentType, out.event.DataSchema = data, contentType, ""
	return out
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
