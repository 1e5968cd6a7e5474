//go:build linux || darwin || freebsd || dragonfly

package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile uses flock(2): the lock belongs to the open file, so a second holder in
// this process is refused as well, and closing another descriptor of the same file
// does not drop it.
func lockFile(f *os.File) error {
	err := control(f, "flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// control calls fn, again if a signal interrupted it, with the descriptor held open
// against a concurrent Close: File.Fd would let the number be reused under the call.
func control(f *os.File, op string, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		for {
			if callErr = fn(int(fd)); !errors.Is(callErr, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return pathError(op, f.Name(), fs.ErrClosed) // nothing else makes Control fail
	}
	if callErr != nil {
		return pathError(op, f.Name(), callErr)
	}
	return nil
}

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, pathError("statfs", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func isFullErrno(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
