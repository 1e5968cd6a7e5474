package policy

import (
	"hash/maphash"
	"sync"
	"time"
)

// Counts are decisions of a limit, by what became of the request. They only grow.
type Counts struct {
	Allowed  uint64 `json:"allowed"`
	Rejected uint64 `json:"rejected"`
	// Shaped were let in after they had waited.
	Shaped uint64 `json:"shaped"`
	// WouldReject would have been rejected, if the limit were not a shadow.
	WouldReject uint64 `json:"would_reject"`
}

func (c *Counts) count(o Outcome) {
	switch o {
	case Allowed:
		c.Allowed++
	case Rejected:
		c.Rejected++
	case Shaped:
		c.Shaped++
	case WouldReject:
		c.WouldReject++
	}
}

func (c *Counts) add(other Counts) {
	c.Allowed += other.Allowed
	c.Rejected += other.Rejected
	c.Shaped += other.Shaped
	c.WouldReject += other.WouldReject
}

// refused is what was rejected or would have been.
func (c *Counts) refused() uint64 { return c.Rejected + c.WouldReject }

const (
	tallyParts = 8
	partSeats  = 32 // names that a part remembers
	// MaxNamed is the longest key, in bytes, that Keys can name. Longer ones are
	// counted with the others.
	MaxNamed = 256
	// fadeEvery notes of a part halve the weights in it, so that who was busy
	// yesterday does not keep today's out.
	fadeEvery = 4096
)

// tally counts what a limit decides and remembers by name the keys that it decides
// about most: limiters know keys by their hashes only. It is the space-saving
// algorithm (Metwally, Agrawal, El Abbadi 2005) in parts with a lock each: a newcomer
// takes the seat of the lightest and inherits its weight. So in each part a key that
// makes up over a thirty-second of the latest decisions has a seat, however many others
// come and go, and memory stays below 150 KB a limit.
type tally struct {
	since time.Time
	seed  maphash.Seed
	parts [tallyParts]tallyPart
}

type tallyPart struct {
	mu     sync.Mutex
	counts Counts
	notes  uint32
	hashes []uint64 // of the keys in seats, in the same order
	seats  []seat
	_      [64]byte // neighbours do not share a cache line
}

// seat is a key that is remembered.
type seat struct {
	key    []byte
	weight uint64
	counts Counts // since it took the seat
}

func newTally(since time.Time) *tally { return &tally{since: since, seed: maphash.MakeSeed()} }

// note counts one decision about a key. It never waits for more than another note.
func (t *tally) note(key string, o Outcome) {
	hash := maphash.String(t.seed, key)
	p := &t.parts[hash%tallyParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.count(o)
	if p.notes++; p.notes%fadeEvery == 0 {
		for i := range p.seats {
			p.seats[i].weight /= 2
		}
	}
	if len(key) > MaxNamed {
		return
	}
	for i, h := range p.hashes {
		if h == hash && string(p.seats[i].key) == key {
			p.seats[i].weight++
			p.seats[i].counts.count(o)
			return
		}
	}
	s := p.seat(hash)
	s.key = append(s.key[:0], key...)
	s.weight++
	s.counts = Counts{}
	s.counts.count(o)
}

// seat gives a newcomer a seat: a new one, or that of the lightest.
func (p *tallyPart) seat(hash uint64) *seat {
	if len(p.seats) < partSeats {
		p.hashes, p.seats = append(p.hashes, hash), append(p.seats, seat{})
		return &p.seats[len(p.seats)-1]
	}
	least := 0
	for i := range p.seats {
		if p.seats[i].weight < p.seats[least].weight {
			least = i
		}
	}
	p.hashes[least] = hash
	return &p.seats[least]
}

// counts adds up the parts, one after the other.
func (t *tally) counts() (sum Counts) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		sum.add(p.counts)
		p.mu.Unlock()
	}
	return sum
}

// named is a key and what was decided about it.
type named struct {
	key    string
	counts Counts
}

// named lists the keys that are remembered, in no order.
func (t *tally) named() (all []named) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for _, s := range p.seats {
			all = append(all, named{string(s.key), s.counts})
		}
		p.mu.Unlock()
	}
	return all
}
