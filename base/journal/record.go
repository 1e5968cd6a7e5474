package journal

import (
	"encoding/binary"

	"github.com/parleyhq/parley"
)

// kind is the first byte of a record's key; what follows is the number of moves
// so far (of a move: its own number) as a uvarint.
type kind byte

const (
	kindMove   kind = 'm'
	kindTake   kind = 't' // value: format version, uvarint term, nonce, owner
	kindBeat   kind = 'h' // no value
	kindResign kind = 'r' // no value
	kindBegin  kind = 'b' // value: format version, uvarint term
	kindPart   kind = 'p' // value: the part
	kindEnd    kind = 'e' // value: CRC-32C of all parts, uvarint count, uvarint bytes
)

// format is the version of what follows it; a higher one is refused.
const format = 1

const nonceSize = 8

func appendKey(dst []byte, k kind, number uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(k)), number)
}

func cutKey(key []byte) (kind, uint64, error) {
	if len(key) < 2 {
		return 0, 0, parley.Errorf(parley.Damaged, "a record of %d key bytes is not one of a machine", len(key))
	}
	k := kind(key[0])
	switch k {
	case kindMove, kindTake, kindBeat, kindResign, kindBegin, kindPart, kindEnd:
	default:
		return 0, 0, parley.Errorf(parley.Unsupported, "a record of kind %q was written by something newer", key[0])
	}
	number, n := binary.Uvarint(key[1:])
	if n <= 0 || 1+n != len(key) {
		return 0, 0, parley.Errorf(parley.Damaged, "the number in the key of a %q record is malformed", key[0])
	}
	return k, number, nil
}

// appendTake is the value of a takeover. The nonce makes every takeover unlike
// every other: an owner that does not know whether its own was appended must not
// take somebody else's for it.
func appendTake(dst []byte, term uint64, nonce [nonceSize]byte, owner string) []byte {
	dst = binary.AppendUvarint(append(dst, format), term)
	return append(append(dst, nonce[:]...), owner...)
}

// cutTerm reads the version and the term that begin the value of a takeover or
// of the beginning of a snapshot.
func cutTerm(value []byte) (term uint64, rest []byte, err error) {
	if len(value) < 2 {
		return 0, nil, parley.Errorf(parley.Damaged, "a takeover or snapshot of %d bytes is cut short", len(value))
	}
	if value[0] != format {
		return 0, nil, parley.Errorf(parley.Unsupported, "the stream has format %d of a machine's memory; only %d is known", value[0], format)
	}
	term, n := binary.Uvarint(value[1:])
	if n <= 0 {
		return 0, nil, parley.Errorf(parley.Damaged, "the term of a takeover or snapshot is malformed")
	}
	return term, value[1+n:], nil
}

func appendEnd(dst []byte, s sum) []byte {
	dst = binary.BigEndian.AppendUint32(dst, s.crc)
	return binary.AppendUvarint(binary.AppendUvarint(dst, s.count), s.bytes)
}

func cutEnd(value []byte) (s sum, ok bool) {
	if len(value) < 6 {
		return sum{}, false
	}
	s.crc = binary.BigEndian.Uint32(value)
	value = value[4:]
	var n int
	if s.count, n = binary.Uvarint(value); n <= 0 {
		return sum{}, false
	}
	value = value[n:]
	if s.bytes, n = binary.Uvarint(value); n <= 0 || n != len(value) {
		return sum{}, false
	}
	return s, true
}

// Resigned says whether a record is the resignation of an owner: what an observer
// of a machine's stream looks for in its newest record. All others, even garbage,
// are signs of life.
func Resigned(rec parley.Record) bool {
	k, _, err := cutKey(rec.Key)
	return err == nil && k == kindResign
}

// appendBegin is the value of the beginning of a snapshot.
func appendBegin(dst []byte, term uint64) []byte {
	return binary.AppendUvarint(append(dst, format), term)
}
