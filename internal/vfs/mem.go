package vfs

import (
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
)

// Mem is a file system in memory that models what a power cut leaves: bytes without
// a Sync and directory changes without a SyncDir are visible, as on a real system,
// but may be missing in a CrashClone. It does no I/O and never waits, so it works
// under testing/synctest. It is meant for tests: edits that are never synced are kept
// in memory for ever.
type Mem struct {
	mu   sync.Mutex // guards everything below, held for memory work only
	root *memDir
}

// NewMem returns an empty file system; its root exists.
func NewMem() *Mem { return &Mem{root: newDir(map[string]*node{})} }

// CrashClone returns the disk as a machine finds it that lost its power now. What
// was synced is there. Of what was not, percent (0 to 100) survives:
//
//   - 0: nothing, the disk had written only what it was asked to sync;
//   - 100: everything, which is also what a killed process leaves to the next one;
//   - between: every piece of every write, and every directory change, on its own
//     with this probability, drawn from rng.
//
// Bytes dropped by a failed sync never survive. Locks are free. m is not changed and
// goes on. rng may be nil for 0 and 100.
func (m *Mem) CrashClone(percent int, rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Mem{root: crash{percent: percent, rng: rng}.tree(m.root)}
}

// FlipBit inverts one bit of a file, bit 0 being the lowest of the first byte: on the
// disk, in the cache, and in what has yet to be synced. It is the disk's doing, so
// nothing is left to sync.
func (m *Mem) FlipBit(name string, bit int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("flip", name)
	if err != nil {
		return err
	}
	off := bit / 8
	if n.file == nil || bit < 0 || off >= n.file.now.size {
		return pathError("flip", name, fs.ErrInvalid)
	}
	mask := byte(1) << (bit % 8)
	for _, p := range []*pages{&n.file.now, &n.file.disk} {
		if b := []byte{0}; p.read(b, off) == 1 {
			p.write([]byte{b[0] ^ mask}, off)
		}
	}
	for _, e := range n.file.edits {
		if at := off - e.off; e.kind == editWrite && at >= 0 && at < int64(len(e.data)) {
			e.data[at] ^= mask
		}
	}
	return nil
}

// find returns the node called name. The caller holds m.mu and checked the name.
func (m *Mem) find(op, name string) (*node, error) {
	n := &node{dir: m.root}
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n.dir == nil || n.dir.now[part] == nil {
			return nil, pathError(op, name, fs.ErrNotExist)
		}
		n = n.dir.now[part]
	}
	return n, nil
}

// parent returns the directory that name is in, and its name there.
func (m *Mem) parent(op, name string) (*memDir, string, error) {
	n, err := m.find(op, path.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if n.dir == nil {
		return nil, "", pathError(op, name, fs.ErrNotExist)
	}
	return n.dir, path.Base(name), nil
}

// Open implements FS.
func (m *Mem) Open(name string, mode Mode) (File, error) {
	if err := checkName("open", name, true); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent("open", name)
	if err != nil {
		return nil, err
	}
	n := dir.now[base]
	switch {
	case mode < Read || mode > New || (n != nil && n.dir != nil):
		return nil, pathError("open", name, fs.ErrInvalid)
	case n == nil && !mode.creates():
		return nil, pathError("open", name, fs.ErrNotExist)
	case n != nil && mode == New:
		return nil, pathError("open", name, fs.ErrExist)
	case n == nil:
		n = &node{file: &memData{}}
		dir.change(dirOp{name: base, n: n})
	}
	return &memFile{mem: m, data: n.file, name: name, mode: mode}, nil
}

// Rename implements FS.
func (m *Mem) Rename(oldname, newname string) error {
	if err := checkRename(oldname, newname); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, from, err := m.parent("rename", oldname)
	if err != nil {
		return err
	}
	to := path.Base(newname)
	n, replaced := dir.now[from], dir.now[to]
	switch {
	case n == nil:
		return pathError("rename", oldname, fs.ErrNotExist)
	case from == to:
		return nil
	case replaced != nil && (n.dir != nil || replaced.dir != nil):
		return pathError("rename", newname, fs.ErrExist)
	}
	dir.change(dirOp{gone: from, name: to, n: n})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	if err := checkName("remove", name, true); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent("remove", name)
	if err != nil {
		return err
	}
	n := dir.now[base]
	switch {
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case n.dir != nil && len(n.dir.now) > 0:
		return pathError("remove", name, fs.ErrExist) // ENOTEMPTY is ErrExist to errors.Is as well
	}
	dir.change(dirOp{gone: base, n: n})
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	if err := checkName("mkdir", dir, false); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if dir == "." {
		return nil
	}
	d := m.root
	for part := range strings.SplitSeq(dir, "/") {
		n := d.now[part]
		if n == nil {
			n = &node{dir: newDir(map[string]*node{})}
			d.change(dirOp{name: part, n: n})
		}
		if n.dir == nil {
			return pathError("mkdir", dir, fs.ErrExist)
		}
		d.sync()
		d = n.dir
	}
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]Entry, error) {
	d, err := m.openDir("list", dir)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Entry, 0, len(d.now))
	for _, name := range slices.Sorted(maps.Keys(d.now)) {
		if n := d.now[name]; n.dir != nil {
			list = append(list, Entry{Name: name, Dir: true})
		} else {
			list = append(list, Entry{Name: name, Size: n.file.now.size})
		}
	}
	return list, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	d, err := m.openDir("syncdir", dir)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.sync()
	return nil
}

func (m *Mem) openDir(op, name string) (*memDir, error) {
	if err := checkName(op, name, false); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(op, name)
	if err != nil {
		return nil, err
	}
	if n.dir == nil {
		return nil, pathError(op, name, fs.ErrInvalid)
	}
	return n.dir, nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.Open(name, Create)
	if err != nil {
		return nil, err
	}
	mf := f.(*memFile)
	m.mu.Lock()
	defer m.mu.Unlock()
	if mf.data.locked {
		return nil, pathError("lock", name, ErrLocked)
	}
	mf.data.locked = true
	return &memLock{memFile: mf}, nil
}

// Free implements Spacer: memory is as good as endless. See Faulty.SetSpace.
func (m *Mem) Free() (int64, error) { return math.MaxInt64, nil }
