package declared

import (
	"context"
	"maps"

	"github.com/parleyhq/parley"
)

// write decides on the state as it is. decide has the catalog for itself, and may take
// its time.
func (r *Registry) write(ctx context.Context, decide func(*catalog) (*parley.Event, error)) error {
	return r.roll.Write(ctx, func() (*parley.Event, error) { return decide(r.copy()) })
}

// copy gives a catalog of the caller's own.
func (r *Registry) copy() *catalog {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.catalog
	c.pipes = maps.Clone(c.pipes)
	return &c
}

// take folds one event. It is called with mu held.
func (r *Registry) take(ctx context.Context, e *parley.Event, _ parley.Position) error {
	event := e.Clone() // definitions outlive the read
	if err := r.catalog.apply(&event); err != nil {
		return err
	}
	r.follow(ctx, event.Subject)
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
