package declared

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// How the owners of pipes are asked for holds.
const (
	holdPatience = 5 * time.Second // with each
	holdForget   = 10 * time.Minute
)

// Holds gives the places that the pipes have committed in their topics, whichever
// nodes own them: it is for topic.Registry.AskHolders where there are several nodes.
// A pipe that is stopped holds nothing. An error means that some owner could not be
// asked; one that could not be for 10 min holds nothing any more, so that a pipe which
// cannot be run does not keep everything for ever.
func (r *Registry) Holds(ctx context.Context) (map[parley.Stream][]topic.Hold, error) {
	if err := r.roll.CatchUp(ctx); err != nil { // another node may have made one
		return nil, err
	}
	out := make(map[parley.Stream][]topic.Hold)
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	room := make(chan struct{}, asksAtOnce)
	for _, i := range r.List() {
		e := r.entry(i.Name)
		if e == nil || i.Stages || i.State == Stopped {
			continue
		}
		rec, _, _ := e.now()
		for part := range max(1, rec.parts) {
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				list, err := e.holds(ctx, part)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				}
				for _, at := range list {
					out[at.Stream] = append(out[at.Stream], topic.Hold{Holder: holder(e.name, part), At: at.At})
				}
			})
		}
	}
	all.Wait()
	return out, failed
}

// holds asks the owner of a part.
func (e *entry) holds(ctx context.Context, part int) (list []parley.Place, err error) {
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	err = e.ask(ctx, part, request{Op: "holds"}, &list)
	if e.life.Err() != nil {
		return nil, nil // deleted meanwhile
	}
	e.mu.Lock()
	if err == nil {
		delete(e.silent, part)
		e.mu.Unlock()
		return list, nil
	}
	if e.silent == nil {
		e.silent = map[int]time.Time{}
	}
	if e.silent[part].IsZero() {
		e.silent[part] = time.Now()
	}
	since := time.Since(e.silent[part])
	e.mu.Unlock()
	if since < holdForget {
		return nil, err
	}
	e.r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a pipe cannot be asked what it has yet to read; retention goes on without it", slog.String("pipe", e.name), slog.Int("partition", part), slog.Any("error", err))
	return nil, nil
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
