package topic

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/parleyhq/parley"
)

// NewID gives an id that is unique and sorts by time, as the text of a UUID
// version 7 (RFC 9562 §5.7): milliseconds, 12 bits of their fraction (§6.2,
// method 3), and 62 random bits.
func NewID(now time.Time) string {
	var u [16]byte
	nanos := now.UnixNano()
	millis := nanos / 1e6
	binary.BigEndian.PutUint64(u[:], uint64(millis)<<16|uint64(nanos%1e6*4096/1e6))
	binary.BigEndian.PutUint64(u[8:], rand.Uint64())
	return formatUUID(u, 7)
}

// DerivedID gives the id of an event whose publisher sent an idempotency key and
// no id: a UUID version 8 (RFC 9562 §5.8) of the topic's name, the key and the
// event's index, so that a retry names its events alike.
func DerivedID(name, key string, index int) string {
	h := sha256.New()
	h.Write([]byte("parley id\x00" + name + "\x00" + key + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(index)))
	return formatUUID([16]byte(h.Sum(nil)[:16]), 8)
}

func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], u[:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// onceKey makes the key of a Write: kind tells the two kinds of keys apart.
func onceKey(kind, a, b string) parley.Key {
	var room [256]byte
	text := append(append(append(append(append(room[:0], kind...), 0), a...), 0), b...)
	sum := sha256.Sum256(text)
	return parley.Key(sum[:16])
}
