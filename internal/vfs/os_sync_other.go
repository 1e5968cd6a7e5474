//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// dataSync leaves the choice to os: F_FULLFSYNC on Apple systems, where fsync stops
// at the cache of the drive, FlushFileBuffers on Windows, fsync elsewhere.
func dataSync(f *os.File) error { return f.Sync() }

// writeBack leaves it to the system when to write.
func writeBack(*os.File, int64, int64) error { return nil }

// allocate makes the caller fall back to extending the file.
func allocate(*os.File, int64) error { return errors.ErrUnsupported }
