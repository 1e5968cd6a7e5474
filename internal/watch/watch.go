// Package watch keeps who waits at which place of a stream, for logs whose Wait
// costs no goroutine, and nothing while nothing happens.
package watch

import "cmp"

// List is who waits at one stream. Whoever owns it guards it, and all Waits that
// entered it, with one lock.
type List[P cmp.Ordered] struct{ all []*entry[P] }

// Wait is one caller who waits at several places until one of them has news.
type Wait[P cmp.Ordered] struct {
	ready   chan struct{} // with room for one: the first place that fires
	entries []entry[P]    // of fixed capacity: lists point into it
}

type entry[P cmp.Ordered] struct {
	list  *List[P]
	at    P
	slot  int // index in the list; −1 when it is not there any more
	ready chan struct{}
}

// New makes a Wait that will enter that many lists.
func New[P cmp.Ordered](places int) *Wait[P] {
	return &Wait[P]{make(chan struct{}, 1), make([]entry[P], 0, places)}
}

// Ready fires once a place has news.
func (w *Wait[P]) Ready() <-chan struct{} { return w.ready }

// Enter makes w wait for what comes at or after a place.
func (w *Wait[P]) Enter(l *List[P], at P) {
	w.entries = append(w.entries, entry[P]{l, at, len(l.all), w.ready})
	l.all = append(l.all, &w.entries[len(w.entries)-1])
}

// Leave takes w out of all lists that it still is in.
func (w *Wait[P]) Leave() {
	for i := range w.entries {
		if e := &w.entries[i]; e.slot >= 0 {
			e.leave()
		}
	}
}

// Len is how many wait.
func (l *List[P]) Len() int { return len(l.all) }

// Wake tells everyone who waits for something before end.
func (l *List[P]) Wake(end P) {
	for i := len(l.all) - 1; i >= 0; i-- {
		if e := l.all[i]; e.at < end {
			e.fire()
		}
	}
}

// WakeAll tells everyone: they look again.
func (l *List[P]) WakeAll() {
	for len(l.all) > 0 {
		l.all[len(l.all)-1].fire()
	}
}

func (e *entry[P]) fire() {
	select {
	case e.ready <- struct{}{}:
	default: // another place was first
	}
	e.leave()
}

// leave takes an entry out; the last one takes its slot.
func (e *entry[P]) leave() {
	all := e.list.all
	last := len(all) - 1
	all[e.slot] = all[last]
	all[e.slot].slot = e.slot
	all[last] = nil
	e.list.all = all[:last]
	e.slot = -1
}
