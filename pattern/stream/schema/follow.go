package schema

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

const foldBytes = 1 << 20 // of the stream in one read

// Run follows what is put, here and by other nodes, until ctx ends; what fails is
// logged and tried again. It returns nil, or Damaged.
func (r *Registry) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r.mu.Lock()
		at := parley.Place{Stream: parley.Stream{Name: Stream}, At: r.next}
		r.mu.Unlock()
		err := r.log.Wait(ctx, at)
		if err == nil {
			err = r.catchUp(ctx)
		}
		switch {
		case err == nil || ctx.Err() != nil:
		case parley.CodeOf(err) == parley.Damaged:
			return err
		default:
			r.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot follow the schemas", slog.Any("error", err))
			pause(ctx, time.Second)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// catchUp folds what the stream holds beyond what was folded.
func (r *Registry) catchUp(ctx context.Context) error {
	for {
		r.mu.Lock()
		at := parley.Place{Stream: parley.Stream{Name: Stream}, At: r.next}
		r.mu.Unlock()
		run, err := r.log.Read(ctx, at, foldBytes)
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

// fold folds the batches of a run. Two runs may overlap: what was folded already
// is passed over.
func (r *Registry) fold(ctx context.Context, run parley.Run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := map[string]bool{}
	defer func() { r.rebuild(ctx, changed) }()
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
			name, err := r.machine.apply(&event)
			if err != nil {
				return err
			}
			if name != "" {
				changed[name] = true
			}
		}
		r.next, r.newest = batch.Next(), batch.Base()
	}
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
