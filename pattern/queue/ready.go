package queue

import (
	"slices"
	"sort"
)

// class sorts jobs in their initial state: by priority, and whether their events
// hold terms of their own.
type class uint8

const classes = 2 * (MaxPriority + 1)

func classOf(prio uint8, terms bool) class {
	if terms {
		return class(2*prio + 1)
	}
	return class(2 * prio)
}

func (c class) prio() uint8 { return uint8(c / 2) }
func (c class) terms() bool { return c%2 == 1 }

// run is n jobs in their initial state at first, first+step, …: what makes a
// backlog small. Where positions are dense, a backlog is one run.
type run struct{ first, step, n int64 }

func (r run) last() int64 { return r.first + r.step*(r.n-1) }

// index is which of the run's jobs id is; -1 if it is none.
func (r run) index(id int64) int64 {
	if id < r.first || id > r.last() || (id-r.first)%r.step != 0 {
		return -1
	}
	return (id - r.first) / r.step
}

// ready is an ascending list of runs.
type ready struct {
	runs []run
	n    int64
}

// add appends runs of higher ids than all there are.
func (s *ready) add(r run) {
	s.n += r.n
	if len(s.runs) > 0 {
		last := &s.runs[len(s.runs)-1]
		gap := r.first - last.last()
		switch {
		case last.n == 1 && (r.n == 1 || r.step == gap):
			last.step, last.n = gap, 1+r.n
			return
		case gap == last.step && (r.n == 1 || r.step == gap):
			last.n += r.n
			return
		}
	}
	s.runs = append(s.runs, r)
}

// head is the oldest job, 0 when there is none.
func (s *ready) head() int64 {
	if len(s.runs) == 0 {
		return 0
	}
	return s.runs[0].first
}

// find gives the index of the run that holds id, or -1.
func (s *ready) find(id int64) int {
	i := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].last() >= id })
	if i == len(s.runs) || s.runs[i].index(id) < 0 {
		return -1
	}
	return i
}

// take removes a job and reports whether it was there.
func (s *ready) take(id int64) bool {
	i := s.find(id)
	if i < 0 {
		return false
	}
	s.n--
	r := &s.runs[i]
	switch k := r.index(id); {
	case r.n == 1:
		if i == 0 {
			s.runs = s.runs[1:] // the head leaves all the time: nothing is moved
			break
		}
		s.runs = slices.Delete(s.runs, i, i+1)
	case k == 0:
		r.first, r.n = r.first+r.step, r.n-1
	case k == r.n-1:
		r.n--
	default:
		rest := run{r.first + (k+1)*r.step, r.step, r.n - k - 1}
		r.n = k
		s.runs = slices.Insert(s.runs, i+1, rest)
	}
	return true
}

// after walks the jobs with a greater id, ascending.
func (s *ready) after(id int64, yield func(int64) bool) bool {
	i := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].last() > id })
	for ; i < len(s.runs); i++ {
		r := s.runs[i]
		k := int64(0)
		if id >= r.first {
			k = (id-r.first)/r.step + 1
		}
		for ; k < r.n; k++ {
			if !yield(r.first + k*r.step) {
				return false
			}
		}
	}
	return true
}

// clear removes all jobs and gives their number.
func (s *ready) clear() int64 {
	n := s.n
	*s = ready{}
	return n
}
