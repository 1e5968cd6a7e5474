package throttle

import (
	"math/bits"
	"time"
)

// hash is a key as the tables know it: 128 bits, seeded by chance in each
// process. Two keys that share all of them share a limit; among a thousand
// million keys the odds of any such pair are about 1 in 10²⁰. hi is odd, so
// that a zero word marks an empty cell.
type hash struct{ hi, lo uint64 }

// idler tells the table which cells hold nothing worth keeping.
type idler interface {
	idle(s []uint64, now time.Duration) bool
}

// table maps hashes to states of a fixed number of words, in one slab without
// pointers: two words for the hash, then the state. Linear probing from
// ⌊lo·slots/2⁶⁴⌋, so that the slab may have any length. It is not safe for
// concurrent use; slices it returns are good until the next claim.
type table struct {
	slab  []uint64
	cells int // the length of slab in cells, kept since a division costs as much as a lookup
	words int // of a state
	used  int
	most  int // cells in use at most
	hand  int // next cell to be looked at for reuse
}

const (
	cellHead  = 2
	firstSize = 8
	// sweepStep cells are checked for reuse at each new key. The hand has been
	// everywhere after slots/sweepStep new keys, so cells that time has emptied
	// make up a small part of the table, and no key ever pays for a full sweep.
	sweepStep = 8
)

func (t *table) stride() int { return cellHead + t.words }
func (t *table) slots() int  { return t.cells }

func (t *table) home(h hash, slots int) int {
	hi, _ := bits.Mul64(h.lo, uint64(slots))
	return int(hi)
}

// find returns the state of a key, or nil.
func (t *table) find(h hash) []uint64 {
	i := t.index(h)
	if i < 0 {
		return nil
	}
	stride := t.stride()
	return t.slab[i*stride+cellHead : (i+1)*stride]
}

// index is the cell of a key, or -1.
func (t *table) index(h hash) int {
	if t.used == 0 {
		return -1
	}
	stride, slots := t.stride(), t.slots()
	for i := t.home(h, slots); ; {
		switch cell := t.slab[i*stride : i*stride+cellHead]; {
		case cell[0] == h.hi && cell[1] == h.lo:
			return i
		case cell[0] == 0:
			return -1
		}
		if i++; i == slots {
			i = 0
		}
	}
}

// claim makes room for a key that find did not find and returns its state, all
// zeros; nil when as many cells as allowed are in use and the hand met no idle
// one.
func (t *table) claim(h hash, now time.Duration, rule idler) []uint64 {
	t.sweep(now, rule)
	if t.used >= t.most {
		return nil
	}
	if slots := t.slots(); t.used+1 > slots-slots/4 {
		t.grow()
	}
	t.used++
	return t.place(h)
}

// place finds the free cell for a key. There must be one.
func (t *table) place(h hash) []uint64 {
	stride, slots := t.stride(), t.slots()
	i := t.home(h, slots)
	for t.slab[i*stride] != 0 {
		if i++; i == slots {
			i = 0
		}
	}
	cell := t.slab[i*stride : (i+1)*stride]
	cell[0], cell[1] = h.hi, h.lo
	return cell[cellHead:]
}

// grow makes the slab a third longer, but no longer than the most cells need
// at a load of three quarters. Above that runs get long.
func (t *table) grow() {
	slots := t.slots()
	next := max(firstSize, slots+slots/3)
	next = max(min(next, t.most+t.most/3+2), slots+1)
	old := t.slab
	t.slab, t.cells, t.hand = make([]uint64, next*t.stride()), next, 0
	for stride := t.stride(); len(old) > 0; old = old[stride:] {
		if old[0] != 0 {
			copy(t.place(hash{old[0], old[1]}), old[cellHead:stride])
		}
	}
}

// sweep frees the idle among the next few cells.
func (t *table) sweep(now time.Duration, rule idler) {
	stride, slots := t.stride(), t.slots()
	for range min(sweepStep, slots) {
		if t.hand >= slots {
			t.hand = 0
		}
		cell := t.slab[t.hand*stride : (t.hand+1)*stride]
		if cell[0] != 0 && rule.idle(cell[cellHead:], now) {
			t.remove(t.hand) // another cell may have moved here: look again
			continue
		}
		t.hand++
	}
}

// remove empties cell i and moves later cells of its run up, so that no
// tombstone is ever needed.
func (t *table) remove(i int) {
	stride, slots := t.stride(), t.slots()
	t.used--
	for j := i; ; {
		if j++; j == slots {
			j = 0
		}
		cell := t.slab[j*stride : (j+1)*stride]
		if cell[0] == 0 {
			break
		}
		// The cell may move to i unless its home lies in (i, j], cyclically.
		home := t.home(hash{cell[0], cell[1]}, slots)
		if (j-home+slots)%slots < (j-i+slots)%slots {
			continue
		}
		copy(t.slab[i*stride:(i+1)*stride], cell)
		i = j
	}
	clear(t.slab[i*stride : (i+1)*stride])
}

// forget removes a key.
func (t *table) forget(h hash) {
	if i := t.index(h); i >= 0 {
		t.remove(i)
	}
}

// each calls f with every key's state.
func (t *table) each(f func(h hash, s []uint64)) {
	stride := t.stride()
	for c := t.slab; len(c) > 0; c = c[stride:] {
		if c[0] != 0 {
			f(hash{c[0], c[1]}, c[cellHead:stride])
		}
	}
}
