package queue

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
)

// maxConflicts bounds how often a write starts over because another node was
// first; each time somebody got through.
const maxConflicts = 1000

// write decides on the state as it is, with mu held, appends the event by
// compare-and-append, and folds it. Within a process one write goes at a time,
// since of two at once one is bound to fail.
func (r *Registry) write(ctx context.Context, decide func(*catalog) (*parley.Event, error)) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range maxConflicts {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		event, err := decide(&r.catalog)
		expect := r.newest
		r.mu.Unlock()
		if err != nil || event == nil {
			return err
		}
		err = r.append(ctx, expect, event)
		if parley.CodeOf(err) == parley.Conflict && err != nil {
			continue
		}
		if err != nil {
			return err
		}
		return r.catchUp(ctx)
	}
	return parley.Errorf(parley.Conflict, "other nodes changed queues %d times in between", maxConflicts)
}

func (r *Registry) append(ctx context.Context, expect parley.Position, e *parley.Event) error {
	now := r.opt.Now()
	e.ID, e.Time = topic.NewID(now), now.UTC()
	batch, err := parley.NewBatch(now, *e)
	if err != nil {
		return err
	}
	_, err = r.log.Append(ctx, parley.Write{Stream: parley.Stream{Name: RegistryStream}, Expect: expect, Batch: batch})
	return err
}

const foldBytes = 1 << 20 // of the stream in one read

// catchUp folds what the stream holds beyond what was folded.
func (r *Registry) catchUp(ctx context.Context) error {
	for {
		run, err := r.log.Read(ctx, r.place(), foldBytes)
		if err != nil {
			return err
		}
		if run.Empty() {
			return nil
		}
		err = r.fold(run)
		run.Release()
		if err != nil {
			return err
		}
	}
}

func (r *Registry) place() parley.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return parley.Place{Stream: parley.Stream{Name: RegistryStream}, At: r.next}
}

// fold folds the batches of a run. Two runs may overlap: what was folded already
// is passed over.
func (r *Registry) fold(run parley.Run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for batch := range run.Batches() {
		if batch.Base() < r.next {
			continue
		}
		for rec, err := range batch.Records() {
			if err != nil {
				return err
			}
			event, err := rec.Event()
			if err != nil {
				return err
			}
			if err := r.catalog.apply(&event); err != nil {
				return err
			}
			if err := r.follow(event.Subject); err != nil {
				return err
			}
		}
		r.next, r.newest = batch.Next(), batch.Base()
	}
	return nil
}

// follow makes the entry of a name what the catalog says. It is called with mu held.
func (r *Registry) follow(name string) error {
	number, there := r.catalog.numbers[name]
	e := r.entries[name]
	switch {
	case there && e == nil:
		life, end := context.WithCancelCause(context.Background())
		o := Options{Topics: r.opt.Topics, Hub: r.opt.Hub, Logger: r.opt.Logger}
		q, err := newQueue(r.log, mortal{r.host, life}, name, number, o)
		if err != nil {
			end(nil)
			return err
		}
		r.entries[name] = &listed{queue: q, life: life, end: end}
	case !there && e != nil:
		delete(r.entries, name)
		e.end(noQueue(name))
	}
	return nil
}

// mortal is the host of a queue that can be deleted: who asks it then, or waits
// for an answer, is told so.
type mortal struct {
	shard.Host
	life context.Context //nolint:containedctx // the queue's
}

// Ask implements shard.Host.
func (m mortal) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.life, cancel)()
	answer, err := m.Host.Ask(both, s, request)
	if err != nil && m.life.Err() != nil {
		return nil, context.Cause(m.life)
	}
	return answer, err
}
