package memlog

import (
	"context"

	"github.com/parleyhq/parley"
)

// watch is one place of one Wait, in its stream's list.
type watch struct {
	st    *stream
	at    parley.Position
	slot  int           // index in st.watches; −1 when it is not there any more
	ready chan struct{} // the Wait's, with room for one
}

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
	watches, ready := l.watch(at)
	if watches == nil && len(at) > 0 {
		return nil
	}
	defer l.unwatch(watches)
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch looks at all places and, if none has anything to read, enters them all
// in the same step: an Append comes before it and is seen, or after and wakes.
func (l *Log) watch(at []parley.Place) ([]watch, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range at {
		// The newest batch is never dropped, so what lies below the end is to
		// be read, or trimmed.
		if st := l.written(p.Stream); st != nil && p.At < st.next {
			return nil, nil
		}
	}
	ready := make(chan struct{}, 1)
	watches := make([]watch, len(at))
	for i, p := range at {
		st := l.stream(p.Stream)
		w := &watches[i]
		*w = watch{st, p.At, len(st.watches), ready}
		st.watches = append(st.watches, w)
	}
	return watches, ready
}

func (l *Log) unwatch(watches []watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range watches {
		if w := &watches[i]; w.slot >= 0 {
			w.st.leave(w)
			l.drop(w.st)
		}
	}
}

// wake tells everyone who waits for something that is now there.
func (st *stream) wake() {
	for i := len(st.watches) - 1; i >= 0; i-- {
		if w := st.watches[i]; w.at < st.next {
			w.fire()
			st.leave(w)
		}
	}
}

func (w *watch) fire() {
	select {
	case w.ready <- struct{}{}:
	default: // another place was first
	}
}

// leave takes a watch out; the last one takes its slot.
func (st *stream) leave(w *watch) {
	last := len(st.watches) - 1
	st.watches[w.slot] = st.watches[last]
	st.watches[w.slot].slot = w.slot
	st.watches[last] = nil
	st.watches = st.watches[:last]
	w.slot = -1
}
