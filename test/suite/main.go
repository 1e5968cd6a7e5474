// Command suite runs the steps of the project's test command, each within its
// time, and ends with one line that counts what passed and what failed. Steps run
// even when one before them has failed, unless that one was to install what they
// need.
//
//	go run ./suite [STEP…]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// step is a part of the suite.
type step struct {
	name  string
	about string
	limit time.Duration // on two cores it takes half of it
	run   func(*bench, context.Context) error
}

var steps = []step{
	{"install", "what the other steps need and the machine lacks: apt and npm packages", 10 * time.Minute, (*bench).install},
	{"unit", "vet, and every test of the module under the race detector", 14 * time.Minute, (*bench).unit},
	{"fuzz", "every fuzz target for some seconds", 8 * time.Minute, (*bench).fuzz},
	{"crash", "servers that are killed, and planted faults that tests must find", 10 * time.Minute, (*bench).crash},
	{"script", "the command line by scripts, and the examples", 6 * time.Minute, (*bench).script},
	{"interop", "other people's clients against the server", 10 * time.Minute, (*bench).interop},
	{"cluster", "several servers over an engine of several machines", 10 * time.Minute, (*bench).cluster},
	{"browser", "a browser against the server and its console", 10 * time.Minute, (*bench).browser},
}

// total bounds all steps together.
const total = 38 * time.Minute

// bench is what the steps work on.
type bench struct {
	root string // of the repository
	bin  string // the program under test, built once
	tally
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	chosen, err := choose(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if chosen == nil {
		return
	}
	if !suite(ctx, chosen) {
		os.Exit(1)
	}
}

// choose finds the steps by name; none named is all. Help gives none.
func choose(names []string) ([]step, error) {
	if len(names) == 0 {
		return steps, nil
	}
	var chosen []step
	for _, name := range names {
		i := slices.IndexFunc(steps, func(s step) bool { return s.name == name })
		switch {
		case i >= 0:
			chosen = append(chosen, steps[i])
		case strings.HasPrefix(name, "-h") || name == "--help":
			fmt.Print(usage())
			return nil, nil
		default:
			return nil, fmt.Errorf("%s is not a step\n\n%s", name, usage())
		}
	}
	return chosen, nil
}

func usage() string {
	var b strings.Builder
	b.WriteString("usage: test/all [STEP…]\n\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "  %-8s %s\n", s.name, s.about)
	}
	return b.String()
}

// suite runs steps and tells how they went; true is well.
func suite(ctx context.Context, chosen []step) bool {
	b := &bench{}
	begin := time.Now()
	defer b.clean()
	var times []string
	ok := true
	for _, s := range chosen {
		fmt.Printf("\n=== %s: %s\n", s.name, s.about)
		at := time.Now()
		err := b.within(ctx, s)
		took := time.Since(at).Round(100 * time.Millisecond)
		how := "ok"
		if err != nil {
			how, ok = "FAIL", false
			b.failed += b.unless(err)
			fmt.Printf("FAIL %s: %v\n", s.name, err)
		}
		fmt.Printf("=== %s: %s in %v\n", s.name, how, took)
		times = append(times, fmt.Sprintf("%-8s %-4s %8v", s.name, how, took))
		if err != nil && s.name == "install" || ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\n%s\n%-13s %8v\n\n%d passed, %d failed\n", strings.Join(times, "\n"), "all", time.Since(begin).Round(100*time.Millisecond), b.passed, b.failed)
	return ok && b.failed == 0
}

// within runs a step in its time.
func (b *bench) within(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.counted = false
	err := s.run(b, ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("it did not end within %v: %w", s.limit, err)
	}
	return err
}

// prepare finds the repository and builds the program that the black-box suites
// test.
func (b *bench) prepare(ctx context.Context) error {
	if b.bin != "" {
		return nil
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	b.root = filepath.Dir(here)
	dir, err := os.MkdirTemp("", "parley-suite")
	if err != nil {
		return err
	}
	b.bin = filepath.Join(dir, "parley")
	return b.command(ctx, b.root, "go", "build", "-o", b.bin, "./cmd/parley")
}

func (b *bench) clean() {
	if b.bin != "" {
		_ = os.RemoveAll(filepath.Dir(b.bin)) // the system cleans up after us
	}
}

// command runs a program and shows what it says. At the end of ctx it and its
// children are killed.
func (b *bench) command(ctx context.Context, dir, name string, args ...string) error {
	cmd := b.start(ctx, dir, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

func (b *bench) start(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PARLEY_BINARY="+b.bin, "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
