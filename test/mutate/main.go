// Command mutate plants faults, one at a time, and expects each to be found by
// the test that is named for it. The tree is not touched: a mutant is an overlay
// of one file. It prints a line for each and fails if one survives.
//
//	go run ./mutate [words of a mutant's fault]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// mutant is one fault.
type mutant struct {
	fault    string // in words
	file     string // below the module
	old, new string // the text to replace, which occurs once
	pkg      string // where the test is
	test     string // what must fail
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, strings.Join(os.Args[1:], " ")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	tried, failed := 0, 0
	for _, m := range mutants {
		if !strings.Contains(m.fault, only) {
			continue
		}
		tried++
		if err := m.plant(ctx, root); err != nil {
			failed++
			fmt.Printf("FAIL  %s: %v\n", m.fault, err)
			continue
		}
		fmt.Printf("found %s: %s %s\n", m.fault, m.pkg, m.test)
	}
	switch {
	case tried == 0:
		return errors.New("no mutant has these words: " + only)
	case failed > 0:
		return fmt.Errorf("%d of %d mutants were not found", failed, tried)
	}
	fmt.Printf("all %d mutants were found\n", tried)
	return nil
}

// plant runs the test over the mutant; nil means that it failed, as it should.
func (m mutant) plant(ctx context.Context, root string) error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	args := []string{"test", "-count=1", "-timeout=60s", "-overlay", overlay, "-run", "^" + m.test + "$", m.pkg}
	if usesRapid(filepath.Join(root, m.pkg)) {
		args = append(args, "-rapid.nofailfile") // it would keep what the mutant did, for the next run
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	text := string(out)
	switch {
	case err == nil && strings.Contains(text, "no tests to run"):
		return fmt.Errorf("there is no test %s in %s", m.test, m.pkg)
	case err == nil:
		return fmt.Errorf("%s of %s does not notice", m.test, m.pkg)
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(text, "--- FAIL: "+m.test), strings.Contains(text, "panic: "):
		return nil
	}
	return fmt.Errorf("the mutant does not run:\n%s", text)
}

// usesRapid says whether the tests of a package know rapid's flags.
func usesRapid(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), `"pgregory.net/rapid"`) {
			return true
		}
	}
	return false
}

// overlay writes the mutant and the file that tells the go command about it.
func (m mutant) overlay(root, dir string) (string, error) {
	original := filepath.Join(root, filepath.FromSlash(m.file))
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times; a mutant replaces what occurs once", m.file, m.old, n)
	}
	mutated := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}
