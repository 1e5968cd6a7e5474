package declared

import (
	"context"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// Holds gives the places that the pipes have committed in their topics, whichever
// nodes own them: it is for topic.Registry.AskHolders where there are several nodes.
// A pipe that is stopped holds nothing. Errors are as of topic.Owners.
func (r *Registry) Holds(ctx context.Context) (map[parley.Stream][]topic.Hold, error) {
	if err := r.roll.CatchUp(ctx); err != nil { // another node may have made one
		return nil, err
	}
	var all []topic.Owner
	for _, i := range r.List() {
		e := r.entry(i.Name)
		if e == nil || i.Stages || i.State == Stopped {
			continue
		}
		rec, _, _ := e.now()
		for part := range max(1, rec.parts) {
			all = append(all, topic.Owner{Holder: holder(e.name, part), Ask: func(ctx context.Context) (list []parley.Place, err error) {
				err = e.ask(ctx, part, request{Op: "holds"}, &list)
				if e.life.Err() != nil {
					return nil, nil // deleted meanwhile
				}
				return list, err
			}})
		}
	}
	return r.holders.Holds(ctx, all)
}

// tellHolds gives the places from which the next owner would read. One that has just
// begun has none yet: it is waited for by who asks.
func (o *owner) tellHolds(ctx context.Context) ([]parley.Place, error) {
	a, err := o.adopted(ctx)
	switch {
	case err != nil:
		return nil, err
	case o.meter.idle(), a.Done:
		return []parley.Place{}, nil
	case a.Adopted == 0:
		return nil, parley.Errorf(parley.Unavailable, "the pipe's owner has just begun")
	}
	return o.places(ctx, &a.kept)
}

// places gives where the sources are read from, as it is committed.
func (o *owner) places(ctx context.Context, k *kept) ([]parley.Place, error) {
	list := []parley.Place{}
	for _, l := range k.Lanes {
		if l.Cursor == "" {
			continue
		}
		sub, err := o.r.opt.Hub.Subscribe(ctx, pubsub.Request{Topics: l.Topics, From: pubsub.After(l.Cursor), Partition: o.only(k.Era)})
		if parley.CodeOf(err) == parley.NotFound && err != nil {
			continue // there is nothing to hold
		}
		if err != nil {
			return nil, err
		}
		list = append(list, sub.Places()...)
		sub.Close()
	}
	return list, nil
}

func holder(pipe string, part int) string {
	if part == 0 {
		return "pipe " + pipe
	}
	return "pipe " + pipe + "/" + strconv.Itoa(part)
}
