package disklog

import (
	"context"

	"github.com/parleyhq/parley"
)

// Trim implements parley.Log. It drops whole segments, and single batches where
// no segment is left. It returns when the cut is durable; the files go
// afterwards. It works on a full disk.
func (l *Log) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return err
	}
	_, v := l.core.Load().find(s)
	if err := v.quarantined(s); err != nil {
		return err
	}
	if v == nil || v.lowest(upTo) <= v.low {
		return l.isOpen() // the cheap way out for who trims often
	}
	err := l.control(ctx, s, kindTrim, func(c *core, st *stream) (op, bool) {
		v := st.view.Load()
		if v == nil {
			return op{}, false
		}
		low := v.lowest(upTo)
		if low <= v.low {
			return op{}, false
		}
		o := op{low: low, frame: c.arena.take(frameHeader + 8)}
		be.PutUint64(o.frame[frameHeader:], uint64(low))
		return o, true
	})
	poke(l.core.Load().toLay) // files may go
	return err
}

// Remove implements parley.Remover. It also removes a quarantined stream, which
// is how its name becomes usable again. It works on a full disk.
func (l *Log) Remove(ctx context.Context, s parley.Stream) error {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return err
	}
	err := l.control(ctx, s, kindRemove, func(c *core, st *stream) (op, bool) {
		delete(c.byName, s) // the next Append begins another stream
		return op{frame: c.arena.take(frameHeader)}, true
	})
	poke(l.core.Load().toLay)
	return err
}
