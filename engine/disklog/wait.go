package disklog

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/watch"
)

// waits is who waits for which stream. Its lock is held for look-ups only, and
// the writer takes it once a group.
type waits struct {
	mu sync.Mutex
	of map[parley.Stream]*watch.List[parley.Position]
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
	w := l.watch(at)
	if w == nil {
		return nil
	}
	defer l.waits.leave(w, at)
	select {
	case <-w.Ready():
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
func (l *Log) watch(at []parley.Place) *watch.Wait[parley.Position] {
	w := watch.New[parley.Position](len(at))
	l.waits.mu.Lock()
	defer l.waits.mu.Unlock()
	c := l.core.Load()
	for _, p := range at {
		// The newest batch is never dropped, so what lies below the end is to be
		// read, or trimmed.
		if _, v := c.find(p.Stream); v != nil && (p.At < v.next || v.damaged != "") {
			return nil
		}
	}
	for _, p := range at {
		list := l.waits.of[p.Stream]
		if list == nil {
			list = new(watch.List[parley.Position])
			l.waits.of[p.Stream] = list
		}
		w.Enter(list, p.At)
	}
	return w
}

func (ws *waits) leave(w *watch.Wait[parley.Position], at []parley.Place) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.Leave()
	for _, p := range at {
		ws.drop(p.Stream)
	}
}

// drop forgets a stream that nobody waits for.
func (ws *waits) drop(s parley.Stream) {
	if list := ws.of[s]; list != nil && list.Len() == 0 {
		delete(ws.of, s)
	}
}

// wake tells everyone who waits for something that is there now. A stream
// without a view was removed.
func (ws *waits) wake(touched []*stream, views map[*stream]*view) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.of) == 0 {
		return
	}
	for _, st := range touched {
		list := ws.of[st.name]
		switch v := views[st]; {
		case list == nil:
		case v == nil:
			list.WakeAll()
		default:
			list.Wake(v.next)
		}
		ws.drop(st.name)
	}
}

// wakeAll makes every Wait look again.
func (ws *waits) wakeAll() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, list := range ws.of {
		list.WakeAll()
	}
	clear(ws.of)
}
