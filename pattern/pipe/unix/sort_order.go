package unix

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// entry is a line in memory, without pointers, so that the collector has nothing
// to look at.
type entry struct {
	key   uint64 // orders lines, as far as it goes
	at    uint64 // slab and place in it; later lines have larger ones
	len   uint32
	times uint32
}

// lineStore keeps lines in slabs.
type lineStore struct {
	slabs    [][]byte
	entries  []entry
	bytes    int // of all slabs
	reserved bool
}

func (s *lineStore) line(e *entry) []byte {
	from := uint32(e.at)
	return s.slabs[e.at>>32][from : from+e.len : from+e.len]
}

// slabBytes is the size of a slab that lines are copied into.
const slabBytes = 1 << 20

// copyLine keeps a copy of a line. No line is copied once a block was adopted, so
// that later lines have larger places.
func (s *lineStore) copyLine(line []byte) {
	n := len(s.slabs) - 1
	if n < 0 || cap(s.slabs[n])-len(s.slabs[n]) < len(line) {
		s.slabs = append(s.slabs, make([]byte, 0, max(slabBytes, len(line))))
		n++
		s.bytes += cap(s.slabs[n])
	}
	from := len(s.slabs[n])
	s.slabs[n] = append(s.slabs[n], line...)
	s.entries = append(s.entries, entry{at: uint64(n)<<32 | uint64(from), len: uint32(len(line)), times: 1})
}

// adopt keeps a block of lines as it is.
func (s *lineStore) adopt(data []byte) {
	slab := uint64(len(s.slabs)) << 32
	s.slabs = append(s.slabs, data)
	s.bytes += cap(data)
	for at := 0; at < len(data); {
		end := len(data)
		if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
			end = at + n
		}
		s.entries = append(s.entries, entry{at: slab | uint64(at), len: uint32(end - at), times: 1})
		at = end + 1
	}
}

// reserve makes room for all entries at once, as soon as it can be told how many
// lines there will be at most: growing step by step would leave their slices of
// before for the collector.
func (s *lineStore) reserve(limit int) {
	if part := limit / 32; s.bytes < part || s.reserved || part == 0 {
		return
	}
	s.reserved = true
	lines := int(float64(len(s.entries)) * float64(limit) / float64(s.bytes+len(s.entries)*entryBytes))
	if lines += lines / 16; lines > cap(s.entries) {
		roomy := make([]entry, len(s.entries), lines) // append would write zeros all over it
		copy(roomy, s.entries)
		s.entries = roomy
	}
}

func (s *lineStore) reset() {
	for _, b := range s.slabs {
		(&block{data: b}).free()
	}
	clear(s.slabs)
	s.slabs, s.entries, s.bytes = s.slabs[:0], s.entries[:0], 0
}

// order sorts the lines in as many parts as there are workers.
func (s *lineStore) order(how *sorting, workers int) [][]entry {
	if len(s.entries) < 4096 {
		workers = 1
	}
	parts := make([][]entry, 0, workers)
	for i := range workers {
		parts = append(parts, s.entries[i*len(s.entries)/workers:(i+1)*len(s.entries)/workers])
	}
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() {
			if how.whole() {
				s.byBytes(part, 0)
				if how.reverse {
					slices.Reverse(part)
				}
				return
			}
			for i := range part {
				part[i].key = how.prefix(s.line(&part[i]))
			}
			slices.SortFunc(part, func(a, b entry) int {
				if c := cmp.Compare(a.key, b.key); c != 0 {
					return c
				}
				if c := how.compare(s.line(&a), s.line(&b)); c != 0 {
					return c
				}
				return cmp.Compare(a.at, b.at)
			})
		})
	}
	all.Wait()
	return parts
}

// few is how many lines are compared as they are.
const few = 12

// byBytes sorts lines that are equal up to a place: by the eight bytes behind what
// all have in common, and then those that are still equal.
func (s *lineStore) byBytes(part []entry, at int) {
	if len(part) <= few {
		slices.SortFunc(part, func(a, b entry) int { return bytes.Compare(s.line(&a)[at:], s.line(&b)[at:]) })
		return
	}
	at = s.common(part, at)
	for i := range part {
		part[i].key = bytePrefix(s.line(&part[i]), at)
	}
	slices.SortFunc(part, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for from := 0; from < len(part); {
		to := from + 1
		for to < len(part) && part[to].key == part[from].key {
			to++
		}
		if to-from > 1 {
			s.sameKey(part[from:to], at+8)
		}
		from = to
	}
}

// sameKey sorts lines that are equal before a place, but for NULs that may stand
// for the end of a line.
func (s *lineStore) sameKey(part []entry, at int) {
	long := 0
	for i := range part { // those that end before it come first
		if int(part[i].len) <= at {
			part[i], part[long] = part[long], part[i]
			long++
		}
	}
	slices.SortFunc(part[:long], func(a, b entry) int { return cmp.Compare(a.len, b.len) })
	if len(part)-long > 1 {
		s.byBytes(part[long:], at)
	}
}

// common gives how far all lines are equal, which they are up to at.
func (s *lineStore) common(part []entry, at int) int {
	first := s.line(&part[0])
	n := len(first)
	for i := 1; i < len(part) && n > at; i++ {
		l := s.line(&part[i])
		n = min(n, len(l))
		if bytes.Equal(first[at:n], l[at:n]) {
			continue
		}
		k := at
		for first[k] == l[k] {
			k++
		}
		n = k
	}
	return n
}
