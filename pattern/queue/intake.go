package queue

import (
	"encoding/binary"
	"math"
)

// An intake move takes in what the jobs stream holds from the last one on. Its
// items are
//
//	0 priority Δfirst step n                 jobs in their initial state
//	1 priority Δid due key unique            a job that wants more
//	2 Δplace id                              a job that compaction copied forward
//
// where a priority with the bit withTerms is that of jobs with terms of their own,
// each Δ from the position before it. Which job a unique one is a duplicate of is
// decided here, by the order of the stream alone.
type intake struct {
	kind        byte
	prio        uint8
	terms       bool  // its event holds terms of its own
	run         run   // 0; first is the id or place of the others
	id          int64 // 2
	due         int64 // 1
	key, unique string
}

const (
	itemRun = iota
	itemJob
	itemCopy
)

// encodeIntake encodes the items, which ascend.
func encodeIntake(next int64, list []intake) []byte {
	b, last := appendID([]byte{moveIntake}, next), int64(0)
	for _, it := range list {
		b = append(b, it.kind)
		if it.kind != itemCopy {
			b = append(b, mark8(it.prio, it.terms))
		}
		b = appendID(b, it.run.first-last)
		last = it.run.first
		switch it.kind {
		case itemRun:
			b = appendID(appendID(b, it.run.step), it.run.n)
			last = it.run.last()
		case itemJob:
			b = appendText(appendText(appendID(b, it.due), it.key), it.unique)
		case itemCopy:
			b = appendID(b, it.id)
		}
	}
	return b
}

// decodeIntake checks an intake and gives what makes it.
func (m *machine) decodeIntake(d *decoder) func(now int64) {
	next, last := d.id(), int64(0)
	var list []intake
	for len(d.b) > 0 && !d.bad {
		it := d.intake(last)
		d.bad = d.bad || it.run.first < m.next || it.run.last() >= next
		last = it.run.last()
		list = append(list, it)
	}
	d.bad = d.bad || next < m.next
	return func(now int64) {
		for _, it := range list {
			m.takeIn(it, now)
		}
		m.next = next
	}
}

func (d *decoder) intake(last int64) (it intake) {
	it.kind = d.byte()
	if it.kind != itemCopy {
		it.prio, it.terms = cut8(d.byte())
	}
	d.bad = d.bad || it.prio > MaxPriority || it.kind > itemCopy
	it.run = run{last + d.id(), 1, 1}
	switch it.kind {
	case itemRun:
		it.run.step, it.run.n = d.id(), d.id()
		if d.bad || it.run.n > 1 && it.run.step > (math.MaxInt64/4)/it.run.n {
			d.bad = true
			return intake{}
		}
	case itemJob:
		it.due, it.key, it.unique = d.time(), d.text(MaxKey), d.text(MaxKey)
	case itemCopy:
		it.id = d.id()
		d.bad = d.bad || it.id >= it.run.first
	}
	return it
}

// withTerms is the bit of a priority, in moves and snapshots, that says that the
// event holds terms of its own.
const withTerms = 0x80

func mark8(prio uint8, terms bool) uint8 {
	if terms {
		prio |= withTerms
	}
	return prio
}

func cut8(b uint8) (prio uint8, terms bool) { return b &^ withTerms, b&withTerms != 0 }

// takeIn makes one item.
func (m *machine) takeIn(it intake, now int64) {
	id := it.run.first
	m.count(id, it.run.n)
	switch it.kind {
	case itemRun:
		m.enqueued += it.run.n
		m.fresh[classOf(it.prio, it.terms)].add(it.run)
	case itemCopy:
		if e := m.live(it.id); e != nil {
			e.place = id
			m.offer(it.id, e)
		}
	case itemJob:
		if it.unique != "" {
			if first, taken := m.unique[it.unique]; taken {
				m.dups.add(id, first)
				return
			}
			m.unique[it.unique] = id
		}
		m.enqueued++
		e := &entry{place: id, due: it.due, prio: it.prio, unread: it.terms}
		if it.unique != "" {
			e.rest().unique = it.unique
		}
		if it.key != "" {
			m.join(id, e, it.key)
		}
		p := phaseReady
		if it.due > now {
			p = phaseDelayed
		}
		m.add(id, e, p)
	}
}

// count counts n records from a position on.
func (m *machine) count(at, n int64) {
	if len(m.marks) == 0 || m.records-m.marks[len(m.marks)-1].records >= m.thrift.marks {
		m.marks = append(m.marks, mark{at, m.records})
	}
	m.records += n
}

// raise lifts the floor: what is below is not counted any more.
func (m *machine) raise(at int64) {
	m.floor = at
	i := 0
	for i+1 < len(m.marks) && m.marks[i+1].at <= at {
		i++
	}
	if i == 0 {
		return
	}
	dropped := m.marks[i].records
	m.marks = append([]mark(nil), m.marks[i:]...)
	for k := range m.marks {
		m.marks[k].records -= dropped
	}
	m.records -= dropped
}

// lowest is the position below which the jobs stream is not needed.
func (m *machine) lowest() int64 {
	low := m.next
	for c := range m.fresh {
		if head := m.fresh[c].head(); head != 0 {
			low = min(low, head)
		}
	}
	for _, e := range m.entries {
		low = min(low, e.place)
	}
	return low
}

// duplicates remembers the newest jobs that were dropped, for whoever enqueued
// them and asks.
type duplicates struct {
	of    map[int64]int64
	order []int64
}

const maxDuplicates = 4096

func (d *duplicates) add(id, of int64) {
	if d.of == nil {
		d.of = make(map[int64]int64)
	}
	if len(d.order) >= maxDuplicates {
		delete(d.of, d.order[0])
		d.order = d.order[1:]
	}
	d.of[id] = of
	d.order = append(d.order, id)
}

// gatherer makes items of records, joining jobs in their initial state.
type gatherer struct{ list []intake }

func (g *gatherer) plain(id int64, prio uint8, terms bool) {
	if n := len(g.list); n > 0 && g.list[n-1].kind == itemRun && g.list[n-1].prio == prio && g.list[n-1].terms == terms {
		r := &g.list[n-1].run
		if gap := id - r.last(); r.n == 1 || gap == r.step {
			r.step, r.n = gap, r.n+1
			return
		}
	}
	g.list = append(g.list, intake{kind: itemRun, prio: prio, terms: terms, run: run{id, 1, 1}})
}

func (g *gatherer) special(it intake) { g.list = append(g.list, it) }

// size is how many bytes the encoded item has at the most.
func (it intake) size() int { return 4*binary.MaxVarintLen64 + len(it.key) + len(it.unique) }
