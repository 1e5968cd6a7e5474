package script

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/parleyhq/parley/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	bin := t.TempDir()
	if err := os.Symlink(rig.Binary(t), filepath.Join(bin, "parley")); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		s := &session{t: t}
		testscript.Run(t, testscript.Params{
			Files: []string{file}, RequireExplicitExec: true,
			Setup: func(e *testscript.Env) error {
				e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
				e.Defer(func() { // before the script's folder goes
					if s.live != nil {
						s.live.Stop()
					}
				})
				return nil
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"serve": s.serve, "start": s.start, "drain": s.drain, "crash": s.crash, "said": s.said,
				"exits": exits, "capture": capture, "lines": lines, "spoil": spoil, "appears": appears,
			},
		})
	}
}

// session is what a script has started.
type session struct {
	t    *testing.T
	live *rig.Server
}

// serve starts a server in memory, with further flags.
func (s *session) serve(ts *testscript.TestScript, neg bool, args []string) {
	s.start(ts, neg, append([]string{"--data", ":memory:"}, args...))
}

// start starts a server and tells commands where it is: PARLEY_URL, PARLEY_GRPC,
// and ADDRESS. `! start` wants it to give up.
func (s *session) start(ts *testscript.TestScript, neg bool, args []string) {
	if s.live != nil {
		s.live.Stop()
	}
	s.live = rig.Launch(s.t, args...)
	err := s.live.Greet()
	if err != nil != neg {
		ts.Fatalf("start: %v", err)
	}
	if neg {
		s.live.Kill()
		return
	}
	ts.Setenv("PARLEY_URL", s.live.URL)
	ts.Setenv("PARLEY_GRPC", s.live.GRPC)
	ts.Setenv("ADDRESS", s.live.Address())
}

// drain lets the server come to its end.
func (s *session) drain(*testscript.TestScript, bool, []string) { s.live.Stop() }

// crash ends it without a word.
func (s *session) crash(*testscript.TestScript, bool, []string) { s.live.Kill() }

// said wants a pattern in what the server has logged.
func (s *session) said(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: said PATTERN")
	}
	pattern, patience := regexp.MustCompile(args[0]), time.After(5*time.Second)
	tick := time.NewTicker(10 * time.Millisecond) // what a process writes takes a moment to arrive
	defer tick.Stop()
	for pattern.MatchString(s.live.Log()) == neg {
		select {
		case <-tick.C:
		case <-patience:
			ts.Fatalf("said %s: the log is\n%s", args[0], s.live.Log())
		}
	}
}

// exits runs a program and wants its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT…]")
	}
	code, failed := 0, (*exec.ExitError)(nil)
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("it exits with %d", code)
	}
}

// capture sets a variable to the first group of a pattern in stdout, stderr or a
// file.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture VARIABLE FILE PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) < 2 {
		ts.Fatalf("%s has no %s", args[1], args[2])
	}
	ts.Setenv(args[0], m[1])
}

// lines wants a file to have so many lines.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines NUMBER FILE")
	}
	if n := strings.Count(ts.ReadFile(args[1]), "\n"); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%s has %d lines", args[1], n)
	}
}

// appears waits until a file, which another program writes, has a pattern in it.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: appears PATTERN FILE")
	}
	pattern, file := regexp.MustCompile("(?m)"+args[0]), ts.MkAbs(args[1])
	patience := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil && pattern.Match(text) {
			return
		}
		select {
		case <-tick.C:
		case <-patience:
			ts.Fatalf("%s has no %s: %s (%v)", args[1], args[0], text, err)
		}
	}
}

// spoil changes one bit of the first file of a folder that has a text in it, in
// that text.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spoil FOLDER TEXT")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		ts.Check(err)
		if at := strings.Index(string(b), args[1]); at >= 0 {
			b[at] ^= 1
			ts.Check(os.WriteFile(file, b, 0o600))
			return
		}
	}
	ts.Fatalf("no file of %s has %q in it", args[0], args[1])
}
