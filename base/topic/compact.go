package topic

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// compactable says whether a topic of these settings can be. The engine is asked
// with an empty range, since one in front of several knows only then.
func (r *Registry) compactable(ctx context.Context, s Settings) error {
	if !s.Compact {
		return nil
	}
	rewriter, ok := r.log.(parley.Rewriter)
	var err error
	if ok {
		keep := func(b parley.Batch) (parley.Batch, error) { return b, nil }
		err = rewriter.Rewrite(ctx, parley.Stream{Name: TopicsStream}, 0, 0, keep)
	}
	if !ok || err != nil && parley.CodeOf(err) == parley.Unprocessable {
		return &parley.Error{Code: parley.Unprocessable, Field: "compact", Detail: "the engine that keeps the events cannot compact them", Fix: "create the topic without compaction, or on a server with its own disk", Err: err}
	}
	return err
}

// compactor is what the loop of compaction remembers from round to round. It has a
// loop of its own, since a pass over a large stream takes long and limits are not
// to wait for it.
type compactor struct {
	*Registry
	rewriter parley.Rewriter
	stat     parley.Statter
	timer    parley.Timer // nil: compact_lag keeps everything
	limit    int          // of keys at a time
	done     map[parley.Stream]compacted
}

func (r *Registry) newCompactor() *compactor {
	k := &compactor{Registry: r, limit: MaxCompactKeys, done: make(map[parley.Stream]compacted)}
	k.rewriter, _ = r.log.(parley.Rewriter)
	k.stat, _ = r.log.(parley.Statter)
	k.timer, _ = r.log.(parley.Timer)
	return k
}

func (r *Registry) compactLoop(ctx context.Context) {
	k := r.newCompactor()
	if k.rewriter == nil || k.stat == nil {
		return // then there are no compacted topics
	}
	ticker := time.NewTicker(r.opts.RetainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.round(ctx)
		}
	}
}

// round compacts every stream for which that is worth while.
func (k *compactor) round(ctx context.Context) {
	seen := make(map[parley.Stream]compacted, len(k.done))
	for _, t := range k.List() {
		if !t.Settings.Compact {
			continue
		}
		for _, p := range t.Partitions {
			if err := k.one(ctx, &t, p.Stream); err != nil && ctx.Err() == nil {
				k.opts.Logger.Warn("compaction failed", slog.String("topic", t.Name), slog.Any("error", err))
			}
			if c, ok := k.done[p.Stream]; ok {
				seen[p.Stream] = c
			}
		}
	}
	k.done = seen // those of topics that are gone go
}

// one compacts a stream, section by section, if that is worth while. A pass that
// is interrupted leaves nothing wrong behind: what is superseded goes in the order
// of positions, and so goes before the tombstone that supersedes it.
func (k *compactor) one(ctx context.Context, t *Topic, s parley.Stream) error {
	now := k.opts.Now()
	stats, err := k.stat.Stat(ctx, s)
	if err != nil || stats.Events == 0 {
		return err
	}
	horizon, err := k.horizon(ctx, t, s, stats, now)
	if err != nil {
		return err
	}
	c := k.done[s]
	if !c.worth(stats, horizon, now) {
		return nil
	}
	for more := true; more; {
		w := newSweep(k.limit, t.Settings.TombstoneAge, now)
		end, err := k.section(ctx, w, s, c.upTo, horizon)
		if err != nil {
			return err
		}
		more = end < horizon
		if c.upTo > 0 || more || w.useful { // else each key is there once
			w.due = time.Time{}
			if err := k.rewriter.Rewrite(ctx, s, 0, end, w.batch); err != nil {
				return err
			}
		}
		c = compacted{upTo: end, at: now, due: w.due}
	}
	if stats, err = k.stat.Stat(ctx, s); err != nil {
		return err
	}
	c.bytes = stats.Bytes
	k.done[s] = c
	return nil
}

// horizon is where a pass has to end: at the newest batch, which the engine leaves
// alone, at what is too young, and at what somebody holds.
func (k *compactor) horizon(ctx context.Context, t *Topic, s parley.Stream, stats parley.Stats, now time.Time) (parley.Position, error) {
	horizon := stats.Newest
	if lag := t.Settings.CompactLag; lag > 0 {
		if k.timer == nil {
			return 0, nil
		}
		young, err := k.timer.At(ctx, s, now.Add(-lag))
		if err != nil {
			return 0, err
		}
		horizon = min(horizon, young)
	}
	for _, h := range k.holds.of(s) {
		horizon = min(horizon, h.At)
	}
	return horizon, nil
}

// section notes the batches from a position on that lie below the horizon, as many
// as there is room for, and gives where it ends.
func (k *compactor) section(ctx context.Context, w *sweep, s parley.Stream, at, horizon parley.Position) (parley.Position, error) {
	for at < horizon {
		run, err := k.log.Read(ctx, parley.Place{Stream: s, At: at}, foldBytes)
		if err != nil && parley.CodeOf(err) == parley.Trimmed {
			at = 0 // what was there is gone
			continue
		}
		if err != nil {
			return 0, err
		}
		next, more, err := w.run(run, horizon)
		run.Release()
		if err != nil {
			return 0, err
		}
		if at = max(at, next); !more {
			break
		}
	}
	if w.full() {
		return min(at, horizon), nil
	}
	return horizon, nil
}

// run notes the batches of a run and gives where it stopped; more says that the
// section goes on.
func (s *sweep) run(run parley.Run, horizon parley.Position) (at parley.Position, more bool, err error) {
	for b := range run.Batches() {
		if b.Next() > horizon {
			return at, false, nil
		}
		for rec, err := range b.Records() {
			if err != nil {
				return 0, false, err
			}
			s.note(rec)
		}
		if at = b.Next(); s.full() {
			return at, false, nil
		}
	}
	return at, !run.Empty(), nil
}
