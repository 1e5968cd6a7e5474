package memlog

import (
	"time"

	"github.com/parleyhq/parley"
)

// once is what a stream remembers of Once keys: where each went, and in what
// order they came. Times are counted from the opening of the log. It is pure.
type once struct {
	first map[parley.Key]parley.Position
	order []stamp // from head on, oldest first
	head  int
}

type stamp struct {
	key parley.Key
	at  time.Duration
}

func (o *once) len() int { return len(o.first) }

// add remembers a key that is not remembered yet.
func (o *once) add(k parley.Key, base parley.Position, now time.Duration) {
	if o.first == nil {
		o.first = make(map[parley.Key]parley.Position)
	}
	o.first[k] = base
	o.order = append(o.order, stamp{k, now})
	o.prune(now)
}

// prune forgets the keys that may be forgotten.
func (o *once) prune(now time.Duration) {
	for len(o.first) > 0 && (len(o.first) > parley.OnceKeys || now-o.order[o.head].at > parley.OnceWindow) {
		delete(o.first, o.order[o.head].key)
		o.head++
	}
	switch {
	case len(o.first) == 0:
		*o = once{} // a map keeps its size for ever
	case o.head > len(o.order)/2:
		o.order = append([]stamp(nil), o.order[o.head:]...)
		o.head = 0
	}
}
