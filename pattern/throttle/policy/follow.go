package policy

import (
	"context"
	"log/slog"

	"github.com/parleyhq/parley"
)

// Load reads the stream. Errors: Damaged, and those of Log.Read.
func (r *Registry) Load(ctx context.Context) error { return r.roll.CatchUp(ctx) }

// Run follows what is put, here and by other nodes, until ctx ends; what fails is
// logged and tried again. It returns nil, or Damaged.
func (r *Registry) Run(ctx context.Context) error { return r.roll.Follow(ctx, nil) }

// take folds one event. It is called with mu held.
func (r *Registry) take(_ context.Context, e *parley.Event, _ parley.Position) error {
	name, err := r.machine.apply(e)
	if name != "" {
		r.changed[name] = true
	}
	return err
}

// taken puts the limits to work that have changed. It is called with mu held.
func (r *Registry) taken(ctx context.Context) (then func()) {
	var gone []string
	for name := range r.changed {
		r.refresh(ctx, name)
		if r.put[name] == nil && r.fixed[name] == nil {
			gone = append(gone, name)
		}
	}
	clear(r.changed)
	r.rebuild()
	return func() {
		for _, name := range gone {
			r.opts.Gone(name)
		}
	}
}

// refresh puts a limit to work as the machine has it now. One that this version
// does not understand leaves in force what there was.
func (r *Registry) refresh(ctx context.Context, name string) {
	s, there := r.machine.limits[name]
	if !there {
		delete(r.put, name)
		return
	}
	l, err := compile(name, s.def, r.opts.Trusted)
	if err == nil {
		l.origin, l.changed = FromAPI, s.changed
		err = l.start(r.put[name], r.opts.Now())
	}
	if err != nil {
		r.opts.Logger.LogAttrs(ctx, slog.LevelError, "a limit is not understood and not in force", slog.String("limit", name), slog.Any("error", err))
		return
	}
	r.openOrAlone(ctx, l, s.revision)
	if r.fixed[name] != nil {
		r.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "the configuration has a limit of this name, which stands before the one that was put", slog.String("limit", name))
	}
	r.put[name] = l
}
