package queue

import "math"

// foremost finds the job to lease next: the highest priority, and of that the oldest.
// Where it is the first of a run, the run's jobs below end are next, too, one after
// the other. id 0: there is none.
func (m *machine) foremost() (id int64, of *run, end int64) {
	for p := MaxPriority; p >= 0; p-- {
		first, other := &m.fresh[classOf(uint8(p), false)], &m.fresh[classOf(uint8(p), true)]
		if own := other.head(); own != 0 && (first.n == 0 || own < first.head()) {
			first, other = other, first
		}
		end := int64(math.MaxInt64)
		if other.n > 0 {
			end = other.head()
		}
		back, some := m.offers[p].first()
		if some {
			end = min(end, back.id)
		}
		switch {
		case first.n > 0 && first.head() < end:
			return first.head(), &first.runs[0], end
		case some:
			return back.id, nil, 0
		}
	}
	return 0, nil, 0
}

// candidate is the job to lease next. 0: there is none.
func (m *machine) candidate() int64 {
	id, _, _ := m.foremost()
	return id
}

// candidates are up to n jobs to lease next, in that order, as far as they can be
// told without leasing the first ones: of those that are in a run.
func (m *machine) candidates(n int) []int64 {
	id, of, end := m.foremost()
	if id == 0 || n < 1 {
		return nil
	}
	ids := append(make([]int64, 0, n), id)
	for k := int64(1); of != nil && k < min(of.n, int64(n)) && of.first+k*of.step < end; k++ {
		ids = append(ids, of.first+k*of.step)
	}
	return ids
}
