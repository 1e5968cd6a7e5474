//go:build !unix

package unix

import (
	"os"
	"os/exec"
	"syscall"
)

const (
	brokenPipe = syscall.SIGKILL
	closedPipe = syscall.EPIPE
)

func apart(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() } // it may be gone

func killLater(*exec.Cmd, <-chan struct{}) {}

func exitCode(s *os.ProcessState) int { return s.ExitCode() }
