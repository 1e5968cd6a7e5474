package packed

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// buffers is a mem.BufferPool of every power of two from 256 bytes to 4 MiB. Those of
// grpc clear a buffer before each use; and what grpc itself uses has, beyond 32 KiB,
// nothing smaller than 1 MiB.
type buffers [largest - smallest + 1]sync.Pool

const smallest, largest = 8, 22 // exponents of two

// NewBuffers makes a pool. Its buffers hold what they held before: it is for whoever
// writes all of one.
func NewBuffers() mem.BufferPool { return new(buffers) }

// class is the pool of buffers with room for n bytes; beyond the last there is none.
func class(n int) int { return max(bits.Len(uint(max(n, 1)-1)), smallest) - smallest }

// Get implements mem.BufferPool.
func (p *buffers) Get(n int) *[]byte {
	c := class(n)
	if c >= len(p) {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p[c].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<(c+smallest))
	return &b
}

// Put implements mem.BufferPool.
func (p *buffers) Put(b *[]byte) {
	if c := class(cap(*b)); c < len(p) && cap(*b) == 1<<(c+smallest) {
		p[c].Put(b)
	}
}
