//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// TestPreallocateFallsBack covers file systems that cannot reserve blocks, which the
// machine running the tests need not have.
func TestPreallocateFallsBack(t *testing.T) {
	for _, c := range []struct {
		answer, want error
		size         int64
	}{
		{&fs.PathError{Op: "fallocate", Err: syscall.ENOTSUP}, nil, 100},
		{errors.ErrUnsupported, nil, 100},
		{syscall.EIO, syscall.EIO, 3},
	} {
		f, err := OS(t.TempDir()).Open("a", New)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("abc"), 0); err != nil {
			t.Fatal(err)
		}
		err = f.(*osFile).extend(100, func(*os.File, int64) error { return c.answer })
		size, sizeErr := f.Size()
		if !errors.Is(err, c.want) || sizeErr != nil || size != c.size {
			t.Errorf("reserve says %v: error %v, size %d (%v), want %v, %d", c.answer, err, size, sizeErr, c.want, c.size)
		}
	}
}

func TestIsFullKnowsTheSystem(t *testing.T) {
	if !IsFull(&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}) || IsFull(syscall.EIO) {
		t.Error("ENOSPC is a full disk, EIO is none")
	}
}
