package websocket

import (
	"encoding/binary"
	"math/bits"
)

// Mask masks or unmasks p in place with key (RFC 6455 §5.3: the two are the same
// exclusive or) and gives the key turned so that it fits the byte after p. A
// payload may therefore be worked off in pieces of any size.
func Mask(p []byte, key [4]byte) [4]byte {
	k := binary.LittleEndian.Uint32(key[:])
	kk := uint64(k)<<32 | uint64(k)
	for len(p) >= 32 {
		// Four words a turn keep the loop's own cost below that of the memory.
		q := p[:32:32]
		binary.LittleEndian.PutUint64(q[0:], binary.LittleEndian.Uint64(q[0:])^kk)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^kk)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^kk)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^kk)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^kk)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		k = bits.RotateLeft32(k, -8)
	}
	binary.LittleEndian.PutUint32(key[:], k)
	return key
}
