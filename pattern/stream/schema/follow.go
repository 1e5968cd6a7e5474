package schema

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/parleyhq/parley"
)

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

// taken puts the newest versions of the schemas in force, of the topics whose schemas
// have changed. It is called with mu held.
func (r *Registry) taken(ctx context.Context) (then func()) {
	r.rebuild(ctx, r.changed)
	clear(r.changed)
	return nil
}

// rebuild puts the newest versions of some topics' schemas in force. One that this
// version of the program does not understand is in force all the same: it lets
// nothing through. It is called with mu held.
func (r *Registry) rebuild(ctx context.Context, changed map[string]bool) {
	if len(changed) == 0 {
		return
	}
	table := maps.Clone(*r.table.Load())
	for name := range changed {
		delete(table, name)
	}
	for key, s := range r.machine.subjects {
		v := s.newest()
		if !changed[key.topic] || v == nil {
			continue
		}
		a := &active{key: key, version: v.number}
		if doc, err := compile(v.text); err == nil {
			a.doc = doc
		} else {
			r.opts.Logger.LogAttrs(ctx, slog.LevelError, "a schema is not understood, and nothing can be published by it", slog.String("topic", key.topic), slog.Any("error", err))
		}
		table[key.topic] = append(table[key.topic], a)
	}
	for name := range changed {
		slices.SortFunc(table[name], func(a, b *active) int { return cmp.Compare(a.key.kind, b.key.kind) })
	}
	r.table.Store(&table)
}
