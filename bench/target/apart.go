package target

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// apartEnv names the processor that a process of a run with Apart has to itself.
const apartEnv = "PARLEY_BENCH_PROCESSOR"

// Apart gives the load the second processor, and the servers it starts the first, so
// that a latency is not that of waiting for the load. It must be called before
// anything has been started: it begins the program anew, since the runtime counts
// its processors only then.
func Apart() error {
	if os.Getenv(apartEnv) != "" {
		return nil
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("the load and the server cannot be apart on %d processor", runtime.NumCPU())
	}
	return pinned(1)
}

// pinned begins the program anew on one processor.
func pinned(cpu int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu)
	runtime.LockOSThread() // exec keeps what the thread that calls it is bound to
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	if err := os.Setenv(apartEnv, strconv.Itoa(cpu)); err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
