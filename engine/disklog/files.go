package disklog

import (
	"container/list"
	"errors"
	"io"
	"sync"

	"github.com/parleyhq/parley/internal/vfs"
)

// files keeps the segments that were read last open, with their indexes.
type files struct {
	fs    vfs.FS
	limit int

	mu   sync.Mutex // never held over I/O
	open map[uint64]*handle
	lru  *list.List // of *handle, newest first
}

// handle is an open segment. load runs once; users count keeps it open.
type handle struct {
	seg   *segment
	once  sync.Once
	f     vfs.File
	marks []mark
	err   error
	users int
	gone  bool // not in the cache any more: the last user closes it
	elem  *list.Element
}

func newFiles(fsys vfs.FS, limit int) *files {
	return &files{fs: fsys, limit: limit, open: make(map[uint64]*handle), lru: list.New()}
}

// get opens a segment or finds it open. The caller gives it back with put.
func (c *files) get(s *segment) (*handle, error) {
	c.mu.Lock()
	h := c.open[s.id]
	if h == nil {
		h = &handle{seg: s}
		c.open[s.id] = h
		h.elem = c.lru.PushFront(h)
	} else {
		c.lru.MoveToFront(h.elem)
	}
	h.users++
	var over []*handle
	for c.lru.Len() > c.limit {
		over = append(over, c.drop(c.lru.Back()))
	}
	c.mu.Unlock()
	closeAll(over)
	h.once.Do(func() { h.f, h.marks, h.err = openSegment(c.fs, s) })
	if h.err != nil {
		c.forget(s.id) // the next one tries anew
		c.put(h)
		return nil, h.err
	}
	return h, nil
}

// drop takes a handle out of the cache; it is returned if it is to be closed
// now. The caller holds mu.
func (c *files) drop(e *list.Element) *handle {
	h, _ := c.lru.Remove(e).(*handle)
	delete(c.open, h.seg.id)
	h.gone = true
	if h.users > 0 {
		return nil
	}
	return h
}

func (c *files) put(h *handle) {
	c.mu.Lock()
	h.users--
	last := h.gone && h.users == 0
	c.mu.Unlock()
	if last {
		closeAll([]*handle{h})
	}
}

// forget closes a segment that is no longer needed.
func (c *files) forget(id uint64) {
	c.mu.Lock()
	var h *handle
	if have := c.open[id]; have != nil {
		h = c.drop(have.elem)
	}
	c.mu.Unlock()
	closeAll([]*handle{h})
}

func (c *files) closeAll() {
	c.mu.Lock()
	var all []*handle
	for c.lru.Len() > 0 {
		all = append(all, c.drop(c.lru.Back()))
	}
	c.mu.Unlock()
	closeAll(all)
}

func closeAll(all []*handle) {
	for _, h := range all {
		if h != nil && h.f != nil {
			_ = h.f.Close() // only read from
		}
	}
}

// openSegment opens a segment's file and reads its index; an index that fails
// its check is made anew from the batches.
func openSegment(fsys vfs.FS, s *segment) (vfs.File, []mark, error) {
	f, err := fsys.Open(segmentName(s.id), vfs.Read)
	if err != nil {
		return nil, nil, err
	}
	tail, err := readExactly(f, s.size, s.fileSize()-s.size)
	var marks []mark
	if err == nil {
		if marks, err = s.parseIndex(tail); err == nil {
			return f, marks, nil
		}
	}
	batches, rerr := readExactly(f, 0, s.size)
	if rerr == nil {
		marks, rerr = s.rebuild(batches)
	}
	if rerr != nil {
		return nil, nil, errors.Join(err, rerr, f.Close())
	}
	return f, marks, nil
}

func readExactly(f vfs.File, off, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := f.ReadAt(b, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}
