package queue

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// Holds gives the places that the feeders of all queues have reached in the topics
// that feed them, whichever nodes own the queues: it is for topic.Registry.AskHolders
// where there are several nodes. Errors are as of topic.Owners.
func (r *Registry) Holds(ctx context.Context) (map[parley.Stream][]topic.Hold, error) {
	if err := r.roll.CatchUp(ctx); err != nil { // another node may have made one
		return nil, err
	}
	var all []topic.Owner
	for _, q := range r.List() {
		all = append(all, topic.Owner{Holder: "queue " + q.name, Ask: func(ctx context.Context) ([]parley.Place, error) {
			a, err := q.ask(ctx, &request{Op: "holds"})
			if e := r.entry(q.name); e == nil || e.queue != q {
				return nil, nil // deleted meanwhile
			}
			return a.Holds, err
		}})
	}
	return r.holders.Holds(ctx, all)
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
