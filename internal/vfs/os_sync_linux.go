package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync is fdatasync(2): it flushes the bytes and, if it changed, the size, but
// not the time stamps, which saves a journal commit for each flush of a preallocated
// file.
func dataSync(f *os.File) error {
	return control(f, "fdatasync", unix.Fdatasync)
}

// allocate reserves the blocks and sets the size (no KEEP_SIZE): with the size fixed
// beforehand no later write changes it, so no later Sync has to.
func allocate(f *os.File, size int64) error {
	return control(f, "fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}
