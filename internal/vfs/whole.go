package vfs

import (
	"errors"
	"fmt"
	"io"
	"path"
)

// ReadFile returns the content of a file of at most limit bytes. A larger one is an
// error, so that a damaged or foreign file cannot fill the memory.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name, Read)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, pathError("read", name, fmt.Errorf("%d bytes, at most %d expected", size, limit))
	}
	buf := make([]byte, size)
	if n, err := f.ReadAt(buf, 0); n < len(buf) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, pathError("read", name, err)
	}
	return buf, nil
}

// ReplaceFile writes data as the whole content of name, durably and atomically: once
// it returned nil the new content survives a power cut; before, and after an error,
// a power cut leaves the old content or the new, complete. It uses name+".tmp",
// which a failure or a crash may leave behind and the next call takes over; calls for
// the same name must not overlap.
func ReplaceFile(fsys FS, name string, data []byte) error {
	tmp := name + ".tmp"
	if err := writeSynced(fsys, tmp, data); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

func writeSynced(fsys FS, name string, data []byte) (err error) {
	f, err := fsys.Open(name, Create)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Sync()
}
