package memlog

import (
	"context"
	"fmt"
	"slices"

	"github.com/parleyhq/parley"
)

// Rewrite implements parley.Rewriter, one chunk at a time: keep is called
// without the lock, so appending and reading go on meanwhile.
func (l *Log) Rewrite(ctx context.Context, s parley.Stream, from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) error {
	if err := s.Check(); err != nil {
		return err
	}
	var of *stream
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		st, c, marks := l.next(s, from, to)
		if c == nil || of != nil && st != of { // done, or removed and made anew
			return nil
		}
		of = st
		kept := make(map[parley.Position]parley.Batch, len(marks))
		for _, m := range marks {
			b, err := keep(c.batch(m))
			if err == nil {
				err = checkKept(c.batch(m), b)
			}
			if err != nil {
				return err
			}
			kept[m.base] = b
		}
		if l.replace(st, c, kept) {
			from = marks[len(marks)-1].next
		}
	}
}

// next finds the first chunk with batches in [from, to), and those.
func (l *Log) next(s parley.Stream, from, to parley.Position) (*stream, *chunk, []mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.written(s)
	if st == nil {
		return nil, nil, nil
	}
	at := from
	for {
		c, i := st.find(at)
		if c == nil || c.marks[i].base >= to {
			return nil, nil, nil
		}
		var in []mark
		for _, m := range c.marks[i:] {
			if m.base >= from && m.next <= to && m.base != st.newest {
				in = append(in, m)
			}
		}
		if in != nil {
			return st, &chunk{buf: c.buf}, in // the copy does not grow while it is read
		}
		at = c.last().next
	}
}

// replace puts a chunk of what was kept in the place of the one that read is a
// copy of. It answers false if that is gone: trimmed, or rewritten by another.
func (l *Log) replace(st *stream, read *chunk, kept map[parley.Position]parley.Batch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := slices.IndexFunc(st.chunks, func(c *chunk) bool { return &c.buf[0] == &read.buf[0] })
	if k < 0 || l.streams[st.name] != st {
		return false
	}
	old := st.chunks[k]
	made := &chunk{}
	for _, m := range old.marks { // as it is now: longer, or trimmed
		b, replaced := kept[m.base]
		if !replaced {
			b = old.batch(m)
		} else if b.Len() == 0 {
			continue
		}
		off := len(made.buf)
		made.buf = append(made.buf, b.Bytes()...)
		parley.SetBase(made.buf[off:], m.base, st.epoch)
		made.marks = append(made.marks, mark{m.base, m.next, uint32(off), uint32(len(made.buf)), m.until})
	}
	before := st.bytes
	st.bytes -= int64(old.last().end - old.marks[0].off)
	st.events -= old.events()
	if len(made.marks) > 0 {
		st.bytes += int64(len(made.buf))
		st.events += made.events()
		st.chunks[k] = made
	} else {
		st.chunks = slices.Delete(st.chunks, k, k+1)
	}
	l.bytes += st.bytes - before
	return true
}

func checkKept(old, kept parley.Batch) error {
	if kept.IsZero() {
		return nil
	}
	b, rest, err := parley.CutBatch(kept.Bytes())
	if err != nil || len(rest) > 0 {
		return &parley.Error{Code: parley.Invalid, Field: "keep", Detail: "not one well-formed batch", Fix: "answer what Batch.Keep makes", Err: err}
	}
	if b.Base() != old.Base() || b.Last() != old.Last() || b.Len() > old.Len() {
		return parley.BadField("keep", fmt.Sprintf("the batch of positions %d to %d became one of %d to %d with %d of %d events",
			old.Base(), old.Last(), b.Base(), b.Last(), b.Len(), old.Len()), "keep a subset of the events at their positions")
	}
	return nil
}
