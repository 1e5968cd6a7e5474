package natslog

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/watch"
)

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
		w, streams, again := l.watch(at)
		if again {
			continue // the tail began anew meanwhile
		}
		if w == nil {
			return nil
		}
		err := func() error {
			defer l.unwatch(w)
			select {
			case <-w.Ready():
				return nil
			case <-ctx.Done():
				return ctx.Err()
			case <-l.ended:
				return &parley.Error{Code: parley.Unavailable, Detail: "the log has ended"}
			}
		}()
		if err != nil || !l.anew(streams) {
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
func (l *Log) watch(at []parley.Place) (w *watch.Wait[parley.Position], streams []*stream, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	streams = make([]*stream, len(at))
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
	w = watch.New[parley.Position](len(at))
	for i, st := range streams {
		w.Enter(&st.watches, at[i].At)
	}
	return w, streams, false
}

// readable says whether a Read at the place would give or say anything. Log.mu is
// held.
func (st *stream) readable(at parley.Position) bool { return st.written() && at < st.end }

// anew says whether a Wait was woken only because its streams must be looked at
// again.
func (l *Log) anew(streams []*stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, st := range streams {
		if !st.loaded {
			return true
		}
	}
	return false
}

func (l *Log) unwatch(w *watch.Wait[parley.Position]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Leave()
}
