package disklog

import (
	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/recent"
)

// window is what a stream remembers of Once keys. Times count from the opening of
// the log.
var window = recent.Bounds{Keys: parley.OnceKeys, For: parley.OnceWindow}

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
