package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Only the account that runs the engine reads its data.
const (
	filePerm fs.FileMode = 0o600
	dirPerm  fs.FileMode = 0o700
)

// OS returns the directory dir of the real file system as an FS. It touches nothing:
// dir may be missing, and MkdirAll(".") creates it. A relative dir is resolved now,
// so a later change of the working directory does not move the data.
//
// Symbolic links are followed; the tree is expected to belong to one process.
func OS(dir string) FS {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return osFS{root: filepath.Clean(dir)}
}

type osFS struct{ root string }

func (o osFS) full(name string) string { return filepath.Join(o.root, filepath.FromSlash(name)) }

// resolve checks a name and returns its place on the disk. IsLocal catches the names
// that only Windows finds special, such as "con" and "c:x".
func (o osFS) resolve(op, name string, file bool) (string, error) {
	if err := checkName(op, name, file); err != nil {
		return "", err
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", pathError(op, name, fs.ErrInvalid)
	}
	return o.full(name), nil
}

var osFlags = map[Mode]int{
	Read:   os.O_RDONLY,
	Write:  os.O_RDWR,
	Create: os.O_RDWR | os.O_CREATE,
	New:    os.O_RDWR | os.O_CREATE | os.O_EXCL,
}

func (o osFS) Open(name string, mode Mode) (File, error) {
	full, err := o.resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	flag, ok := osFlags[mode]
	if !ok {
		return nil, pathError("open", name, fs.ErrInvalid)
	}
	f, err := os.OpenFile(full, flag, filePerm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (o osFS) Rename(oldname, newname string) error {
	if err := checkRename(oldname, newname); err != nil {
		return err
	}
	from, err := o.resolve("rename", oldname, true)
	if err != nil {
		return err
	}
	to, err := o.resolve("rename", newname, true)
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (o osFS) Remove(name string) error {
	full, err := o.resolve("remove", name, true)
	if err != nil {
		return err
	}
	return os.Remove(full)
}

// MkdirAll syncs every parent down from the deepest directory that existed, but at
// least from the parent of the root: a directory that is already there may have been
// made by a process that died before it synced.
func (o osFS) MkdirAll(dir string) error {
	full, err := o.resolve("mkdir", dir, false)
	if err != nil {
		return err
	}
	rootExisted := isThere(o.root)
	top := filepath.Dir(o.root)
	for !isThere(top) && top != filepath.Dir(top) {
		top = filepath.Dir(top)
	}
	if err := os.MkdirAll(full, dirPerm); err != nil {
		return err
	}
	for d := filepath.Dir(full); ; d = filepath.Dir(d) {
		outside := d == filepath.Dir(o.root)
		if err := syncDir(d); err != nil && !(outside && rootExisted && errors.Is(err, fs.ErrPermission)) {
			return err // whoever made a root in a directory we cannot read has to answer for its entry
		}
		if d == top {
			return nil
		}
	}
}

func isThere(full string) bool {
	_, err := os.Stat(full)
	return err == nil
}

func (o osFS) List(dir string) ([]Entry, error) {
	full, err := o.resolve("list", dir, false)
	if err != nil {
		return nil, err
	}
	dirents, err := os.ReadDir(full)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(dirents))
	for _, d := range dirents {
		info, err := d.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since ReadDir
		case err != nil:
			return nil, err
		case d.IsDir():
			list = append(list, Entry{Name: d.Name(), Dir: true})
		default:
			list = append(list, Entry{Name: d.Name(), Size: info.Size()})
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (o osFS) SyncDir(dir string) error {
	full, err := o.resolve("syncdir", dir, false)
	if err != nil {
		return err
	}
	return syncDir(full)
}

// syncDir does nothing on Windows, which has no way to flush a directory and journals
// its entries. File systems that cannot sync a directory say so with EINVAL or an
// "unsupported" error; there is nothing else to be done on them.
func syncDir(full string) error {
	if runtime.GOOS == "windows" {
		_, err := os.Stat(full)
		return err
	}
	d, err := os.Open(full)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

func (o osFS) Lock(name string) (io.Closer, error) {
	full, err := o.resolve("lock", name, true)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(full, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(pathError("lock", name, err), f.Close())
	}
	return f, nil // the system drops the lock with the descriptor
}

func (o osFS) Free() (int64, error) { return freeSpace(o.root) }

type osFile struct{ *os.File }

// Sync is described by File; how deep it goes depends on the platform.
func (f *osFile) Sync() error { return dataSync(f.File) }

func (f *osFile) WriteBack(off, n int64) error { return writeBack(f.File, off, n) }

func (f *osFile) Preallocate(size int64) error { return f.extend(size, allocate) }

// extend grows the file to size by reserve, or sparsely where that is unsupported.
func (f *osFile) extend(size int64, reserve func(*os.File, int64) error) error {
	have, err := f.Size()
	if err != nil || size <= have {
		return err
	}
	err = reserve(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.Truncate(size)
	}
	return err
}

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
