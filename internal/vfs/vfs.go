package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// FS is a tree of files. Methods are safe for concurrent use. Errors about a name
// are [*fs.PathError] and answer to errors.Is with fs.ErrNotExist, fs.ErrExist and
// fs.ErrInvalid.
type FS interface {
	// Open opens the file called name, in a directory that exists. A file that Open
	// created is there after a power cut only once SyncDir of its directory
	// succeeded.
	Open(name string, mode Mode) (File, error)

	// Rename gives oldname, a file or a directory, the name newname in the same
	// directory; another directory is refused with fs.ErrInvalid, for then no single
	// SyncDir could make the change durable. A file called newname is replaced. The
	// change is atomic: even after a power cut the file has the old name or the new
	// one, never both or none; SyncDir makes it the new one. Open files follow their
	// file. (Windows refuses to rename an open file.)
	Rename(oldname, newname string) error

	// Remove removes a file or an empty directory. Files that are open stay readable
	// until closed, except on Windows. Until SyncDir the name may come back.
	Remove(name string) error

	// MkdirAll creates a directory and its missing parents, the root of the FS
	// included. Unlike the other changes it is durable on return, whether the
	// directories were there before or not.
	MkdirAll(dir string) error

	// List returns what a directory holds, sorted by name.
	List(dir string) ([]Entry, error)

	// SyncDir makes the creates, renames and removes of this directory (not of its
	// subdirectories) that returned before the call durable.
	SyncDir(dir string) error

	// Lock creates the file called name if needed and takes an exclusive lock on it
	// for this process; another holder, in this process too, means ErrLocked at once.
	// The lock ends with Close or with the process; the file stays. Where the platform
	// has no such lock the error is errors.ErrUnsupported.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt, WriteAt, Sync and Size may be called at the same
// time; Truncate, Preallocate and Close have no other call on the file beside them.
// After Close every method fails with fs.ErrClosed.
type File interface {
	// ReadAt follows io.ReaderAt: fewer than len(p) bytes come with io.EOF.
	io.ReaderAt

	// WriteAt follows io.WriterAt. Beyond the end it extends the file, with zeros in
	// between. After an error any part of p may be in the file, whatever n says.
	// The bytes are readable at once and durable after Sync.
	io.WriterAt

	// Sync returns once every byte (and the size) that was written before the call is
	// durable. It does not make the file's name durable. See the package comment for
	// what an error means.
	Sync() error

	// Truncate sets the size: it cuts, or extends with zeros. Durable after Sync.
	Truncate(size int64) error

	// Preallocate extends the file to at least size bytes that read as zeros and, where
	// the file system can, reserves their blocks, so that writing them later needs no
	// space and Sync no new metadata. It never shrinks. A file system without
	// reservation extends only; one without room fails, see IsFull. Durable after Sync.
	Preallocate(size int64) error

	// Size returns the current size in bytes.
	Size() (int64, error)

	// Close releases the file. It makes nothing durable.
	Close() error
}

// Mode says what Open may do to a file. There is no mode that empties a file: use
// Create and Truncate(0).
type Mode int

const (
	Read   Mode = iota // existing file, reading only
	Write              // existing file, reading and writing
	Create             // reading and writing, created if missing
	New                // reading and writing, must not exist yet
)

func (m Mode) writes() bool  { return m != Read }
func (m Mode) creates() bool { return m == Create || m == New }

// Entry is one line of List.
type Entry struct {
	Name string // last element of the name
	Size int64  // bytes; 0 for a directory
	Dir  bool
}

// ErrLocked is returned by Lock when somebody else holds the lock.
var ErrLocked = errors.New("vfs: locked by another holder")

// ErrFull is the error of a simulated full disk. Test with IsFull, which also knows
// what real file systems say.
var ErrFull = errors.New("vfs: no space left")

// IsFull reports whether err says that the disk, or the quota, is used up.
func IsFull(err error) bool { return errors.Is(err, ErrFull) || isFullErrno(err) }

// Spacer is the ability of an FS to say how much room it has. Ask with Free.
type Spacer interface {
	// Free returns the bytes that may still be written by this process.
	Free() (int64, error)
}

// Free returns the bytes that may still be written to fsys. The error is
// errors.ErrUnsupported when fsys cannot tell.
func Free(fsys FS) (int64, error) {
	if s, ok := fsys.(Spacer); ok {
		return s.Free()
	}
	return 0, errors.ErrUnsupported
}

// WriteBacker is the ability of a File to have the disk take written bytes now. Ask
// with WriteBack.
type WriteBacker interface {
	WriteBack(off, n int64) error
}

// WriteBack returns once the disk has taken n bytes from off on that were written
// before, so that a later Sync, of this file or of another, has less to wait for. It
// makes nothing durable: that takes a Sync still, after which an error of either
// means the same. It does nothing where the platform has no such call.
func WriteBack(f File, off, n int64) error {
	if w, ok := f.(WriteBacker); ok {
		return w.WriteBack(off, n)
	}
	return nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// checkName refuses what is not a valid name; with file set, also the root.
func checkName(op, name string, file bool) error {
	if !fs.ValidPath(name) || (file && name == ".") {
		return pathError(op, name, fs.ErrInvalid)
	}
	return nil
}

func checkRename(oldname, newname string) error {
	if err := checkName("rename", oldname, true); err != nil {
		return err
	}
	if err := checkName("rename", newname, true); err != nil {
		return err
	}
	if path.Dir(oldname) != path.Dir(newname) {
		return pathError("rename", newname, fs.ErrInvalid)
	}
	return nil
}
