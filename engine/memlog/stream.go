package memlog

import (
	"sort"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/recent"
	"github.com/parleyhq/parley/internal/watch"
)

// stream is one stream's batches and who waits for more. Everything in it is
// guarded by the Log's mutex but for the bytes of its chunks, which readers
// share.
type stream struct {
	name    parley.Stream
	epoch   uint32
	chunks  []*chunk        // in order, none without a batch
	newest  parley.Position // base of the newest batch; 0 = nothing was ever appended
	next    parley.Position // after the newest batch
	low     parley.Position // below it, trimming dropped something; 0 = nothing was
	until   int64           // latest batch time, in ms
	bytes   int64
	events  int64
	once    recent.Keys[parley.Key, parley.Position]
	watches watch.List[parley.Position]
	plan    plan
}

// plan is what a stream will be after the writes of the Append under way that
// were looked at so far.
type plan struct {
	commit       uint64
	newest, next parley.Position
}

// chunk is consecutive batches in one piece of memory.
type chunk struct {
	buf   []byte // grows within its capacity: what readers hold never moves
	marks []mark // the batches kept; dropped ones are cut off the front
}

// mark is where one batch lies in its chunk.
type mark struct {
	base, next parley.Position
	off, end   uint32
	until      int64 // latest batch time up to here, in ms: increasing, so it can be searched
}

func (c *chunk) batch(m mark) parley.Batch {
	b, _, _ := parley.CutBatch(c.buf[m.off:m.end]) // checked when it was appended
	return b
}

func (c *chunk) last() mark { return c.marks[len(c.marks)-1] }

func (c *chunk) events() (n int64) {
	for _, m := range c.marks {
		n += int64(c.batch(m).Len())
	}
	return n
}

// run cuts the batches from the i-th on that fit maxBytes, and at least one.
func (c *chunk) run(i, maxBytes int) ([]byte, parley.Position) {
	first := c.marks[i]
	more := sort.Search(len(c.marks)-i-1, func(k int) bool {
		return int(c.marks[i+1+k].end-first.off) > maxBytes
	})
	last := c.marks[i+more]
	return c.buf[first.off:last.end:last.end], last.next
}

// find gives the first batch that holds the position or begins above it; a nil
// chunk says that there is none.
func (st *stream) find(at parley.Position) (*chunk, int) {
	k := sort.Search(len(st.chunks), func(k int) bool { return st.chunks[k].last().next > at })
	if k == len(st.chunks) {
		return nil, 0
	}
	c := st.chunks[k]
	return c, sort.Search(len(c.marks), func(i int) bool { return c.marks[i].next > at })
}

func (st *stream) earliest() parley.Position { return st.chunks[0].marks[0].base }

// push appends a batch. own, if not nil, is a copy of it that the stream may
// keep: the way of large ones, which are copied before the lock is taken.
func (st *stream) push(b parley.Batch, own []byte, base parley.Position, chunkBytes int) {
	var c *chunk
	var off int
	if own != nil {
		c = &chunk{buf: own}
		st.chunks = append(st.chunks, c)
	} else {
		c = st.room(b.Size(), chunkBytes)
		off = len(c.buf)
		c.buf = append(c.buf, b.Bytes()...)
	}
	parley.SetBase(c.buf[off:], base, st.epoch)
	st.until = max(st.until, b.MaxTime().UnixMilli())
	st.newest, st.next = base, base+parley.Position(b.Span())
	st.bytes += int64(b.Size())
	st.events += int64(b.Len())
	c.marks = append(c.marks, mark{base, st.next, uint32(off), uint32(len(c.buf)), st.until})
}

// room gives a chunk with size bytes left, the last one if it can.
func (st *stream) room(size, chunkBytes int) *chunk {
	want := smallChunk
	if n := len(st.chunks); n > 0 {
		c := st.chunks[n-1]
		if cap(c.buf)-len(c.buf) >= size {
			return c
		}
		want = min(2*cap(c.buf), chunkBytes)
	}
	c := &chunk{buf: make([]byte, 0, max(want, size))}
	st.chunks = append(st.chunks, c)
	return c
}

// trim drops the batches below upTo but for the newest, and tells how many
// bytes they were.
func (st *stream) trim(upTo parley.Position) int64 {
	before := st.bytes
	for len(st.chunks) > 1 && st.chunks[0].last().next <= upTo {
		c := st.chunks[0]
		st.dropped(c, len(c.marks))
	}
	for c := st.chunks[0]; c.marks[0].next <= upTo && c.marks[0].base != st.newest; c = st.chunks[0] {
		st.dropped(c, 1)
	}
	return before - st.bytes
}

// shrink drops the oldest batches until no more than limit bytes are left, or
// only the newest batch is.
func (st *stream) shrink(limit int64) int64 {
	before := st.bytes
	for st.bytes > limit && st.earliest() != st.newest {
		st.dropped(st.chunks[0], 1)
	}
	return before - st.bytes
}

// dropped takes n batches off the first chunk, and the chunk with its last.
func (st *stream) dropped(c *chunk, n int) {
	gone := chunk{c.buf, c.marks[:n]}
	last := gone.last()
	st.low = last.next
	st.bytes -= int64(last.end - gone.marks[0].off)
	st.events -= gone.events()
	c.marks = c.marks[n:]
	if len(c.marks) == 0 {
		st.chunks[0] = nil
		st.chunks = st.chunks[1:]
	}
}
