package script

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/parleyhq/parley/test/rig"
)

var update = flag.Bool("update", false, "write what commands print into the scripts")

func TestMain(m *testing.M) { rig.Main(m) }

func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
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
			Files: []string{file}, UpdateScripts: *update, RequireExplicitExec: true,
			Setup: func(e *testscript.Env) error {
				e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
				return nil
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": s.serve, "stop": s.stop, "kill": s.kill, "said": s.said, "spoil": spoil},
		})
	}
}

// session is what a script has started.
type session struct {
	t    *testing.T
	live *rig.Server
}

// serve starts a server with the flags given and sets PARLEY_URL and PARLEY_GRPC,
// so that commands find it. `! serve` wants it to give up.
func (s *session) serve(ts *testscript.TestScript, neg bool, args []string) {
	s.live = rig.Launch(s.t, args...)
	err := s.live.Greet()
	if err != nil != neg {
		ts.Fatalf("serve: %v", err)
	}
	if neg {
		s.live.Kill()
		return
	}
	ts.Setenv("PARLEY_URL", s.live.URL)
	ts.Setenv("PARLEY_GRPC", s.live.GRPC)
}

// stop lets the server drain and end.
func (s *session) stop(*testscript.TestScript, bool, []string) { s.live.Stop() }

// kill ends it without a word.
func (s *session) kill(*testscript.TestScript, bool, []string) { s.live.Kill() }

// said wants a pattern in what the server has logged.
func (s *session) said(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: said PATTERN")
	}
	found := regexp.MustCompile(args[0]).MatchString(s.live.Log())
	if found == neg {
		ts.Fatalf("said %q: %v\n%s", args[0], found, s.live.Log())
	}
}

// spoil changes a bit of the first file below a directory that has a text in it,
// in that text.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: spoil DIR TEXT")
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
