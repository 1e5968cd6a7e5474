package vfs

import (
	"io"
	"io/fs"
	"math"
	"slices"
)

// memFile is an open file of a Mem. Its fields other than closed never change.
type memFile struct {
	mem    *Mem
	data   *memData
	name   string
	mode   Mode
	closed bool // guarded by mem.mu
}

// start locks the file system and checks that the file may be used; on nil the
// caller unlocks.
func (f *memFile) start(op string, write bool) error {
	f.mem.mu.Lock()
	err := error(nil)
	switch {
	case f.closed:
		err = fs.ErrClosed
	case write && !f.mode.writes():
		err = fs.ErrPermission
	default:
		return nil
	}
	f.mem.mu.Unlock()
	return pathError(op, f.name, err)
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.start("read", false); err != nil {
		return 0, err
	}
	defer f.mem.mu.Unlock()
	if off < 0 {
		return 0, pathError("read", f.name, fs.ErrInvalid)
	}
	n := f.data.now.read(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.start("write", true); err != nil {
		return 0, err
	}
	defer f.mem.mu.Unlock()
	if off < 0 || off > math.MaxInt64-int64(len(p)) {
		return 0, pathError("write", f.name, fs.ErrInvalid)
	}
	if len(p) > 0 {
		f.data.change(edit{kind: editWrite, off: off, data: slices.Clone(p)})
	}
	return len(p), nil
}

func (f *memFile) Sync() error {
	if err := f.start("sync", false); err != nil {
		return err
	}
	defer f.mem.mu.Unlock()
	for _, e := range f.data.edits {
		e.apply(&f.data.disk)
	}
	f.data.edits = nil
	return nil
}

func (f *memFile) Truncate(size int64) error { return f.resize("truncate", editTruncate, size) }

func (f *memFile) Preallocate(size int64) error { return f.resize("preallocate", editGrow, size) }

func (f *memFile) resize(op string, kind editKind, size int64) error {
	if err := f.start(op, true); err != nil {
		return err
	}
	defer f.mem.mu.Unlock()
	if size < 0 {
		return pathError(op, f.name, fs.ErrInvalid)
	}
	f.data.change(edit{kind: kind, off: size})
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.start("size", false); err != nil {
		return 0, err
	}
	defer f.mem.mu.Unlock()
	return f.data.now.size, nil
}

func (f *memFile) Close() error {
	if err := f.start("close", false); err != nil {
		return err
	}
	defer f.mem.mu.Unlock()
	f.closed = true
	return nil
}

// dropUnsynced forgets what is not on the disk, as Linux does when writing back
// failed: the pages stay readable but count as clean, so no later Sync writes them.
func (f *memFile) dropUnsynced() {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.data.edits = nil
}

// change makes e visible and remembers that it is not on the disk.
func (d *memData) change(e edit) {
	e.apply(&d.now)
	d.edits = append(d.edits, e)
}

// memLock is a held lock; Close gives it up, once.
type memLock struct{ *memFile }

func (l *memLock) Close() error {
	if err := l.memFile.Close(); err != nil {
		return err
	}
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	l.data.locked = false
	return nil
}
