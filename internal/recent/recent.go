// Package recent remembers keys: each for a time, and no more of them than a
// number. It is pure: times are arguments, counted from any moment.
package recent

import "time"

// Bounds are how much is remembered, whichever is less.
type Bounds struct {
	Keys int
	For  time.Duration
}

// Keys are keys with what came with them. The zero value remembers nothing yet.
type Keys[K comparable, V any] struct {
	of    map[K]V
	order []stamp[K] // from head on, oldest first
	head  int
}

type stamp[K comparable] struct {
	key K
	at  time.Duration
}

// Get gives what came with a key that is remembered. What is too old is still
// there until Prune.
func (k *Keys[K, V]) Get(key K) (V, bool) {
	v, ok := k.of[key]
	return v, ok
}

// Len is how many are remembered.
func (k *Keys[K, V]) Len() int { return len(k.of) }

// Add remembers a key that is not remembered yet, and forgets what the bounds
// leave no room for. now never falls.
func (k *Keys[K, V]) Add(key K, v V, now time.Duration, b Bounds) {
	if k.of == nil {
		k.of = make(map[K]V)
	}
	k.of[key] = v
	k.order = append(k.order, stamp[K]{key, now})
	k.Prune(now, b)
}

// Prune forgets the keys that may be forgotten.
func (k *Keys[K, V]) Prune(now time.Duration, b Bounds) {
	for len(k.of) > 0 && (len(k.of) > b.Keys || now-k.order[k.head].at > b.For) {
		delete(k.of, k.order[k.head].key)
		k.head++
	}
	switch {
	case len(k.of) == 0:
		*k = Keys[K, V]{} // a map keeps its size for ever
	case k.head > len(k.order)/2:
		k.order = append([]stamp[K](nil), k.order[k.head:]...)
		k.head = 0
	}
}
