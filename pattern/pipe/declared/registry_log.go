package declared

import (
	"context"
	"maps"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// maxConflicts bounds how often a write starts over because another node was first;
// each time somebody got through.
const maxConflicts = 1000

// write decides on the state as it is, appends the event by compare-and-append, and
// folds it. Within a process one write goes at a time, since of two at once one is
// bound to fail. decide has the catalog for itself, and may take its time.
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
		expect := r.newest
		r.mu.Unlock()
		event, err := decide(r.copy())
		if err != nil || event == nil {
			return err
		}
		now := r.opt.Now()
		event.ID, event.Time = topic.NewID(now), now.UTC()
		batch, err := parley.NewBatch(now, *event)
		if err != nil {
			return err
		}
		_, err = r.log.Append(ctx, parley.Write{Stream: parley.Stream{Name: RegistryStream}, Expect: expect, Batch: batch})
		if err != nil && parley.CodeOf(err) == parley.Conflict {
			continue
		}
		if err != nil {
			return err
		}
		return r.catchUp(ctx)
	}
	return parley.Errorf(parley.Conflict, "other nodes changed pipes %d times in between", maxConflicts)
}

// copy gives a catalog of the caller's own.
func (r *Registry) copy() *catalog {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.catalog
	c.pipes = maps.Clone(c.pipes)
	return &c
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
		err = r.fold(ctx, run)
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

// fold folds the batches of a run. Two runs may overlap: what was folded already is
// passed over.
func (r *Registry) fold(ctx context.Context, run parley.Run) error {
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
			event = event.Clone() // definitions outlive the run
			if err := r.catalog.apply(&event); err != nil {
				return err
			}
			r.follow(ctx, event.Subject)
		}
		r.next, r.newest = batch.Next(), batch.Base()
	}
	return nil
}

// follow makes the entries what the catalog says. It is called with mu held.
func (r *Registry) follow(ctx context.Context, name string) {
	rec, there := r.catalog.pipes[name]
	e := r.entries[name]
	if e != nil && (!there || e.number != rec.number) {
		delete(r.entries, name)
		e.end(noPipe(name))
		e = nil
	}
	if there && e == nil {
		e = r.newEntry(ctx, name, rec.number)
		r.entries[name] = e
	}
	if there {
		e.set(rec, rec.revision)
	}
	for _, user := range r.catalog.users(name) {
		if other := r.entries[user]; other != nil && there {
			other.set(r.catalog.pipes[user], max(rec.revision, other.revision()))
		}
	}
}

// unstarted gives the entries that Run has not got.
func (r *Registry) unstarted() (list []*entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.running == nil {
			e.running = make(chan struct{})
			list = append(list, e)
		}
	}
	return list
}

// remove removes what a pipe has left: its stream, or what Trim can of it.
func (r *Registry) remove(ctx context.Context, s parley.Stream) error {
	if remover, ok := r.log.(parley.Remover); ok {
		return remover.Remove(ctx, s)
	}
	end, err := r.log.End(ctx, s)
	if err != nil {
		return err
	}
	return r.log.Trim(ctx, s, end)
}
