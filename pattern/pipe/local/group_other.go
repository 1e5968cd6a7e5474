//go:build !unix

package local

import (
	"os"
	"os/exec"
)

func gone(error) bool { return false }

func apart(*exec.Cmd) {}

func sweep(*exec.Cmd) {}

func exitCode(s *os.ProcessState) int { return s.ExitCode() }
