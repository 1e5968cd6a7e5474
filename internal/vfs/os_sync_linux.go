package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// dataSync is fdatasync(2): it flushes the bytes and, if it changed, the size, but
// not the time stamps, which saves a journal commit for each flush of a preallocated
// file.
func dataSync(f *os.File) error {
	return control(f, "fdatasync", unix.Fdatasync)
}

// writeBack is sync_file_range(2). What it finds wrong is not told again by a later
// fdatasync, so its error counts.
func writeBack(f *os.File, off, n int64) error {
	err := control(f, "sync_file_range", func(fd int) error {
		return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	})
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EINVAL) {
		return nil // the file system has no such thing
	}
	return err
}

// allocate reserves the blocks and sets the size (no KEEP_SIZE): with the size fixed
// beforehand no later write changes it, so no later Sync has to.
func allocate(f *os.File, size int64) error {
	return control(f, "fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}
