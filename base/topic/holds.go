package topic

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
)

// Cut tells of a holder that kept too much and counts no more. When it comes
// back it reads on from the earliest event left, and may Hold again.
type Cut struct {
	Holder string
	Topic  string
	Stream parley.Stream
	At     parley.Position // the holder's place
	UpTo   parley.Position // what was trimmed: events from At up to here are gone, as far as the engine dropped them
}

// holds are the places that retention respects. They are kept in memory: a
// holder sets them again when it starts, before Run does. Those of other nodes are
// asked for: see AskHolders.
type holds struct {
	mu  sync.Mutex // only around the map
	all map[parley.Stream]map[string]parley.Position
}

// Hold keeps the events of a stream from at on, until holder moves on (by another
// Hold on the stream), releases, or is cut. Position 0 holds everything.
func (r *Registry) Hold(holder string, s parley.Stream, at parley.Position) {
	h := &r.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = make(map[parley.Stream]map[string]parley.Position)
	}
	if h.all[s] == nil {
		h.all[s] = make(map[string]parley.Position, 1)
	}
	h.all[s][holder] = at
}

// Release ends everything that holder holds.
func (r *Registry) Release(holder string) {
	h := &r.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.all {
		h.drop(s, holder)
	}
}

func (h *holds) drop(s parley.Stream, holder string) {
	delete(h.all[s], holder)
	if len(h.all[s]) == 0 {
		delete(h.all, s)
	}
}

// AskHolders has retention respect holds that other nodes keep, too. f is asked at
// most once in each round, and only in one in which something would be trimmed; an
// error keeps everything until the next round. It is called before Run, at most
// once.
func (r *Registry) AskHolders(f func(ctx context.Context) (map[parley.Stream][]Hold, error)) {
	r.elsewhere = f
}

// of gives the holds on a stream.
func (h *holds) of(s parley.Stream) []Hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Hold
	for holder, at := range h.all[s] {
		list = append(list, Hold{holder, at})
	}
	return list
}

// cut drops a hold if it is still where it was decided upon.
func (h *holds) cut(s parley.Stream, c Hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok := h.all[s][c.Holder]; !ok || at != c.At {
		return false
	}
	h.drop(s, c.Holder)
	return true
}

func (h *holds) forget(s parley.Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, s)
}
