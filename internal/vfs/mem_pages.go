package vfs

import (
	"maps"
	"math/rand/v2"
)

const pageSize = 4096

// pages is the content of a file. A page, once in the map, is never modified: a write
// puts a new one in its place. So copies of a content share their pages, and a
// preallocated file costs nothing until it is written. What no page covers is zero,
// and so is the last page beyond size.
type pages struct {
	size int64
	page map[int64]*[pageSize]byte
}

func (p *pages) clone() pages {
	c := pages{size: p.size, page: make(map[int64]*[pageSize]byte, len(p.page))}
	maps.Copy(c.page, p.page)
	return c
}

// read copies what there is at off into b and returns its length.
func (p *pages) read(b []byte, off int64) int {
	if off >= p.size {
		return 0
	}
	b = b[:min(int64(len(b)), p.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		part := b[done:min(len(b), done+int(pageSize-at%pageSize))]
		if pg := p.page[at/pageSize]; pg != nil {
			copy(part, pg[at%pageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(b)
}

// write puts b at off, extending the content if needed.
func (p *pages) write(b []byte, off int64) {
	p.size = max(p.size, off+int64(len(b)))
	if p.page == nil {
		p.page = map[int64]*[pageSize]byte{}
	}
	for len(b) > 0 {
		fresh := new([pageSize]byte)
		if old := p.page[off/pageSize]; old != nil {
			*fresh = *old
		}
		n := copy(fresh[off%pageSize:], b)
		p.page[off/pageSize] = fresh
		b, off = b[n:], off+int64(n)
	}
}

func (p *pages) resize(size int64) {
	if size < p.size {
		for i := range p.page {
			if i*pageSize >= size {
				delete(p.page, i)
			}
		}
		if pg := p.page[size/pageSize]; pg != nil {
			fresh := new([pageSize]byte)
			copy(fresh[:size%pageSize], pg[:])
			p.page[size/pageSize] = fresh
		}
	}
	p.size = size
}

// edit is one change of a file that has not been synced.
type edit struct {
	kind editKind
	off  int64  // editWrite: place of data; else the size
	data []byte // editWrite only; owned
}

type editKind int

const (
	editWrite    editKind = iota
	editGrow              // at least this size
	editTruncate          // exactly this size
)

func (e edit) apply(p *pages) {
	switch e.kind {
	case editWrite:
		p.write(e.data, e.off)
	case editGrow:
		p.resize(max(p.size, e.off))
	case editTruncate:
		p.resize(e.off)
	}
}

// crash decides what outlives a power cut.
type crash struct {
	percent int
	rng     *rand.Rand
}

func (c crash) survives() bool {
	return c.percent >= 100 || (c.percent > 0 && c.rng.IntN(100) < c.percent)
}

// atoms are the sizes of what a disk writes as a whole: a page of the kernel, a
// sector, or, for a disk that tears sectors, hardly anything.
var atoms = [...]int64{pageSize, 512, 8}

// content returns the bytes of a file after the crash. Each atom of each write
// survives on its own, so a later write may survive without an earlier one, and the
// new size may survive without the bytes. Bytes outside of the written range are
// never touched, even inside an atom (a power-safe overwrite, which today's disks
// and SQLite's default settings assume too).
func (c crash) content(f *memData) pages {
	p := f.disk.clone()
	if c.percent <= 0 {
		return p
	}
	if c.percent >= 100 {
		for _, e := range f.edits {
			e.apply(&p)
		}
		return p
	}
	atom := atoms[c.rng.IntN(len(atoms))]
	for _, e := range f.edits {
		if e.kind != editWrite {
			if c.survives() {
				e.apply(&p)
			}
			continue
		}
		end := e.off + int64(len(e.data))
		for at := e.off; at < end; {
			next := min(end, at-at%atom+atom)
			if c.survives() {
				p.write(e.data[at-e.off:next-e.off], at)
			}
			at = next
		}
		if end > p.size && c.survives() {
			p.resize(end)
		}
	}
	return p
}
