package shard

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// watch reads a shard's stream on behalf of a node that does not own it.
type watch struct {
	log    parley.Log
	stream parley.Stream
	silence
	every time.Duration // between two looks
	next  parley.Position
}

// watchSize is how many bytes a watcher reads at a time.
const watchSize = 256 << 10

// free returns when the shard may be taken over, with the base position of the
// newest batch. While the log cannot be reached, nothing is known of the owner,
// and the silence begins anew.
func (w *watch) free(ctx context.Context) (over parley.Position, err error) {
	w.begin(time.Now())
	w.next = 0
	for {
		if err := w.look(ctx); err != nil {
			if ctx.Err() != nil || !away(err) {
				return 0, err
			}
			w.begin(time.Now())
			w.next = 0
			if !pause(ctx, w.every) {
				return 0, ctx.Err()
			}
			continue
		}
		left, free := w.silence.free(time.Now())
		if free {
			return w.newest, nil
		}
		if !pause(ctx, min(left, w.every/4)) {
			return 0, ctx.Err()
		}
		w.news(ctx, min(left, w.every)-w.every/4)
	}
}

// news waits until the owner appends, so that its silence is counted from then and
// not from the next look; the pause before keeps a busy owner from being read all
// the time.
func (w *watch) news(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_ = w.log.Wait(ctx, parley.Place{Stream: w.stream, At: w.next}) // the look that follows meets what is wrong
}

// away says that a failure to read may pass.
func away(err error) bool {
	switch parley.CodeOf(err) {
	case parley.Unavailable, parley.Timeout, parley.Canceled, parley.Overloaded, parley.Throttled:
		return true
	}
	return false
}

// look reads what has come since the last look.
func (w *watch) look(ctx context.Context) error {
	for {
		run, err := w.log.Read(ctx, parley.Place{Stream: w.stream, At: w.next}, watchSize)
		if err != nil {
			if parley.CodeOf(err) == parley.Trimmed {
				w.next = 0
				continue
			}
			return err
		}
		if run.Empty() {
			return nil
		}
		for b := range run.Batches() {
			w.saw(b.Base(), resigns(b), time.Now())
		}
		w.next = run.Next()
		run.Release()
	}
}

// resigns looks at a batch's last record. Anything unreadable is a sign of life:
// the journal will say what is wrong with it.
func resigns(b parley.Batch) bool {
	if b.Len() != 1 { // an owner resigns in a batch of its own
		return false
	}
	for rec, err := range b.Records() {
		return err == nil && journal.Resigned(rec)
	}
	return false
}
