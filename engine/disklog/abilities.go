package disklog

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// End implements parley.Log.
func (l *Log) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	_, v, err := l.view(ctx, parley.Place{Stream: s})
	if v == nil || err != nil {
		return 0, err
	}
	return v.next, nil
}

// view is what calls about one stream begin with; a nil view is a stream never
// written.
func (l *Log) view(ctx context.Context, at parley.Place) (*stream, *view, error) {
	if err := checkPlace(ctx, at); err != nil {
		return nil, nil, err
	}
	if err := l.isOpen(); err != nil {
		return nil, nil, err
	}
	st, v := l.core.Load().find(at.Stream)
	return st, v, v.quarantined(at.Stream)
}

// Streams implements parley.Lister. A quarantined stream is one of them.
func (l *Log) Streams(ctx context.Context, namespace string) ([]parley.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.isOpen(); err != nil {
		return nil, err
	}
	var all []parley.Stream
	l.core.Load().readable.Range(func(key, _ any) bool {
		if s, ok := key.(parley.Stream); ok && s.Namespace == namespace {
			all = append(all, s)
		}
		return true
	})
	slices.SortFunc(all, func(a, b parley.Stream) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Stat implements parley.Statter. Bytes and Events count whole segments.
func (l *Log) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	_, v, err := l.view(ctx, parley.Place{Stream: s})
	if v == nil || err != nil {
		return parley.Stats{}, err
	}
	var oldest int64
	if len(v.segs) > 0 {
		oldest = v.segs[0].oldest
	} else if len(v.mem) > 0 {
		oldest = v.mem[0].batch().MaxTime().UnixMilli()
	}
	return parley.Stats{
		Earliest: v.earliest(), Low: v.low, End: v.next, Newest: v.newest, Bytes: v.bytes(), Events: v.events(),
		Oldest: time.UnixMilli(oldest).UTC(), Epoch: v.epoch,
	}, nil
}

// Back implements parley.Backer.
func (l *Log) Back(ctx context.Context, at parley.Place, n int) (parley.Position, error) {
	_, v, err := l.view(ctx, at)
	if err != nil || n < 1 {
		return at.At, err
	}
	if v == nil {
		return 0, nil
	}
	below := sort.Search(len(v.mem), func(i int) bool { return v.mem[i].base >= at.At })
	if below >= n {
		return max(v.mem[below-n].base, v.earliest()), nil
	}
	n -= below
	for k := len(v.segs) - 1; k >= 0; k-- {
		s := v.segs[k]
		if s.base >= at.At {
			continue
		}
		bases, err := l.basesBelow(s, at.At, n)
		if err != nil {
			return 0, diskError(at.Stream, err)
		}
		if len(bases) >= n {
			return max(bases[len(bases)-n], v.earliest()), nil
		}
		n -= len(bases)
	}
	return v.earliest(), nil
}

// basesBelow gives the base positions of the last batches of a segment that
// begin below a position, at least n of them if there are so many.
func (l *Log) basesBelow(s *segment, at parley.Position, n int) ([]parley.Position, error) {
	h, err := l.files.get(s)
	if err != nil {
		return nil, err
	}
	defer l.files.put(h)
	var all []parley.Position
	for i := sort.Search(len(h.marks), func(i int) bool { return h.marks[i].base >= at }) - 1; i >= 0 && len(all) < n; i-- {
		var block []parley.Position
		err := h.eachInBlock(i, func(b parley.Batch) bool {
			if b.Base() < at {
				block = append(block, b.Base())
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		all = append(block, all...)
	}
	return all, nil
}

// eachInBlock walks the batches of one block.
func (h *handle) eachInBlock(i int, do func(parley.Batch) bool) error {
	buf, n, err := h.readBlocks(i, 0)
	if err != nil {
		return err
	}
	defer putBuffer(buf)
	n = min(n, int(h.blockEnd(i))-int(h.marks[i].off))
	for rest := (*buf)[:n]; len(rest) > 0; {
		b, after, err := parley.CutBatch(rest)
		if err != nil || !do(b) {
			return err
		}
		rest = after
	}
	return nil
}

// At implements parley.Timer.
func (l *Log) At(ctx context.Context, s parley.Stream, t time.Time) (parley.Position, error) {
	_, v, err := l.view(ctx, parley.Place{Stream: s})
	if v == nil || err != nil {
		return 0, err
	}
	ms := t.UnixMilli()
	k := sort.Search(len(v.segs), func(k int) bool { return v.segs[k].until >= ms })
	for ; k < len(v.segs); k++ {
		found, err := l.firstSince(v.segs[k], v.low, ms)
		if err != nil || found > 0 {
			return found, diskError(s, err)
		}
	}
	i := sort.Search(len(v.mem), func(i int) bool { return v.mem[i].until >= ms })
	for ; i < len(v.mem); i++ {
		// The entry may owe its time to an earlier batch, dropped since.
		if v.mem[i].batch().MaxTime().UnixMilli() >= ms {
			return v.mem[i].base, nil
		}
	}
	return v.next, nil
}

// firstSince finds the first batch of a segment from a position on with a time
// of at least ms; 0 if there is none.
func (l *Log) firstSince(s *segment, low parley.Position, ms int64) (found parley.Position, err error) {
	h, err := l.files.get(s)
	if err != nil {
		return 0, err
	}
	defer l.files.put(h)
	i := sort.Search(len(h.marks), func(i int) bool { return h.marks[i].until >= ms })
	for ; i < len(h.marks) && found == 0 && err == nil; i++ {
		err = h.eachInBlock(i, func(b parley.Batch) bool {
			if b.Base() >= low && b.MaxTime().UnixMilli() >= ms {
				found = b.Base()
			}
			return found == 0
		})
	}
	return found, err
}
