package stream

import (
	"context"

	"github.com/parleyhq/parley"
)

// countBytes bounds what is read to count events.
const countBytes = 256 << 10

// lag counts the events from a place on; false: the log cannot tell. Positions are
// never subtracted, unless the figures of the log say that they follow one another.
func (gs *Groups) lag(ctx context.Context, s parley.Stream, stats parley.Stats, at parley.Position) (int64, bool) {
	switch {
	case at >= stats.End:
		return 0, true
	case gs.stat == nil:
		return gs.count(ctx, s, at)
	case at <= stats.Earliest:
		return stats.Events, true
	case stats.Events == int64(stats.End-stats.Earliest):
		return int64(stats.End - at), true
	}
	return gs.count(ctx, s, at)
}

// count reads what is there, if it is not much.
func (gs *Groups) count(ctx context.Context, s parley.Stream, at parley.Position) (n int64, known bool) {
	for left := countBytes; left > 0; {
		run, err := gs.log.Read(ctx, parley.Place{Stream: s, At: at}, left)
		if err != nil {
			return 0, false
		}
		if run.Empty() {
			return n, true
		}
		for b := range run.Batches() {
			if b.Base() >= at {
				n += int64(b.Len())
				continue
			}
			for rec, err := range b.Records() {
				if err == nil && rec.Position >= at {
					n++
				}
			}
		}
		left -= len(run.Bytes())
		at = run.Next()
		run.Release()
	}
	return 0, false
}
