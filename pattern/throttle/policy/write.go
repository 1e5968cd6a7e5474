package policy

import (
	"context"

	"github.com/parleyhq/parley"
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

// write decides on the state as it is, with mu held.
func (r *Registry) write(ctx context.Context, decide func(*machine) (*parley.Event, error)) error {
	return r.roll.Write(ctx, func() (*parley.Event, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return decide(r.machine)
	})
}
