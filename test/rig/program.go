package rig

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Python gives the interpreter of the distribution, which has the packages that
// the suites need.
func Python(t testing.TB) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import requests, websockets").CombinedOutput(); err != nil {
		t.Fatalf("%s lacks what the suites need; run test/all install: %v\n%s", python, err, out)
	}
	return python
}

// Node gives Node.js, next to whose scripts the packages of package.json are.
func Node(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(Root(t), "test", "node_modules", "ws")); err != nil {
		t.Fatalf("run test/all install: %v", err)
	}
	return Program(t, "node")
}

// Chromium gives the browser.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium; run test/all install")
	return ""
}

// Program finds a program.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; run test/all install", err)
	}
	return path
}

// Run runs a program to its end, at most a minute, and gives its output; one that
// fails fails the test.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	return RunWith(t, "", name, args...)
}

// RunWith is Run with standard input.
func RunWith(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader([]byte(stdin))
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s\n%s", name, args, err, &out, &errs)
	}
	return out.String()
}
