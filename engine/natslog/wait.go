package natslog

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
)

// watch is one place of one Wait, in its stream's list.
type watch struct {
	st    *stream
	at    parley.Position
	slot  int           // index in st.watches; −1 when it is not there any more
	ready chan struct{} // the Wait's, with room for one
}

// loads is how many streams a Wait looks up at a time.
const loads = 16

// Wait implements parley.Log. It costs nothing while nothing happens: a place is
// looked at when the tail brings something for its stream.
func (l *Log) Wait(ctx context.Context, at ...parley.Place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range at {
		if err := p.Check(); err != nil {
			return err
		}
	}
	if len(at) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		if err := l.know(ctx, at); err != nil {
			return err
		}
		watches, ready, again := l.watch(at)
		if again {
			continue // the tail began anew meanwhile
		}
		if watches == nil {
			return nil
		}
		err := func() error {
			defer l.unwatch(watches)
			select {
			case <-ready:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			case <-l.ended:
				return &parley.Error{Code: parley.Unavailable, Detail: "the log has ended"}
			}
		}()
		if err != nil || !l.anew(watches) {
			return err
		}
	}
}

// know makes all streams known, several at a time.
func (l *Log) know(ctx context.Context, at []parley.Place) error {
	var missing []parley.Place
	for _, p := range at {
		h, err := l.home(p.Stream)
		if err != nil {
			return err
		}
		l.mu.Lock()
		st := h.streams[p.Stream]
		if st == nil || !st.loaded || !h.up {
			missing = append(missing, p)
		}
		l.mu.Unlock()
	}
	errs := make(chan error, len(missing))
	room := make(chan struct{}, loads)
	var all sync.WaitGroup
	for _, p := range missing {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			h, err := l.home(p.Stream)
			if err == nil {
				_, err = h.known(ctx, p.Stream)
			}
			errs <- err
		})
	}
	all.Wait()
	for range missing {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// watch looks at all places and, if none has anything to read, enters them all in
// the same step. again: some stream is not known any more.
func (l *Log) watch(at []parley.Place) (watches []watch, ready chan struct{}, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	streams := make([]*stream, len(at))
	for i, p := range at {
		h, err := l.home(p.Stream)
		if err != nil {
			return nil, nil, true // know tells it
		}
		st := h.streams[p.Stream]
		if st == nil || !st.loaded {
			return nil, nil, true
		}
		if st.readable(p.At) {
			return nil, nil, false
		}
		streams[i] = st
	}
	ready = make(chan struct{}, 1)
	watches = make([]watch, len(at))
	for i, st := range streams {
		w := &watches[i]
		*w = watch{st, at[i].At, len(st.watches), ready}
		st.watches = append(st.watches, w)
	}
	return watches, ready, false
}

// readable says whether a Read at the place would give or say anything. Log.mu is
// held.
func (st *stream) readable(at parley.Position) bool { return st.written() && at < st.end }

// anew says whether a Wait was woken only because its streams must be looked at
// again.
func (l *Log) anew(watches []watch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range watches {
		if !watches[i].st.loaded {
			return true
		}
	}
	return false
}

func (l *Log) unwatch(watches []watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range watches {
		if w := &watches[i]; w.slot >= 0 {
			w.st.leave(w)
		}
	}
}

// wake tells everyone who waits for something that is now there, or everyone.
// Log.mu is held.
func (st *stream) wake(all bool) {
	for i := len(st.watches) - 1; i >= 0; i-- {
		if w := st.watches[i]; all || w.at < st.end {
			select {
			case w.ready <- struct{}{}:
			default: // another place was first
			}
			st.leave(w)
		}
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
