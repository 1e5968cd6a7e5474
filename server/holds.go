package server

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// asker asks other nodes for what they hold, as topic.Registry.AskHolders has it.
type asker = func(context.Context) (map[parley.Stream][]topic.Hold, error)

// allHolds asks several patterns. If one cannot say, nobody knows.
func allHolds(askers ...asker) asker {
	return func(ctx context.Context) (map[parley.Stream][]topic.Hold, error) {
		all := map[parley.Stream][]topic.Hold{}
		for _, ask := range askers {
			some, err := ask(ctx)
			if err != nil {
				return nil, err
			}
			for s, list := range some {
				all[s] = append(all[s], list...)
			}
		}
		return all, nil
	}
}
