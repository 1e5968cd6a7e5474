package disklog

import (
	"sort"
	"sync/atomic"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/recent"
)

// stream is one stream. What has been decided is guarded by core.mu, what is
// published by core.pub; readers load the view and need neither.
type stream struct {
	name parley.Stream

	// Guarded by core.mu: the state after every Append that was let in.
	number       uint64 // 0: no create frame has been placed yet
	epoch        uint32
	newest, next parley.Position // newest 0: nothing was ever appended
	once         recent.Keys[parley.Key, parley.Position]
	last         *fate // of the group with the newest decided change
	lastLevel    Level // of that change
	lastSync     *fate // the same for the newest one at level Fsync
	plan         plan

	view atomic.Pointer[view] // nil: nothing is visible

	// Guarded by core.pub.
	created, removed uint64 // generations of the log files with these frames
	firstEpoch       uint32 // as its create frame says
	atOS             bool   // the newest batch is at level OS

	// Of whoever holds core.maint: the state up to the last checkpoint.
	saved struct{ newest, next parley.Position }
}

// plan is what a stream will be after the writes of the Append under way that
// were looked at so far.
type plan struct {
	append       uint64
	newest, next parley.Position
}

// view is what readers see of a stream. It is immutable; mem may be longer in
// the next view but its elements never change.
type view struct {
	epoch        uint32
	low          parley.Position // below it, trimming dropped something; 0 = nothing was
	newest, next parley.Position
	segs         []*segment
	mem          []entry // batches after the segments, in memory
	memBytes     int64
	memEvents    int64
	damaged      string // why the stream is quarantined; "" = it is not
}

// entry is one batch in memory.
type entry struct {
	base, next parley.Position
	until      int64  // latest batch time up to here, in ms
	gen        uint64 // of its log file
	b          []byte
}

func (e entry) batch() parley.Batch {
	b, _, _ := parley.CutBatch(e.b) // checked when it was appended
	return b
}

// add appends a batch to a view that nobody else has yet.
func (v *view) add(gen uint64, b parley.Batch) {
	until := b.MaxTime().UnixMilli()
	if n := len(v.mem); n > 0 {
		until = max(until, v.mem[n-1].until)
	} else if n := len(v.segs); n > 0 {
		until = max(until, v.segs[n-1].until)
	}
	v.mem = append(v.mem, entry{b.Base(), b.Next(), until, gen, b.Bytes()})
	v.newest, v.next = b.Base(), b.Next()
	v.memBytes += int64(b.Size())
	v.memEvents += int64(b.Len())
}

// dropMem takes the first n entries out. The rest gets memory of its own, or
// the old array would keep all batches alive.
func (v *view) dropMem(n int) {
	if n == 0 {
		return
	}
	for _, e := range v.mem[:n] {
		v.memBytes -= int64(len(e.b))
		v.memEvents -= int64(e.batch().Len())
	}
	v.mem = append([]entry(nil), v.mem[n:]...)
}

// trim applies a new lowest position and gives the segments that are not needed
// any more.
func (v *view) trim(low parley.Position) (gone []*segment) {
	if low <= v.low {
		return nil
	}
	v.low = low
	n := 0
	for n < len(v.segs) && v.segs[n].next <= low && (n+1 < len(v.segs) || len(v.mem) > 0) {
		n++
	}
	gone = v.segs[:n:n]
	v.segs = v.segs[n:]
	if len(v.segs) == 0 {
		v.dropMem(v.below(low))
	}
	return gone
}

// below counts the entries that trimming to low drops: never the newest.
func (v *view) below(low parley.Position) int {
	n := sort.Search(len(v.mem), func(i int) bool { return v.mem[i].next > low })
	return min(n, max(len(v.mem)-1, 0))
}

// lowest gives what trimming to upTo would make the lowest position: whole
// segments go, and single batches where no segment is left.
func (v *view) lowest(upTo parley.Position) parley.Position {
	low, n := v.low, 0
	for n < len(v.segs) && v.segs[n].next <= upTo && (n+1 < len(v.segs) || len(v.mem) > 0) {
		low = max(low, v.segs[n].next)
		n++
	}
	if n == len(v.segs) {
		if k := v.below(upTo); k > 0 {
			low = max(low, v.mem[k-1].next)
		}
	}
	return low
}

// earliest is the position of the oldest event left.
func (v *view) earliest() parley.Position {
	if len(v.segs) > 0 {
		return max(v.segs[0].base, v.low)
	}
	if len(v.mem) > 0 {
		return max(v.mem[0].base, v.low)
	}
	return v.newest
}

func (v *view) bytes() int64 {
	n := v.memBytes
	for _, s := range v.segs {
		n += s.size
	}
	return n
}

func (v *view) events() int64 {
	n := v.memEvents
	for _, s := range v.segs {
		n += s.events
	}
	return n
}

// segmentAt finds the first segment that ends above a position, len(v.segs) if
// none does.
func (v *view) segmentAt(at parley.Position) int {
	return sort.Search(len(v.segs), func(i int) bool { return v.segs[i].next > at })
}

func (v *view) entryAt(at parley.Position) int {
	return sort.Search(len(v.mem), func(i int) bool { return v.mem[i].next > at })
}

func (v *view) quarantined(s parley.Stream) error {
	if v == nil || v.damaged == "" {
		return nil
	}
	return &parley.Error{
		Code: parley.Damaged, Detail: "stream " + s.Name + " is quarantined: " + v.damaged,
		Fix: "see what is left with `parley verify` and `parley dump`, then remove the stream",
	}
}
