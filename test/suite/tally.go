package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// tally counts tests. One with subtests is not counted besides them.
type tally struct {
	passed, failed int
	counted        bool // the failures of this step are in failed already
}

// unless is 1 for an error that no counted test stands for.
func (t *tally) unless(err error) int {
	if t.counted || err == nil {
		return 0
	}
	return 1
}

// event is a line of `go test -json`.
type event struct {
	Action, Package, Test, Output string
}

var errTests = errors.New("tests failed")

// goTest runs tests of a module, shows a line for each package and all that the
// failed ones said, and counts.
func (b *bench) goTest(ctx context.Context, dir string, args ...string) error {
	cmd := b.start(ctx, dir, "go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := b.read(out)
	err = cmd.Wait()
	if failed > 0 {
		b.failed, b.counted = b.failed+failed, true
		return fmt.Errorf("%w: %d", errTests, failed)
	}
	if err != nil {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// read reads the events of one run.
func (b *bench) read(out io.Reader) (failed int) {
	said := map[string][]string{} // by package and test, until it is known how it ended
	parents := map[string]bool{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return failed
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Print(string(line)) // what does not build
			continue
		}
		key := e.Package + " " + e.Test
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			parents[e.Package+" "+e.Test[:i]] = true
		}
		switch e.Action {
		case "output", "build-output":
			said[key] = append(said[key], e.Output)
		case "pass", "fail", "skip", "build-fail":
			good, bad := b.judge(e, parents[key], said[key])
			b.passed += good
			failed += bad
			delete(said, key)
		}
	}
}

// judge shows how a test or a package ended, and counts it.
func (b *bench) judge(e event, parent bool, said []string) (passed, failed int) {
	switch {
	case e.Test == "" && e.Action != "fail" && e.Action != "build-fail":
		for _, line := range said {
			if strings.HasPrefix(line, "ok ") {
				fmt.Print(line)
			}
		}
		return 0, 0
	case e.Action == "pass" && parent:
		return 0, 0
	case e.Action == "pass":
		return 1, 0
	}
	fmt.Print(strings.Join(slices.DeleteFunc(said, noise), ""))
	if e.Test == "" || parent { // its tests were counted, or it did not build
		return 0, b.alone(said)
	}
	return 0, 1
}

// alone is 1 for a package that failed without a test that did.
func (*bench) alone(said []string) int {
	for _, line := range said {
		if strings.Contains(line, "[build failed]") || strings.Contains(line, "[setup failed]") || strings.HasPrefix(line, "panic: ") {
			return 1
		}
	}
	return 0
}

func noise(line string) bool {
	return strings.HasPrefix(line, "=== ") || line == "PASS\n"
}
