package policy

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Put makes a limit, or changes it; created says which. Members left out have
// their defaults. Keys keep what they have spent unless the member key, or the
// kind of limit, changes. A change is durable when Put returns.
//
// Errors: Invalid, naming the member; Conflict for a limit of the configuration;
// Overloaded; those of the log. After Unknown, put it again.
func (r *Registry) Put(ctx context.Context, name string, def Definition) (info Info, created bool, err error) {
	if err := r.changeable(name); err != nil {
		return Info{}, false, err
	}
	if def, err = def.Check(); err != nil {
		return Info{}, false, err
	}
	if err := r.countable(name, def); err != nil {
		return Info{}, false, err
	}
	err = r.write(ctx, func(m *machine) (*parley.Event, error) {
		_, there := m.limits[name]
		created = !there
		return m.put(name, def, r.opts.MaxLimits)
	})
	if err != nil {
		return Info{}, false, err
	}
	info, err = r.Get(name)
	return info, created, err
}

// Delete removes a limit. Errors: Invalid, NotFound, Conflict for one of the
// configuration, and those of the log.
func (r *Registry) Delete(ctx context.Context, name string) error {
	if err := r.changeable(name); err != nil {
		return err
	}
	return r.write(ctx, func(m *machine) (*parley.Event, error) { return m.remove(name) })
}

func (r *Registry) changeable(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if r.fixed[name] == nil { // never changes
		return nil
	}
	return &parley.Error{Code: parley.Conflict, Field: "limit", Detail: "the limit " + name + " is in the server's configuration", Fix: "change it there, or choose another name"}
}

// maxConflicts bounds how often a write starts over because another node was
// first; each time somebody got through.
const maxConflicts = 1000

// write decides on the state as it is and appends the event by compare-and-append.
// Within a process one write goes at a time, since of two at once one is bound to
// fail.
func (r *Registry) write(ctx context.Context, decide func(*machine) (*parley.Event, error)) error {
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
		event, err := decide(r.machine)
		expect := r.newest
		r.mu.Unlock()
		if err != nil || event == nil {
			return err
		}
		err = r.append(ctx, expect, event)
		if parley.CodeOf(err) == parley.Conflict {
			continue
		}
		if err != nil {
			return err
		}
		return r.catchUp(ctx)
	}
	return parley.Errorf(parley.Conflict, "other nodes changed limits %d times in between", maxConflicts)
}

func (r *Registry) append(ctx context.Context, expect parley.Position, e *parley.Event) error {
	now := r.opts.Now()
	e.ID, e.Time = topic.NewID(now), now.UTC()
	batch, err := parley.NewBatch(now, *e)
	if err != nil {
		return err
	}
	_, err = r.log.Append(ctx, parley.Write{Stream: parley.Stream{Name: Stream}, Expect: expect, Batch: batch})
	return err
}
