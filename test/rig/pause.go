package rig

import "syscall"

// Pause has the server stand still, as a machine does that swaps or a process that
// is debugged: SIGSTOP. Resume lets it go on; a server that is paused cannot Stop.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) } // it may have ended by itself

// Resume ends a Pause.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) } // it may have ended by itself
