package disklog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/parleyhq/parley"
)

// Rewrite implements parley.Rewriter, one segment at a time. What still lies in
// the log is laid out first. A segment is replaced as a whole: its successor is
// durable before the meta file names it.
func (l *Log) Rewrite(ctx context.Context, s parley.Stream, from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) error {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return err
	}
	c := l.core.Load()
	of, v := c.find(s)
	if v == nil {
		return l.isOpen()
	}
	if err := v.quarantined(s); err != nil {
		return err
	}
	if len(v.mem) > 0 && v.mem[0].base < to {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := of.view.Load()
		if v == nil || l.core.Load() != c {
			return l.isOpen() // removed, or recovered: what was replaced stays so
		}
		i := v.segmentAt(from)
		if i == len(v.segs) || v.segs[i].base >= to {
			return nil
		}
		old := v.segs[i]
		made, changed, err := c.rewriteSegment(v, i, from, to, keep)
		if errors.Is(err, fs.ErrNotExist) && of.view.Load() != v {
			continue // merged or trimmed meanwhile
		}
		if err != nil {
			return diskError(s, err)
		}
		if changed {
			done, err := c.replaceHeld(ctx, of, []*segment{old}, made)
			if err != nil {
				return err
			}
			if !done {
				continue
			}
		}
		from = max(from, old.next)
	}
}

// rewriteSegment writes what keep leaves of a segment. made is nil if that is
// nothing; changed false if it is all.
func (c *core) rewriteSegment(v *view, i int, from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) (made *segment, changed bool, err error) {
	w, err := c.newSegment(v.segs[i].stream, v.untilBefore(i))
	if err != nil {
		return nil, false, err
	}
	err = c.log.eachBatch(v.segs[i], func(b parley.Batch) error {
		switch {
		case b.Next() <= v.low: // trimmed
			return nil
		case b.Base() < from || b.Next() > to || b.Base() == v.newest:
			return w.add(b)
		}
		kept, err := keep(b)
		if err == nil {
			err = checkKept(b, kept)
		}
		if err != nil {
			return err
		}
		if kept.Len() == 0 {
			changed = true
			return nil
		}
		changed = changed || string(kept.Bytes()[headBytes:]) != string(b.Bytes()[headBytes:])
		kept = kept.Clone()
		parley.SetBase(kept.Bytes(), b.Base(), b.Epoch())
		return w.add(kept)
	})
	if err != nil || !changed || w.size == 0 {
		return nil, changed, w.abandon(err)
	}
	made, err = w.close()
	return made, changed, err
}

// untilBefore is the latest batch time before segment i.
func (v *view) untilBefore(i int) int64 {
	if i == 0 {
		return 0
	}
	return v.segs[i-1].until
}

// eachBatch reads a segment block by block, checked.
func (l *Log) eachBatch(s *segment, do func(parley.Batch) error) error {
	h, err := l.files.get(s)
	if err != nil {
		return err
	}
	defer l.files.put(h)
	for i := 0; i < len(h.marks); {
		buf, n, err := h.readBlocks(i, segmentBuffer)
		if err != nil {
			return err
		}
		end := int64(h.marks[i].off) + int64(n)
		for rest := (*buf)[:n]; len(rest) > 0 && err == nil; {
			var b parley.Batch
			if b, rest, err = parley.CutBatch(rest); err == nil {
				err = do(b)
			}
		}
		putBuffer(buf)
		if err != nil {
			return err
		}
		for i < len(h.marks) && int64(h.marks[i].off) < end {
			i++
		}
	}
	return nil
}

// replaceHeld is replace for who does not hold maint.
func (c *core) replaceHeld(ctx context.Context, st *stream, old []*segment, made *segment) (done bool, err error) {
	if made != nil {
		if err := c.log.fs.SyncDir("seg"); err != nil {
			return false, err
		}
	}
	if err := c.hold(ctx); err != nil {
		return false, err
	}
	defer c.release()
	return c.replace(st, old, made)
}

// replace puts one segment, or none, in the place of consecutive ones: in the
// meta file, then in the view. The caller holds maint, and the new file is
// durable under its name. done is false if they were replaced by another.
func (c *core) replace(st *stream, old []*segment, made *segment) (done bool, err error) {
	select {
	case <-c.failed:
		return false, unavailable("the log is being recovered")
	case <-c.log.done:
		return false, errClosed
	default:
	}
	m := *c.meta
	m.seq++
	m.segment = c.segment.Load()
	m.streams = slices.Clone(m.streams)
	found := false
	for i := range m.streams {
		if s := &m.streams[i]; s.number == st.number {
			s.segs, found = exchange(s.segs, old, made)
		}
	}
	if !found {
		c.drop(made)
		return false, nil
	}
	if err := m.save(c.log.fs); err != nil {
		return false, err
	}
	c.meta = &m
	c.exchangeView(st, old, made)
	poke(c.toLay)
	return true, nil
}

