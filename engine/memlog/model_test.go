package memlog

import (
	"maps"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

// model is the contract without any thought of speed: lists, walked from the
// front. Two things are its own to know: positions are dense from 1, and the
// engine drops and rewrites exactly what it may.
type model struct {
	streams map[parley.Stream]*modelStream
	now     time.Time
	lives   uint32
}

type modelStream struct {
	epoch   uint32
	batches []parley.Batch // with base and epoch set
	next    parley.Position
	newest  parley.Position
	low     parley.Position
	keys    []modelKey
}

type modelKey struct {
	key  parley.Key
	base parley.Position
	at   time.Time
}

func (m *model) get(s parley.Stream) modelStream {
	if st := m.streams[s]; st != nil {
		return *st
	}
	return modelStream{next: 1}
}

func (m *model) append(writes []parley.Write) ([]parley.Appended, parley.Code) {
	const ok = parley.Code(255)
	if w := writes[0]; w.Once != (parley.Key{}) {
		if len(writes) > 1 || w.Batch.IsZero() {
			return nil, parley.Invalid
		}
		st := m.get(w.Stream)
		for _, k := range st.keys {
			if k.key == w.Once && m.now.Sub(k.at) <= parley.OnceWindow {
				return []parley.Appended{{Base: k.base, Repeat: true}}, ok
			}
		}
	}
	after := maps.Clone(m.streams) // applied as a whole, or not at all
	out := make([]parley.Appended, len(writes))
	for i, w := range writes {
		st := modelStream{next: 1}
		if old := after[w.Stream]; old != nil {
			st = *old
		}
		if w.Expect == parley.Empty && st.newest != 0 || w.Expect > 0 && w.Expect != st.newest {
			return nil, parley.Conflict
		}
		if out[i].Base = st.newest; w.Batch.IsZero() {
			continue
		}
		if st.newest == 0 {
			st.epoch = 1 + m.lives
		}
		b := w.Batch.Clone()
		parley.SetBase(b.Bytes(), st.next, st.epoch)
		st.batches = append(slices.Clone(st.batches), b)
		st.newest, st.next = st.next, b.Next()
		out[i].Base = st.newest
		if w.Once != (parley.Key{}) {
			st.keys = append(slices.Clone(st.keys), modelKey{w.Once, st.newest, m.now})
		}
		after[w.Stream] = &st
	}
	m.streams = after
	return out, ok
}

// readable gives the batches from a position on.
func (st *modelStream) readable(at parley.Position) (all []parley.Batch) {
	for _, b := range st.batches {
		if b.Next() > at {
			all = append(all, b)
		}
	}
	return all
}

func (st *modelStream) trim(upTo parley.Position) {
	for len(st.batches) > 1 && st.batches[0].Next() <= upTo {
		st.low = st.batches[0].Next()
		st.batches = st.batches[1:]
	}
}

func (st *modelStream) rewrite(from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) {
	var left []parley.Batch
	for _, b := range st.batches {
		if b.Base() >= from && b.Next() <= to && b.Base() != st.newest {
			b, _ = keep(b)
		}
		if b.Len() > 0 {
			left = append(left, b)
		}
	}
	st.batches = left
}

func (st *modelStream) stats() (s parley.Stats) {
	if st.newest == 0 {
		return s
	}
	first := st.batches[0]
	s = parley.Stats{Earliest: first.Base(), Low: st.low, End: st.next, Newest: st.newest, Oldest: first.MaxTime(), Epoch: st.epoch}
	for _, b := range st.batches {
		s.Bytes += int64(b.Size())
		s.Events += int64(b.Len())
	}
	return s
}

func (st *modelStream) back(at parley.Position, n int) parley.Position {
	var below []parley.Position
	for _, b := range st.batches {
		if b.Base() < at {
			below = append(below, b.Base())
		}
	}
	switch {
	case n < 1:
		return at
	case n <= len(below):
		return below[len(below)-n]
	}
	return st.stats().Earliest
}

func (st *modelStream) at(t time.Time) parley.Position {
	for _, b := range st.batches {
		if !b.MaxTime().Before(t.Truncate(time.Millisecond)) {
			return b.Base()
		}
	}
	return st.stats().End
}
