package websocket

import "unicode/utf8"

// utf8State validates UTF-8 that arrives in pieces of any size. It fails at the
// first byte that no valid continuation of the text could contain, even in the
// middle of a character (RFC 6455 §8.1 asks for validity, the Unicode Standard's
// table 3-7 for which second bytes are well formed).
type utf8State struct {
	need   uint8 // continuation bytes the current character still lacks
	lo, hi uint8 // bounds of the next continuation byte
}

// feed takes the next piece and reports whether the text can still be valid.
func (s *utf8State) feed(p []byte) bool {
	for s.need > 0 && len(p) > 0 {
		if !s.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	// All but an unfinished last character goes through the fast path.
	whole := len(p) - unfinished(p)
	if !utf8.Valid(p[:whole]) {
		return false
	}
	for _, b := range p[whole:] {
		if !s.step(b) {
			return false
		}
	}
	return true
}

// done reports whether the text may end here.
func (s *utf8State) done() bool { return s.need == 0 }

// unfinished gives the length, 0 to 3, of a character at the end of p whose
// first byte promises more bytes than there are.
func unfinished(p []byte) int {
	for i := 1; i <= 3 && i <= len(p); i++ {
		b := p[len(p)-i]
		if b < 0x80 {
			return 0
		}
		if b >= 0xC0 {
			if i < sequenceLen(b) {
				return i
			}
			return 0
		}
	}
	return 0
}

// sequenceLen says how many bytes a character that begins with b takes.
func sequenceLen(b byte) int {
	switch {
	case b < 0xE0:
		return 2
	case b < 0xF0:
		return 3
	}
	return 4
}

// step takes one byte.
func (s *utf8State) step(b byte) bool {
	if s.need > 0 {
		if b < s.lo || b > s.hi {
			return false
		}
		s.need--
		s.lo, s.hi = 0x80, 0xBF
		return true
	}
	s.lo, s.hi = 0x80, 0xBF
	switch {
	case b < 0x80:
		return true
	case b < 0xC2: // a stray continuation, or an overlong form of ASCII
		return false
	case b < 0xE0:
		s.need = 1
	case b < 0xF0:
		s.need = 2
		switch b {
		case 0xE0: // below is overlong
			s.lo = 0xA0
		case 0xED: // above are the surrogates
			s.hi = 0x9F
		}
	case b < 0xF5:
		s.need = 3
		switch b {
		case 0xF0: // below is overlong
			s.lo = 0x90
		case 0xF4: // above is beyond U+10FFFF
			s.hi = 0x8F
		}
	default:
		return false
	}
	return true
}
