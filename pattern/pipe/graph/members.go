package graph

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// members are those of the data that the stages of a machine look at. An event is
// gone through once for all of them: see Machine.scan.
type members struct {
	names []string
	list  []member
	count int // of slots, of all that is below too; of the top only
}

// member is one of an object.
type member struct {
	slot  int      // its own place among what is found; −1 = nobody looks at it itself
	below *members // what is looked at within it; nil = nothing
}

// extent is where a member's value is.
type extent struct{ from, to int32 }

// What is no place. A member may be missing for several reasons, which are not the same
// to every language.
const (
	lacking int32 = -1 // the object has no such member
	nowhere int32 = -2 // what the object would be in is absent or null
	blocked int32 = -3 // what should be the object is something else
)

// slot gives the place of a path among what is found, a new one if there is none.
func (m *members) slot(path []string) int { return m.add(path, &m.count) }

func (m *members) add(path []string, count *int) int {
	i := slices.Index(m.names, path[0])
	if i < 0 {
		i = len(m.names)
		m.names, m.list = append(m.names, path[0]), append(m.list, member{slot: -1})
	}
	at := &m.list[i]
	if len(path) > 1 {
		if at.below == nil {
			at.below = &members{}
		}
		return at.below.add(path[1:], count)
	}
	if at.slot < 0 {
		at.slot = *count
		*count++
	}
	return at.slot
}

// find gives the index of a name, −1 if nobody looks at it.
func (m *members) find(name []byte, plain bool) int {
	if !plain {
		said, err := text(name, false)
		if err != nil {
			return -1
		}
		return slices.Index(m.names, said)
	}
	for i := range m.names {
		if string(name) == m.names[i] {
			return i
		}
	}
	return -1
}

// miss notes why none of the members is there.
func (m *members) miss(found []extent, why int32) {
	for i := range m.list {
		at := &m.list[i]
		if at.slot >= 0 {
			found[at.slot] = extent{from: why}
		}
		if at.below != nil {
			at.below.miss(found, min(why, nowhere))
		}
	}
}

// scanner checks that a text is JSON (RFC 8259), as decoder does, and finds members on
// its way. It makes nothing of what it sees.
type scanner struct {
	text  []byte
	at    int
	depth int
	found []extent
}

// scan says whether a text is one value of JSON, at most MaxDepthOfData deep, and where
// members are in it.
func scan(text []byte, of *members, found []extent) bool {
	s := scanner{text: text, found: found}
	if !s.within(of) {
		return false
	}
	s.space()
	return s.at == len(text)
}

func (s *scanner) space() {
	for s.at < len(s.text) && s.text[s.at] <= ' ' {
		if c := s.text[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		s.at++
	}
}

// next gives the next byte that is not white space, 0 at the end.
func (s *scanner) next() byte {
	if s.at < len(s.text) && s.text[s.at] > ' ' {
		return s.text[s.at]
	}
	s.space()
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// within goes through a value, members of which are looked at.
func (s *scanner) within(of *members) bool {
	switch s.next() {
	case '{':
		of.miss(s.found, lacking)
		return s.object(of)
	case 'n':
		of.miss(s.found, nowhere)
	default:
		of.miss(s.found, blocked)
	}
	return s.value()
}

// value goes through a value that nobody looks into.
func (s *scanner) value() bool {
	switch c := s.next(); {
	case c == '"':
		_, ok := s.quoted()
		return ok
	case c == '{':
		return s.object(nil)
	case c == '[':
		return s.array()
	case c == '-' || c-'0' < 10:
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return false
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// enter goes into an object or array; empty says that there is nothing in it.
func (s *scanner) enter(end byte) (empty, ok bool) {
	if s.depth++; s.depth > MaxDepthOfData {
		return false, false
	}
	s.at++
	if s.next() == end {
		s.at++
		s.depth--
		return true, true
	}
	return false, true
}

// another says that there is one more, or none; not ok is neither.
func (s *scanner) another(end byte) (more, ok bool) {
	c := s.next()
	s.at++
	if c == end {
		s.depth--
		return false, true
	}
	return c == ',', c == ','
}

func (s *scanner) array() bool {
	empty, ok := s.enter(']')
	for more := !empty; ok && more; {
		if !s.value() {
			return false
		}
		more, ok = s.another(']')
	}
	return ok
}

// object goes through an object; of is nil when nobody looks into it.
func (s *scanner) object(of *members) bool {
	empty, ok := s.enter('}')
	for more := !empty; ok && more; {
		if s.next() != '"' {
			return false
		}
		from := s.at + 1
		plain, good := s.quoted()
		name := s.at - 1
		if !good || s.next() != ':' {
			return false
		}
		s.at++
		i := -1
		if of != nil {
			i = of.find(s.text[from:name], plain)
		}
		if i < 0 {
			ok = s.value()
		} else {
			ok = s.member(&of.list[i])
		}
		if ok {
			more, ok = s.another('}')
		}
	}
	return ok
}

// member goes through a value that is looked at. Of several with one name the last
// counts.
func (s *scanner) member(at *member) (ok bool) {
	s.next()
	from := s.at
	if at.below != nil {
		ok = s.within(at.below)
	} else {
		ok = s.value()
	}
	if at.slot >= 0 {
		s.found[at.slot] = extent{int32(from), int32(s.at)}
	}
	return ok
}

// quoted goes through a string; plain says that it is ASCII without escapes.
func (s *scanner) quoted() (plain, ok bool) {
	text, at := s.text, s.at+1
	plain = true
	for {
		for at+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[at:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			found := (((w - ones*' ') &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)) & highs
			if found != 0 {
				n := bits.TrailingZeros64(found) &^ 7
				plain = plain && w&highs&(1<<n-1) == 0
				at += n / 8
				break
			}
			plain = plain && w&highs == 0
			at += 8
		}
		if at >= len(text) {
			return false, false
		}
		switch c := text[at]; {
		case c == '"':
			s.at = at + 1
			return plain, true
		case c == '\\':
			d := decoder{text: text, at: at}
			if d.escape() != nil {
				return false, false
			}
			plain, at = false, d.at
		case c < ' ':
			return false, false
		default:
			plain = plain && c < 0x80
			at++
		}
	}
}

func (s *scanner) number() bool {
	text, at := s.text, s.at
	if text[at] == '-' {
		at++
	}
	from := at
	for at < len(text) && text[at]-'0' < 10 {
		at++
	}
	if at == from || text[from] == '0' && at > from+1 {
		return false
	}
	if at == len(text) || text[at] != '.' && text[at]|0x20 != 'e' {
		s.at = at
		return true
	}
	d := decoder{text: text, at: s.at}
	_, err := d.number()
	s.at = d.at
	return err == nil
}
