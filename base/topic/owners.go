package topic

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// How owners are asked.
const (
	ownersAtOnce  = 16
	ownerPatience = 5 * time.Second // with each

	// OwnerForget is how long an owner may be silent until it holds nothing any more.
	OwnerForget = 10 * time.Minute
)

// Owner is somebody who reads from the log, on whichever node it runs.
type Owner struct {
	Holder string
	// Ask gives the places from which it, or its successor, would read; none when it
	// does not exist any more.
	Ask func(ctx context.Context) ([]parley.Place, error)
}

// Owners asks owners for their holds: what its Holds gives is for
// Registry.AskHolders. Its zero value is ready, and logs nothing.
type Owners struct {
	Logger *slog.Logger

	mu     sync.Mutex
	silent map[string]time.Time // since when a holder cannot be asked
}

// Holds asks them all. An error means that some could not be asked. One that could not
// be for OwnerForget holds nothing any more, so that what cannot be run does not keep
// everything for ever.
func (o *Owners) Holds(ctx context.Context, owners []Owner) (map[parley.Stream][]Hold, error) {
	lists, errs := make([][]parley.Place, len(owners)), make([]error, len(owners))
	var all sync.WaitGroup
	room := make(chan struct{}, ownersAtOnce)
	for i, owner := range owners {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			ctx, cancel := context.WithTimeout(ctx, ownerPatience)
			defer cancel()
			lists[i], errs[i] = owner.Ask(ctx)
		})
	}
	all.Wait()
	out := make(map[parley.Stream][]Hold)
	failed := o.forget(ctx, owners, errs)
	for i, list := range lists {
		if errs[i] != nil {
			continue
		}
		for _, at := range list {
			out[at.Stream] = append(out[at.Stream], Hold{Holder: owners[i].Holder, At: at.At})
		}
	}
	return out, failed
}

// forget gives an error of those that count still, and remembers since when each of
// them has been silent.
func (o *Owners) forget(ctx context.Context, owners []Owner, errs []error) (failed error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	silent, now := make(map[string]time.Time), time.Now()
	for i, err := range errs {
		if err == nil {
			continue
		}
		holder := owners[i].Holder
		since, was := o.silent[holder]
		if !was {
			since = now
		}
		silent[holder] = since
		if now.Sub(since) < OwnerForget {
			failed = err
		} else if o.Logger != nil {
			o.Logger.LogAttrs(ctx, slog.LevelWarn, "a holder cannot be asked what it has yet to read; retention goes on without it", slog.String("holder", holder), slog.Any("error", err))
		}
	}
	o.silent = silent
	return failed
}
