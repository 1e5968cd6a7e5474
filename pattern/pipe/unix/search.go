package unix

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// stride is how many places are looked at before a branch.
const stride = 32

// needle finds a text. It looks at eight places at once, at each for three bytes of
// the text: few others have these, so few places are compared in full. (A search
// for the first byte alone stops too often in prose and logs.)
type needle struct {
	text    []byte
	mid     int // the second of the three; the others are the first and the last
	a, b, c uint64
	reach   int // how many bytes a look at a stride of places touches
}

func newNeedle(text string) needle {
	n := needle{text: []byte(text), mid: len(text) / 2, reach: len(text) + stride - 1}
	if len(text) > 0 {
		n.a, n.b, n.c = eightTimes(text[0]), eightTimes(text[n.mid]), eightTimes(text[len(text)-1])
	}
	return n
}

const lowBits, highBits = 0x0101010101010101, 0x8080808080808080

func eightTimes(c byte) uint64 { return lowBits * uint64(c) }

// zeros marks the places at which all three bytes are there, by the highest bit of
// the place's byte.
func (n *needle) zeros(p, q, r []byte) uint64 {
	differ := binary.LittleEndian.Uint64(p) ^ n.a | binary.LittleEndian.Uint64(q) ^ n.b | binary.LittleEndian.Uint64(r) ^ n.c
	return (differ - lowBits) &^ differ & highBits
}

// index gives the first place of the text, −1 when it is not there.
func (n *needle) index(in []byte) int {
	if len(n.text) < 2 {
		return bytes.Index(in, n.text)
	}
	i, last := 0, len(n.text)-1
	for ; len(in)-i >= n.reach; i += stride {
		// Slices of a fixed size: the loads below are checked once, here.
		p, q, r := in[i:][:stride], in[i+n.mid:][:stride], in[i+last:][:stride]
		z0, z1, z2, z3 := n.zeros(p[:8], q[:8], r[:8]), n.zeros(p[8:16], q[8:16], r[8:16]), n.zeros(p[16:24], q[16:24], r[16:24]), n.zeros(p[24:32], q[24:32], r[24:32])
		if z0|z1|z2|z3 == 0 {
			continue
		}
		for k, zero := range [...]uint64{z0, z1, z2, z3} {
			for ; zero != 0; zero &= zero - 1 { // a byte above a zero byte may be marked wrongly
				at := i + 8*k + bits.TrailingZeros64(zero)/8
				if bytes.Equal(in[at:at+len(n.text)], n.text) {
					return at
				}
			}
		}
	}
	if at := bytes.Index(in[i:], n.text); at >= 0 {
		return i + at
	}
	return -1
}
