//go:build !(linux || darwin || freebsd || dragonfly || windows)

package vfs

import (
	"errors"
	"os"
)

// lockFile refuses: running without a lock could let two processes write one log.
func lockFile(*os.File) error { return errors.ErrUnsupported }

func freeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }

// isFullErrno knows no error numbers here: a full disk is an error like any other.
func isFullErrno(error) bool { return false }