// exchangeView lets readers see what replace did.
func (c *core) exchangeView(st *stream, old []*segment, made *segment) {
	c.pub.Lock()
	defer c.pub.Unlock()
	v := st.view.Load()
	if v == nil {
		if made != nil {
			c.garbage = append(c.garbage, made)
		}
		return
	}
	left := slices.DeleteFunc(slices.Clone(old), func(s *segment) bool { return !slices.Contains(v.segs, s) })
	if len(left) == 0 { // trimmed meanwhile
		if made != nil {
			c.garbage = append(c.garbage, made)
		}
		return
	}
	next := *v
	next.segs, _ = exchange(v.segs, left, made)
	st.view.Store(&next)
	c.garbage = append(c.garbage, left...)
}

// drop removes a segment that nothing refers to.
func (c *core) drop(s *segment) {
	if s == nil {
		return
	}
	c.pub.Lock()
	defer c.pub.Unlock()
	c.garbage = append(c.garbage, s)
}

// exchange replaces the segments old, which follow each other, by one or none.
func exchange(segs, old []*segment, made *segment) ([]*segment, bool) {
	at := slices.IndexFunc(segs, func(s *segment) bool { return s.id == old[0].id })
	if at < 0 || at+len(old) > len(segs) || segs[at+len(old)-1].id != old[len(old)-1].id {
		return segs, false
	}
	next := slices.Clone(segs[:at])
	if made != nil {
		next = append(next, made)
	}
	return append(next, segs[at+len(old):]...), true
}

func checkKept(old, kept parley.Batch) error {
	if kept.IsZero() {
		return nil
	}
	b, err := parley.ParseBatch(kept.Bytes())
	if err != nil {
		return &parley.Error{Code: parley.Invalid, Field: "keep", Detail: "not one well-formed batch", Fix: "answer what Batch.Keep makes", Err: err}
	}
	if b.Base() != old.Base() || b.Last() != old.Last() || b.Len() > old.Len() {
		return parley.BadField("keep", fmt.Sprintf("the batch of positions %d to %d became one of %d to %d with %d of %d events",
			old.Base(), old.Last(), b.Base(), b.Last(), b.Len(), old.Len()), "keep a subset of the events at their positions")
	}
	return nil
}

// mergeAfter is how many small segments are merged into one.
const mergeAfter = 8

// mergeRange picks the newest segments that are worth merging: each no larger
// than twice what comes after it, all together no larger than limit. It is pure.
func mergeRange(sizes []int64, limit int64) (from int, ok bool) {
	if len(sizes) < mergeAfter {
		return 0, false
	}
	from = len(sizes) - 1
	sum := sizes[from]
	for from > 0 && sizes[from-1] <= 2*sum && sum+sizes[from-1] <= limit {
		from--
		sum += sizes[from]
	}
	return from, len(sizes)-from >= mergeAfter
}

// mergeAll merges the small segments of streams. The caller holds maint.
func (c *core) mergeAll(sts []*stream) error {
	for _, st := range sts {
		v := st.view.Load()
		if v == nil || v.damaged != "" {
			continue
		}
		sizes := make([]int64, len(v.segs))
		for i, s := range v.segs {
			sizes[i] = s.size
		}
		from, ok := mergeRange(sizes, c.log.opts.SegmentBytes)
		if !ok {
			continue
		}
		if err := c.merge(st, v, from); err != nil {
			return err
		}
	}
	return nil
}

// merge writes the segments of a view from one on as one.
func (c *core) merge(st *stream, v *view, from int) error {
	w, err := c.newSegment(st.number, v.untilBefore(from))
	if err != nil {
		return err
	}
	for _, s := range v.segs[from:] {
		err := c.log.eachBatch(s, func(b parley.Batch) error {
			if b.Next() <= v.low { // trimmed
				return nil
			}
			return w.add(b)
		})
		if err != nil {
			return w.abandon(err)
		}
	}
	made, err := w.close()
	if err != nil {
		return err
	}
	if err := c.log.fs.SyncDir("seg"); err != nil {
		return err
	}
	_, err = c.replace(st, v.segs[from:], made)
	return err
}
