package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// How the owners of queues are asked for holds.
const (
	holdAsks     = 16              // at a time
	holdPatience = 5 * time.Second // with each
	holdForget   = 10 * time.Minute
)

// Holds gives the places that the feeders of all queues have reached in the topics
// that feed them, whichever nodes own the queues: it is for topic.Registry.AskHolders
// where there are several nodes. An error means that some queue could not be asked;
// one that could not be for 10 min holds nothing any more, so that a queue which is
// damaged does not keep everything for ever.
func (r *Registry) Holds(ctx context.Context) (map[parley.Stream][]topic.Hold, error) {
	if err := r.roll.CatchUp(ctx); err != nil { // another node may have made one
		return nil, err
	}
	out := make(map[parley.Stream][]topic.Hold)
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	room := make(chan struct{}, holdAsks)
	for _, q := range r.List() {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			list, err := r.holdsOf(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
			for _, at := range list {
				out[at.Stream] = append(out[at.Stream], topic.Hold{Holder: "queue " + q.name, At: at.At})
			}
		})
	}
	all.Wait()
	return out, failed
}

// holdsOf asks the owner of one queue.
func (r *Registry) holdsOf(ctx context.Context, q *Queue) ([]parley.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	a, err := q.ask(ctx, &request{Op: "holds"})
	r.mu.Lock()
	e := r.entries[q.name]
	if e == nil || e.queue != q {
		r.mu.Unlock()
		return nil, nil // deleted meanwhile
	}
	if err == nil {
		e.silent = time.Time{}
		r.mu.Unlock()
		return a.Holds, nil
	}
	if e.silent.IsZero() {
		e.silent = time.Now()
	}
	since := time.Since(e.silent)
	r.mu.Unlock()
	if since < holdForget {
		return nil, err
	}
	r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a queue cannot be asked what it has yet to be fed with; retention goes on without it", slog.String("queue", q.name), slog.Any("error", err))
	return nil, nil
}

// tellHolds gives the places of the feeders. One that has just begun has none yet:
// it is waited for by who asks.
func (o *owner) tellHolds(ctx context.Context) (out answer, err error) {
	return out, o.do(ctx, func(*journal.Tx, int64) error {
		for _, pattern := range o.settings.Feed {
			state := o.feeds.states[pattern]
			if state.places == nil && state.err == "" {
				return parley.Errorf(parley.Unavailable, "the queue's owner has just begun to be fed with %s", pattern)
			}
			out.Holds = append(out.Holds, state.places...)
		}
		return nil
	})
}
