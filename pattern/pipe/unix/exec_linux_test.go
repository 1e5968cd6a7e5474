package unix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// A program that was started for a run that ends is gone with all that it started.
func TestExecEndsTheGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	p, err := Compile(lang.Quote("exec") + " sh -c " + lang.Quote("trap '' TERM; sleep 100 & echo $! > "+pids+"; echo ready; wait"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err = p.Run(ctx, IO{Out: ready}); !errors.Is(err, context.Canceled) {
		t.Errorf("gives %v", err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); syscall.Kill(pid, 0) == nil; { // a signal takes a moment to arrive
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && bytes.Contains(state, []byte(") Z ")) {
			return // whoever inherited it has not looked yet
		}
		select {
		case <-deadline:
			t.Fatalf("process %d is still there: %s", pid, state)
		case <-time.After(time.Millisecond):
		}
	}
}
