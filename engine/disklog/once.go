package disklog

import (
	"time"

	"github.com/parleyhq/parley"
)

// once is what a stream remembers of Once keys: where each went, and in what
// order they came. Times count from the opening of the log. It is pure.
type once struct {
	first map[parley.Key]parley.Position
	order []stamp // from head on, oldest first
	head  int
}

type stamp struct {
	key parley.Key
	at  time.Duration
}

// add remembers a key that is not remembered yet.
func (o *once) add(k parley.Key, base parley.Position, now time.Duration) {
	if o.first == nil {
		o.first = make(map[parley.Key]parley.Position)
	}
	o.first[k] = base
	o.order = append(o.order, stamp{k, now})
	o.prune(now)
}

// prune forgets the keys that may be forgotten.
func (o *once) prune(now time.Duration) {
	for len(o.first) > 0 && (len(o.first) > parley.OnceKeys || now-o.order[o.head].at > parley.OnceWindow) {
		delete(o.first, o.order[o.head].key)
		o.head++
	}
	switch {
	case len(o.first) == 0:
		*o = once{} // a map keeps its size for ever
	case o.head > len(o.order)/2:
		o.order = append([]stamp(nil), o.order[o.head:]...)
		o.head = 0
	}
}

// keyed is a Once key as it is kept beside the log: when a log file is used
// again, its keys go into a file of their own.
type keyed struct {
	stream uint64
	key    parley.Key
	base   parley.Position
	millis int64
}

// A key file: "PLK\x01", CRC-32C of what follows, count uint32, then 40 bytes
// each: stream, key, position, time in ms.
const (
	keyFileHeader = 12
	keyRecord     = 40
)

func encodeKeys(keys []keyed) []byte {
	b := make([]byte, keyFileHeader, keyFileHeader+keyRecord*len(keys))
	copy(b, "PLK\x01")
	be.PutUint32(b[8:], uint32(len(keys)))
	for _, k := range keys {
		b = be.AppendUint64(b, k.stream)
		b = append(b, k.key[:]...)
		b = be.AppendUint64(b, uint64(k.base))
		b = be.AppendUint64(b, uint64(k.millis))
	}
	be.PutUint32(b[4:], checksum(b[8:]))
	return b
}

func decodeKeys(b []byte) ([]keyed, error) {
	if len(b) < keyFileHeader || string(b[:4]) != "PLK\x01" || be.Uint32(b[4:]) != checksum(b[8:]) ||
		int64(len(b)-keyFileHeader) != int64(be.Uint32(b[8:]))*keyRecord {
		return nil, parley.Errorf(parley.Damaged, "key file of %d bytes fails its check", len(b))
	}
	keys := make([]keyed, 0, (len(b)-keyFileHeader)/keyRecord)
	for p := b[keyFileHeader:]; len(p) > 0; p = p[keyRecord:] {
		keys = append(keys, keyed{be.Uint64(p), parley.Key(p[8:]), parley.Position(be.Uint64(p[24:])), int64(be.Uint64(p[32:]))})
	}
	return keys, nil
}
