package roll

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// maxConflicts bounds how often a write starts over because another node was first;
// each time somebody got through.
const maxConflicts = 1000

// Write changes the list by the event that decide gives, whose ID and Time it sets;
// nil is no change. The change is durable, and folded here, when Write returns.
//
// decide is called, without Options.Lock, when all that others wrote is folded, and
// anew when yet another was first: it decides on what there is, and may take its time.
// Within a process one write goes at a time, since of two at once one is bound to
// fail.
//
// Errors: decide's, those of CatchUp and of Log.Append; Conflict after a thousand
// others who were first. After Unknown, write again: decide sees whether the change
// was made.
func (r *Roll) Write(ctx context.Context, decide func() (*parley.Event, error)) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for range maxConflicts {
		if err := r.CatchUp(ctx); err != nil {
			return err
		}
		_, expect := r.folded() // before decide looks: what comes between makes the append fail
		event, err := decide()
		if err != nil || event == nil {
			return err
		}
		err = r.append(ctx, expect, event)
		if err != nil && parley.CodeOf(err) == parley.Conflict {
			continue
		}
		if err != nil {
			return err
		}
		return r.CatchUp(ctx)
	}
	return parley.Errorf(parley.Conflict, "other nodes wrote to %s %d times in between", r.stream.Name, maxConflicts)
}

func (r *Roll) append(ctx context.Context, expect parley.Position, e *parley.Event) error {
	now := r.opt.Now()
	e.ID, e.Time = r.opt.ID(now), now.UTC()
	batch, err := parley.NewBatch(now, *e)
	if err != nil {
		return err
	}
	_, err = r.log.Append(ctx, parley.Write{Stream: r.stream, Expect: expect, Batch: batch})
	return err
}

// retryAfter is how long Follow waits before it asks a log again that failed.
const retryAfter = time.Second

// Follow folds what is written, here and by other nodes, until ctx ends; what fails is
// logged and tried again. round, if not nil, is called before each wait: what it does
// not see of the list ends the wait. It returns nil, or the first error that is
// Damaged.
func (r *Roll) Follow(ctx context.Context, round func()) error {
	for ctx.Err() == nil {
		at := r.Next()
		if round != nil {
			round()
		}
		err := r.log.Wait(ctx, parley.Place{Stream: r.stream, At: at})
		if err == nil {
			err = r.CatchUp(ctx)
		}
		switch {
		case err == nil || ctx.Err() != nil:
		case parley.CodeOf(err) == parley.Damaged:
			return err
		default:
			r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot follow a stream", slog.String("stream", r.stream.Name), slog.Any("error", err))
			pause(ctx, retryAfter)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
