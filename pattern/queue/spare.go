package queue

// spare keeps the entries of jobs that ended for those that come: most jobs are
// entries for a moment only, and as many begin as end.
type spare struct {
	entries []*entry
	mores   []*more
}

// maxSpare bounds what is kept, and spareHistory the attempts that one has room for:
// altogether some 300 KB.
const (
	maxSpare     = 1024
	spareHistory = 2
)

// keep takes an entry that nothing refers to any more.
func (s *spare) keep(e *entry) {
	if r := e.more; r != nil && len(s.mores) < maxSpare && cap(r.history) <= spareHistory {
		clear(r.history) // texts
		*r = more{history: r.history[:0]}
		s.mores = append(s.mores, r)
	}
	if len(s.entries) < maxSpare {
		*e = entry{}
		s.entries = append(s.entries, e)
	}
}

func (s *spare) entry() *entry {
	last := len(s.entries) - 1
	if last < 0 {
		return new(entry)
	}
	e := s.entries[last]
	s.entries = s.entries[:last]
	return e
}

func (s *spare) more() *more {
	last := len(s.mores) - 1
	if last < 0 {
		return new(more)
	}
	r := s.mores[last]
	s.mores = s.mores[:last]
	return r
}
