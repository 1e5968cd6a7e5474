package unix

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// sortKey is a part of a line, and how it is compared.
type sortKey struct {
	from, fromChar int // the first field, from 0, and how many of its bytes come before the key
	to, toChar     int // the field it ends with, and at which byte of it; toChar 0 = its end, to −1 = the line's
	numeric        bool
	reverse        bool
	blanks         bool // those at the start are not counted, and not part of it
	endBlanks      bool
	fold           bool
	own            bool // it has options of its own
}

// sorting is how lines are ordered.
type sorting struct {
	keys    []sortKey
	sep     int  // byte between fields; −1 = where blanks begin
	reverse bool // of the whole line, when the keys are equal
	stable  bool // lines with equal keys stay as they came
	unique  bool // of lines with equal keys the first
}

// whole says that lines are compared byte by byte and nothing else.
func (s *sorting) whole() bool { return len(s.keys) == 0 }

// field gives the bytes of a key (POSIX XCU sort, -k).
func (s *sorting) field(line []byte, k *sortKey) []byte {
	from := s.begin(line, k.from)
	if k.blanks {
		from = skipBlanks(line, from)
	}
	from = min(from+k.fromChar, len(line))
	to := len(line)
	if k.to >= 0 {
		to = s.limit(line, k)
	}
	return line[from:max(from, to)]
}

// begin gives where a field begins.
func (s *sorting) begin(line []byte, field int) int {
	at := 0
	for ; field > 0 && at < len(line); field-- {
		if s.sep >= 0 {
			n := bytes.IndexByte(line[at:], byte(s.sep))
			if n < 0 {
				return len(line)
			}
			at += n + 1
			continue
		}
		at = skipBlanks(line, at)
		for at < len(line) && !isBlank(line[at]) {
			at++
		}
	}
	return at
}

// limit gives where a key ends.
func (s *sorting) limit(line []byte, k *sortKey) int {
	at := s.begin(line, k.to)
	if k.toChar == 0 { // the end of the field
		if s.sep >= 0 {
			if n := bytes.IndexByte(line[at:], byte(s.sep)); n >= 0 {
				return at + n
			}
			return len(line)
		}
		at = skipBlanks(line, at)
		for at < len(line) && !isBlank(line[at]) {
			at++
		}
		return at
	}
	if k.endBlanks {
		at = skipBlanks(line, at)
	}
	return min(at+k.toChar, len(line))
}

// isBlank is what GNU sort takes for one in the C locale: a newline too, but that
// is in no line.
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func skipBlanks(line []byte, at int) int {
	for at < len(line) && isBlank(line[at]) {
		at++
	}
	return at
}

// compare orders two lines; 0 only when nothing tells them apart.
func (s *sorting) compare(a, b []byte) int {
	for i := range s.keys {
		k := &s.keys[i]
		if c := k.compare(s.field(a, k), s.field(b, k)); c != 0 {
			if k.reverse {
				return -c
			}
			return c
		}
	}
	if len(s.keys) > 0 && (s.stable || s.unique) {
		return 0
	}
	c := bytes.Compare(a, b)
	if s.reverse {
		return -c
	}
	return c
}

