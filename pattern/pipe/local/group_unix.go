//go:build unix

package local

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// gone says that whoever read what was written has left.
func gone(err error) bool { return errors.Is(err, syscall.EPIPE) }

// apart gives a program a process group of its own, so that what it starts ends with
// it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return signalGroup(cmd, syscall.SIGTERM) }
}

func signalGroup(cmd *exec.Cmd, s syscall.Signal) error {
	return syscall.Kill(-cmd.Process.Pid, s)
}

// sweep ends what a program that has ended left behind.
func sweep(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = signalGroup(cmd, syscall.SIGKILL) // it may have left nothing
	}
}

// exitCode is that of a shell: 128 and the number of the signal, if one ended it.
func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
