package disklog

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
)

// waits is who waits for which stream. Its lock is held for look-ups only, and
// the writer takes it once a group.
type waits struct {
	mu sync.Mutex
	of map[parley.Stream][]*watch
}

// watch is one place of one Wait, in its stream's list.
type watch struct {
	place parley.Place
	slot  int           // index in the list; −1 when it is not there any more
	ready chan struct{} // the Wait's, with room for one
}

// Wait implements parley.Log. It costs no goroutine, and nothing while nothing
// happens.
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
	defer l.waits.leave(watches)
	select {
	case <-ready:
		return nil
	case <-l.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch looks at all places and, if none has anything to read, enters them all
// in the same step: a view is stored before its waiters are looked for, so it is
// seen here, or these are found there.
func (l *Log) watch(at []parley.Place) ([]watch, chan struct{}) {
	ready := make(chan struct{}, 1)
	watches := make([]watch, len(at))
	l.waits.mu.Lock()
	defer l.waits.mu.Unlock()
	c := l.core.Load()
	for _, p := range at {
		// The newest batch is never dropped, so what lies below the end is to be
		// read, or trimmed.
		if _, v := c.find(p.Stream); v != nil && (p.At < v.next || v.damaged != "") {
			return nil, nil
		}
	}
	for i, p := range at {
		list := l.waits.of[p.Stream]
		watches[i] = watch{p, len(list), ready}
		l.waits.of[p.Stream] = append(list, &watches[i])
	}
	return watches, ready
}

func (w *waits) leave(watches []watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range watches {
		if watches[i].slot >= 0 {
			w.take(&watches[i])
		}
	}
}

// wake tells everyone who waits for something that is there now. A stream
// without a view was removed.
func (w *waits) wake(touched []*stream, views map[*stream]*view) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.of) == 0 {
		return
	}
	for _, st := range touched {
		v := views[st]
		list := w.of[st.name]
		for i := len(list) - 1; i >= 0; i-- {
			if one := list[i]; v == nil || one.place.At < v.next {
				one.fire()
				w.take(one)
			}
		}
	}
}

// wakeAll makes every Wait look again.
func (w *waits) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range w.of {
		for _, one := range list {
			one.fire()
			one.slot = -1
		}
	}
	clear(w.of)
}

func (one *watch) fire() {
	select {
	case one.ready <- struct{}{}:
	default: // another place was first
	}
}

// take takes a watch out; the last one of its list takes its slot.
func (w *waits) take(one *watch) {
	list := w.of[one.place.Stream]
	last := len(list) - 1
	list[one.slot] = list[last]
	list[one.slot].slot = one.slot
	list[last] = nil
	one.slot = -1
	if last == 0 {
		delete(w.of, one.place.Stream)
		return
	}
	w.of[one.place.Stream] = list[:last]
}