func (k *sortKey) compare(a, b []byte) int {
	switch {
	case k.numeric:
		return compareNumbers(a, b)
	case k.fold:
		for i := range min(len(a), len(b)) {
			if x, y := upper(a[i]), upper(b[i]); x != y {
				return int(x) - int(y)
			}
		}
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// prefix gives a number that orders lines as their first key does, as far as it
// goes: lines with different prefixes are ordered by them.
func (s *sorting) prefix(line []byte) uint64 {
	k := &s.keys[0]
	field := s.field(line, k)
	var p uint64
	switch {
	case k.numeric:
		p = numberPrefix(field)
	case k.fold:
		var low [8]byte
		for i := range min(8, len(field)) {
			low[i] = upper(field[i])
		}
		p = binary.BigEndian.Uint64(low[:])
	default:
		p = bytePrefix(field, 0)
	}
	if k.reverse {
		return ^p
	}
	return p
}

// bytePrefix gives the eight bytes from a place on as a number, NULs behind the end.
func bytePrefix(line []byte, at int) uint64 {
	if at+8 <= len(line) {
		return binary.BigEndian.Uint64(line[at:])
	}
	var p uint64
	for i := at; i < at+8; i++ {
		p <<= 8
		if i < len(line) {
			p |= uint64(line[i])
		}
	}
	return p
}

// number takes a decimal number apart, as sort -n reads it: blanks, a minus, digits,
// a point and digits; what is none is zero.
func number(p []byte) (negative bool, whole, part []byte) {
	p = p[skipBlanks(p, 0):]
	if len(p) > 0 && p[0] == '-' {
		negative, p = true, p[1:]
	}
	for len(p) > 0 && p[0] == '0' {
		p = p[1:]
	}
	n := digits(p)
	whole = p[:n]
	if n < len(p) && p[n] == '.' {
		part = p[n+1:]
		part = bytes.TrimRight(part[:digits(part)], "0")
	}
	if len(whole)+len(part) == 0 {
		negative = false
	}
	return negative, whole, part
}

func digits(p []byte) int {
	for i, c := range p {
		if !isDigit(c) {
			return i
		}
	}
	return len(p)
}

func compareNumbers(a, b []byte) int {
	an, aw, ap := number(a)
	bn, bw, bp := number(b)
	if an != bn {
		if an {
			return -1
		}
		return 1
	}
	c := len(aw) - len(bw)
	if c == 0 {
		c = bytes.Compare(aw, bw)
	}
	if c == 0 {
		c = bytes.Compare(ap, bp)
	}
	if an {
		return -c
	}
	return c
}

// numberPrefix: the sign, how long the whole part is, and the first digits.
func numberPrefix(p []byte) uint64 {
	negative, whole, part := number(p)
	if len(whole)+len(part) == 0 {
		return 1 << 63
	}
	const most, places = math.MaxInt16 - 1, 12
	m := uint64(min(len(whole), most))
	for i := range places {
		m <<= 4
		switch {
		case len(whole) >= most: // longer ones are not told apart
		case i < len(whole):
			m |= uint64(whole[i] - '0')
		case i-len(whole) < len(part):
			m |= uint64(part[i-len(whole)] - '0')
		}
	}
	if negative {
		return 1<<63 - 1 - m
	}
	return 1<<63 | m
}

// parseKey reads FIELD[.CHAR][OPTIONS][,FIELD[.CHAR][OPTIONS]].
func parseKey(text string) (k sortKey, ok bool) {
	from, to, ends := strings.Cut(text, ",")
	field, char, letters, ok := parsePlace(from)
	if !ok || field < 1 || char == 0 {
		return k, false
	}
	k.from, k.fromChar, k.to = field-1, max(char-1, 0), -1
	if ok = k.options(letters, true); !ok || !ends {
		return k, ok
	}
	field, char, letters, ok = parsePlace(to)
	if !ok || field < 1 {
		return k, false
	}
	k.to, k.toChar = field-1, max(char, 0)
	return k, k.options(letters, false)
}

// parsePlace reads FIELD[.CHAR]; char is −1 when there is none.
func parsePlace(text string) (field, char int, letters string, ok bool) {
	n := digits([]byte(text))
	field, err := strconv.Atoi(text[:n])
	if err != nil {
		return 0, 0, "", false
	}
	text = text[n:]
	char = -1
	if strings.HasPrefix(text, ".") {
		n = 1 + digits([]byte(text[1:]))
		if char, err = strconv.Atoi(text[1:n]); err != nil {
			return 0, 0, "", false
		}
		text = text[n:]
	}
	return field, char, text, true
}

func (k *sortKey) options(letters string, start bool) bool {
	for _, l := range letters {
		k.own = true
		switch l {
		case 'n':
			k.numeric = true
		case 'r':
			k.reverse = true
		case 'f':
			k.fold = true
		case 'b':
			if start {
				k.blanks = true
			} else {
				k.endBlanks = true
			}
		default:
			return false
		}
	}
	return true
}
