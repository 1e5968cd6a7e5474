package disklog

import (
	"errors"
	"io/fs"
	"slices"
)

// scan walks the groups of the log in order and decides what a place at which
// none can be read means. It is pure but for load.
//
// Groups are numbered, and a commit frame says up to where the log had been
// flushed when it was written. So where the next group should be and is not:
//
//   - a later file begins with it: the log went on there;
//   - no later commit frame says that this place was flushed: it is the end, and
//     whatever lies behind was never acknowledged;
//   - else it was flushed and is damaged.
type scan struct {
	gens []uint64         // of the files, ascending
	ends map[uint64]int64 // of files that are known to be whole
	load func(gen uint64) ([]byte, error)

	// group takes a group; bad are the indexes of its frames that fail their check.
	group func(gen uint64, c *commit, frames []frame, bad []int)
	// lost takes damage that hides which streams it hit: the bytes that should have
	// been groups; nil if the file is missing.
	lost func(at place, bytes []byte, why string)

	seq    uint64 // number of the last group
	end    place  // behind it
	synced place  // up to where the log says that it was flushed
	torn   bool   // something that was never acknowledged lies behind the end
	resync bool   // a commit frame was lost: take the next group that there is

	cache map[uint64][]byte
}

func (s *scan) file(gen uint64) ([]byte, error) {
	if b, ok := s.cache[gen]; ok {
		return b, nil
	}
	b, err := s.load(gen)
	if err != nil {
		return nil, err
	}
	if end, ok := s.ends[gen]; ok && end < int64(len(b)) {
		b = b[:end]
	}
	if s.cache == nil {
		s.cache = make(map[uint64][]byte)
	}
	s.cache[gen] = b
	return b, nil
}

// run walks all files.
func (s *scan) run() error {
	for i, gen := range s.gens {
		b, err := s.file(gen)
		if errors.Is(err, fs.ErrNotExist) {
			s.lost(place{gen, 0}, nil, "a log file is missing")
			s.resync = true
			continue
		}
		if err != nil {
			return err
		}
		ended, err := s.runFile(i, b)
		if ended || err != nil {
			return err
		}
		delete(s.cache, gen)
	}
	return nil
}

// runFile walks one file. ended says that the log ends in it.
func (s *scan) runFile(i int, b []byte) (ended bool, err error) {
	gen, off := s.gens[i], int64(0)
	end, whole := s.ends[gen]
	for {
		if c, ok := cutGroup(gen, b, off); ok && (c.seq == s.seq+1 || s.resync && c.seq > s.seq) {
			if frames, bad := c.frames(gen, b); len(bad) == 0 {
				s.take(gen, &c, frames, nil)
				off = c.end
				continue
			}
		}
		if whole && off >= end {
			return false, nil
		}
		if !whole {
			here := place{gen, off}
			onward, err := s.goesOn(i)
			if onward || err != nil {
				return false, err
			}
			flushed, err := s.flushed(i, here)
			if err != nil {
				return false, err
			}
			if !flushed {
				if s.resync { // nothing is left of this file; what follows decides
					return false, nil
				}
				s.torn = s.seemsTorn(gen, b, off)
				return true, nil
			}
		}
		if off = s.damage(gen, b, off); off < 0 {
			return false, nil
		}
	}
}

// take passes a group on.
func (s *scan) take(gen uint64, c *commit, frames []frame, bad []int) {
	s.seq, s.end, s.resync = c.seq, place{gen, c.end}, false
	if c.synced.after(s.synced) {
		s.synced = c.synced
	}
	s.group(gen, c, frames, bad)
}

// damage handles a place that was flushed and cannot be read, and gives where to
// go on in the file, −1 for the next one.
func (s *scan) damage(gen uint64, b []byte, off int64) int64 {
	for at := off; ; {
		c, ok := findCommit(gen, b, at)
		switch {
		case !ok:
			s.lost(place{gen, off}, b[min(off, int64(len(b))):len(b):len(b)], "a commit frame is damaged")
			s.resync = true
			return -1
		case c.seq == s.seq+1 && c.start == off:
			frames, bad := c.frames(gen, b)
			s.take(gen, &c, frames, bad)
			return c.end
		case c.seq > s.seq && c.start >= off:
			s.lost(place{gen, off}, b[off:c.start], "a commit frame is damaged")
			s.seq = c.seq - 1
			return c.start
		}
		at = c.end // an older one, by whatever accident
	}
}

// goesOn says whether a later file begins with the next group. Files between
// may be empty: one that was prepared and turned out too small.
func (s *scan) goesOn(i int) (bool, error) {
	for _, gen := range s.gens[i+1:] {
		b, err := s.file(gen)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if c, ok := cutGroup(gen, b, 0); ok && c.seq == s.seq+1 {
			return true, nil
		}
	}
	return false, nil
}

// flushed says whether a later commit frame proves that a place was flushed.
func (s *scan) flushed(i int, at place) (bool, error) {
	for k, gen := range s.gens[i:] {
		b, err := s.file(gen)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if _, whole := s.ends[gen]; whole && k > 0 {
			return true, nil
		}
		off := int64(0)
		if k == 0 {
			off = at.off
		}
		for {
			c, ok := findCommit(gen, b, off)
			if !ok {
				break
			}
			if c.synced.after(at) {
				return true, nil
			}
			off = c.end
		}
	}
	return false, nil
}

// seemsTorn says whether something of this file's time lies at its end.
func (s *scan) seemsTorn(gen uint64, b []byte, off int64) bool {
	if _, ok := findCommit(gen, b, off); ok {
		return true
	}
	n := frameSize(b[min(off, int64(len(b))):])
	return n > 0 && frameCRC(gen, b[off:off+int64(n)]) == be.Uint32(b[off+12:])
}

// unsealed lists the files of which the end is not known beforehand.
func (s *scan) unsealed() []uint64 {
	return slices.DeleteFunc(slices.Clone(s.gens), func(gen uint64) bool { _, ok := s.ends[gen]; return ok })
}
