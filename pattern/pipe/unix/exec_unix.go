//go:build unix

package unix

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

const brokenPipe = syscall.SIGPIPE

// apart gives a program a process group of its own, which is what is ended when
// the run is cancelled: it and all that it started.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { signalGroup(cmd, syscall.SIGTERM); return nil }
}

func signalGroup(cmd *exec.Cmd, s syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, s) // it may be gone
}

// killLater kills the group when it did not end by itself.
func killLater(cmd *exec.Cmd, ended <-chan struct{}) {
	t := time.NewTimer(killAfter)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	}
	signalGroup(cmd, syscall.SIGKILL)
}

func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// closedPipe says that whoever read what we write has left.
const closedPipe = syscall.EPIPE
