package policy

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

const foldBytes = 1 << 20 // of the stream in one read

// Load reads the stream. Errors: Damaged, and those of Log.Read.
func (r *Registry) Load(ctx context.Context) error { return r.catchUp(ctx) }

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
			r.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot follow the limits", slog.Any("error", err))
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
		gone, err := r.fold(ctx, run)
		run.Release()
		for _, name := range gone {
			r.opts.Gone(name)
		}
		if err != nil {
			return err
		}
	}
}

// fold folds the batches of a run. Two runs may overlap: what was folded already
// is passed over.
func (r *Registry) fold(ctx context.Context, run parley.Run) (gone []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := map[string]bool{}
	defer func() {
		for name := range changed {
			r.refresh(ctx, name)
			if r.put[name] == nil && r.fixed[name] == nil {
				gone = append(gone, name)
			}
		}
		r.rebuild()
	}()
	for batch := range run.Batches() {
		if batch.Base() < r.next {
			continue
		}
		for rec, err := range batch.Records() {
			if err != nil {
				return nil, err
			}
			event, err := rec.Event()
			if err != nil {
				return nil, err
			}
			name, err := r.machine.apply(&event)
			if err != nil {
				return nil, err
			}
			if name != "" {
				changed[name] = true
			}
		}
		r.next, r.newest = batch.Next(), batch.Base()
	}
	return nil, nil
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
