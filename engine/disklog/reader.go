package disklog

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sort"
	"sync"

	"github.com/parleyhq/parley"
)

// Read implements parley.Log. It takes no lock of the writer. What comes from a
// segment is checked against the index and its CRCs, and Damaged if it fails.
func (l *Log) Read(ctx context.Context, at parley.Place, maxBytes int) (parley.Run, error) {
	if err := checkPlace(ctx, at); err != nil {
		return parley.Run{}, err
	}
	for {
		if err := l.isOpen(); err != nil {
			return parley.Run{}, err
		}
		c := l.core.Load()
		st, v := c.find(at.Stream)
		if v == nil {
			return parley.NewRun(nil, at.At, at.At, nil), nil
		}
		if err := v.quarantined(at.Stream); err != nil {
			return parley.Run{}, err
		}
		run, err := l.readView(v, at.At, maxBytes)
		// A segment may have been dropped since the view was loaded.
		if errors.Is(err, fs.ErrNotExist) && st.view.Load() != v {
			continue
		}
		return run, diskError(at.Stream, err)
	}
}

// maxRun bounds a Run of several batches.
const maxRun = 4 << 20

func (l *Log) isOpen() error {
	select {
	case <-l.done:
		return errClosed
	default:
		return nil
	}
}

// diskError makes a missing or unreadable segment an error of ours.
func diskError(s parley.Stream, err error) error {
	if err == nil {
		return nil
	}
	fix := "see what is left with `parley verify` and `parley dump`"
	if code := parley.CodeOf(err); code != parley.Internal && code != parley.Damaged {
		return err
	}
	if isOurs(err) || errors.Is(err, fs.ErrNotExist) {
		return &parley.Error{Code: parley.Damaged, Detail: "stream " + s.Name + ": stored events cannot be read", Fix: fix, Err: err}
	}
	return &parley.Error{Code: parley.Unavailable, Detail: "stream " + s.Name + ": the disk cannot be read now", Fix: "try again", Err: err}
}

func (l *Log) readView(v *view, at parley.Position, maxBytes int) (parley.Run, error) {
	if at > 0 && at < v.low {
		err := parley.Errorf(parley.Trimmed, "position %d is below %d, the earliest one left", at, v.earliest())
		err.Fix, err.Earliest = "read on from the earliest one", v.earliest()
		return parley.Run{}, err
	}
	from, maxBytes := max(at, v.low), min(maxBytes, maxRun)
	for i := v.segmentAt(from); i < len(v.segs); i++ {
		run, err := l.readSegment(v.segs[i], at, from, maxBytes)
		if err != nil || !run.Empty() {
			return run, err
		}
	}
	if i := v.entryAt(from); i < len(v.mem) {
		return readMem(v.mem[i:], at, maxBytes), nil
	}
	return parley.NewRun(nil, at, at, nil), nil
}

// readMem answers from memory: a single batch as it lies there, several copied
// into one buffer.
func readMem(mem []entry, at parley.Position, maxBytes int) parley.Run {
	n, size := 1, len(mem[0].b)
	for n < len(mem) && size+len(mem[n].b) <= maxBytes {
		size += len(mem[n].b)
		n++
	}
	if n == 1 {
		b := mem[0].b
		return parley.NewRun(slices.Clip(b), at, mem[0].next, nil)
	}
	buf := getBuffer(size)
	b := (*buf)[:0]
	for _, e := range mem[:n] {
		b = append(b, e.b...)
	}
	return parley.NewRun(b, at, mem[n-1].next, func() { putBuffer(buf) })
}

// readSegment reads whole blocks, checks them, and cuts out what was asked for.
// An empty Run says that nothing is left there from the position on.
func (l *Log) readSegment(s *segment, at, from parley.Position, maxBytes int) (parley.Run, error) {
	h, err := l.files.get(s)
	if err != nil {
		return parley.Run{}, err
	}
	defer l.files.put(h)
	i := max(sort.Search(len(h.marks), func(i int) bool { return h.marks[i].base > from })-1, 0)
	for ; i < len(h.marks); i++ {
		buf, n, err := h.readBlocks(i, maxBytes)
		if err != nil {
			return parley.Run{}, err
		}
		cut, next := cutRun((*buf)[:n], from, maxBytes)
		if len(cut) > 0 {
			return parley.NewRun(cut, at, next, func() { putBuffer(buf) }), nil
		}
		putBuffer(buf) // the position lies in a gap behind the block
	}
	return parley.NewRun(nil, at, at, nil), nil
}

// readBlocks reads block i, and those after it that fit maxBytes, and checks
// them.
func (h *handle) readBlocks(i, maxBytes int) (*[]byte, int, error) {
	start := int64(h.marks[i].off)
	k := i + sort.Search(len(h.marks)-i, func(k int) bool { return h.blockEnd(i+k)-start > int64(maxBytes) })
	k = max(k, i+1)
	n := int(h.blockEnd(k-1) - start)
	// The wanted batches may begin late in block i: one more block makes up for it.
	if k < len(h.marks) && h.blockEnd(k)-start <= int64(maxBytes)+2*indexEvery {
		n = int(h.blockEnd(k) - start)
		k++
	}
	buf := getBuffer(n)
	if got, err := h.f.ReadAt((*buf)[:n], start); got < n {
		putBuffer(buf)
		return nil, 0, parley.Errorf(parley.Damaged, "segment %016x: %d of %d bytes: %w", h.seg.id, got, n, err)
	}
	for ; i < k; i++ {
		from, to := int64(h.marks[i].off)-start, h.blockEnd(i)-start
		if err := checkBlock(h.marks[i], (*buf)[from:to]); err != nil {
			putBuffer(buf)
			return nil, 0, err
		}
	}
	return buf, n, nil
}

// blockEnd is where block i ends.
func (h *handle) blockEnd(i int) int64 {
	if i+1 < len(h.marks) {
		return int64(h.marks[i+1].off)
	}
	return h.seg.size
}

// cutRun gives the batches of b from the first one that ends above the position
// on, as many as fit, and at least one.
func cutRun(b []byte, from parley.Position, maxBytes int) (cut []byte, next parley.Position) {
	start, end := 0, 0
	for rest := b; len(rest) > 0; {
		batch, after, err := parley.CutBatch(rest)
		if err != nil {
			break // checked before
		}
		switch {
		case end == start && batch.Next() <= from:
			start += batch.Size()
			end = start
		case end > start && end+batch.Size()-start > maxBytes:
			return b[start:end:end], next
		default:
			end, next = end+batch.Size(), batch.Next()
		}
		rest = after
	}
	return b[start:end:end], next
}

// Buffers of Runs, by powers of two from 4 KiB to 4 MiB; larger ones are left to
// the garbage collector.
const smallestBuffer, bufferClasses = 12, 11

var buffers [bufferClasses]sync.Pool

func bufferClass(n int) int {
	class := 0
	for n > 1<<(smallestBuffer+class) {
		class++
	}
	return class
}

func getBuffer(n int) *[]byte {
	class := bufferClass(n)
	if class < bufferClasses {
		if b, ok := buffers[class].Get().(*[]byte); ok {
			*b = (*b)[:n]
			return b
		}
		b := make([]byte, n, 1<<(smallestBuffer+class))
		return &b
	}
	b := make([]byte, n)
	return &b
}

func putBuffer(b *[]byte) {
	if class := bufferClass(cap(*b)); class < bufferClasses && cap(*b) == 1<<(smallestBuffer+class) {
		buffers[class].Put(b)
	}
}
