package unix

import (
	"bytes"
	"unicode/utf8"
)

// scan finds the lines of a block that match, one after the other.
type scan struct {
	x    *expression
	data []byte
	text []byte // data, or the same in lower case
	next []int  // where each literal is next, at least; −1 = no more
}

func (s *scan) reset(data []byte) {
	s.data, s.text = data, data
	if s.x.fold {
		s.x.low = lower(s.x.low[:0], data)
		s.text = s.x.low
	}
	if s.next == nil {
		s.next = make([]int, len(s.x.lits))
	}
	clear(s.next)
}

func lower(to, from []byte) []byte {
	for _, c := range from {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}

// line gives the first line from at on that matches, and false when there is none.
// at is where a line begins.
func (s *scan) line(at int) (from, to int, ok bool) {
	for at < len(s.data) {
		hit := at
		if len(s.x.lits) > 0 {
			if hit = s.literal(at); hit < 0 {
				return 0, 0, false
			}
		}
		from = at + bytes.LastIndexByte(s.data[at:hit], '\n') + 1
		to = len(s.data)
		if n := bytes.IndexByte(s.data[hit:], '\n'); n >= 0 {
			to = hit + n
		}
		if s.x.exact || s.x.match(s.data[from:to]) {
			return from, to, true
		}
		at = to + 1
	}
	return 0, 0, false
}

// literal gives the next place of one of the literals, −1 when there is none.
func (s *scan) literal(at int) int {
	best := -1
	for i := range s.next {
		if s.next[i] >= 0 && s.next[i] <= at {
			s.next[i] = s.x.needles[i].index(s.text[at:])
			if s.next[i] >= 0 {
				s.next[i] += at
			}
		}
		if n := s.next[i]; n >= 0 && (best < 0 || n < best) {
			best = n
		}
	}
	return best
}

// match says whether a line matches.
func (x *expression) match(line []byte) bool {
	if !ascii(line) {
		x.wide = widen(x.wide[:0], line)
		line = x.wide
	}
	return x.re.Match(line)
}

// matches calls do with each part of a line that matches and is not empty.
func (x *expression) matches(line []byte, do func(part []byte) error) error {
	text, wide := line, !ascii(line)
	if wide {
		x.wide = widen(x.wide[:0], line)
		text = x.wide
	}
	at, seen := 0, 0 // in line and in text
	for _, m := range x.re.FindAllIndex(text, -1) {
		from, to := m[0], m[1]
		if wide {
			from = at + utf8.RuneCount(text[seen:m[0]])
			to = from + utf8.RuneCount(text[m[0]:m[1]])
			at, seen = to, m[1]
		}
		if from == to {
			continue
		}
		if err := do(line[from:to]); err != nil {
			return err
		}
	}
	return nil
}

func ascii(p []byte) bool {
	for len(p) >= 8 {
		if (uint64(p[0])|uint64(p[1])|uint64(p[2])|uint64(p[3])|uint64(p[4])|uint64(p[5])|uint64(p[6])|uint64(p[7]))&0x80 != 0 {
			return false
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// widen writes each byte as the character of its number.
func widen(to, line []byte) []byte {
	for _, c := range line {
		to = utf8.AppendRune(to, rune(c))
	}
	return to
}
