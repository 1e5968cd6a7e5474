package pipe

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// outcome is what a pipe left behind.
type outcome struct {
	out, err string
	code     int
}

// gnu runs a text as a shell does. Without the programs there is nothing to compare
// with, and the test fails.
func gnu(t testing.TB, dir, text string) outcome {
	t.Helper()
	return execute(t, dir, rig.Program(t, "sh"), "-c", text)
}

// ours runs the same text with the program under test.
func ours(t testing.TB, dir, text string) outcome {
	t.Helper()
	return execute(t, dir, rig.Binary(t), "pipe", text)
}

func execute(t testing.TB, dir, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	in, err := os.Open(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// TestTools wants the programs that everything here is compared with.
func TestTools(t *testing.T) {
	for _, tool := range []string{"grep", "sort", "uniq", "head", "tail", "wc", "cut", "tee", "cat"} {
		if version := rig.Run(t, rig.Program(t, tool), "--version"); !bytes.Contains([]byte(version), []byte("GNU")) {
			t.Errorf("%s is not GNU's: %.80s", tool, version)
		}
	}
}
