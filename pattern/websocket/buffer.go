package websocket

import "sync"

const (
	bufferSize = 4 << 10   // what a pooled buffer begins with
	keepBuffer = 128 << 10 // a larger one is left to the garbage collector
)

// buffers holds the memory of messages in flight: read, inflated or encoded.
// Idle connections have none.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

// putBuffer gives b back; nil is allowed.
func putBuffer(b *[]byte) {
	if b == nil || cap(*b) > keepBuffer {
		return
	}
	*b = (*b)[:0]
	buffers.Put(b)
}
