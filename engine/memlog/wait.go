package memlog

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/watch"
)

// Wait implements parley.Log. It costs no goroutine, and nothing while nothing
// happens: a place is looked at when its own stream is appended to.
func (l *Log) Wait(ctx context.Context, at ...parley.Place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range at {
		if err := checkPlace(ctx, p); err != nil {
			return err
		}
	}
	w := l.watch(at)
	if w == nil {
		return nil
	}
	defer l.unwatch(w, at)
	select {
	case <-w.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch looks at all places and, if none has anything to read, enters them all
// in the same step: an Append comes before it and is seen, or after and wakes.
func (l *Log) watch(at []parley.Place) *watch.Wait[parley.Position] {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range at {
		// The newest batch is never dropped, so what lies below the end is to
		// be read, or trimmed.
		if st := l.written(p.Stream); st != nil && p.At < st.next {
			return nil
		}
	}
	w := watch.New[parley.Position](len(at))
	for _, p := range at {
		w.Enter(&l.stream(p.Stream).watches, p.At)
	}
	return w
}

func (l *Log) unwatch(w *watch.Wait[parley.Position], at []parley.Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Leave()
	for _, p := range at {
		if st := l.streams[p.Stream]; st != nil {
			l.drop(st)
		}
	}
}
