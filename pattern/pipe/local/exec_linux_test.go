package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

func TestExec(t *testing.T) {
	t.Setenv("PIPE_SEEN", "yes")
	t.Setenv("PIPE_HIDDEN", "no")
	for text, want := range map[string]string{
		`generate 2 | exec tr 0-9 a-j | stdout`:                                            "{\"n\":a}\n{\"n\":b}\n",
		`generate 3 | exec --mode filter sed -u s/n/m/ | stdout`:                           "{\"m\":0}\n{\"m\":1}\n{\"m\":2}\n",
		`generate 3 | exec --mode filter --framing ndjson sed -u s/.*1.*/null/ | stdout`:   "{\"n\":0}\n{\"n\":2}\n",
		`generate 3 | exec --mode filter --framing length cat | stdout`:                    "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n",
		`generate 3 | exec --mode batch sort -r | stdout`:                                  "{\"n\":2}\n{\"n\":1}\n{\"n\":0}\n",
		`generate 3 | exec --mode batch wc -l | stdout`:                                    "3\n",
		`generate 3 | exec --mode batch true | stdout`:                                     "",
		`generate 3 | exec --exit 3=drop sh -c 'grep -v 1 || exit 3' | stdout`:             "{\"n\":0}\n{\"n\":2}\n",
		`generate 1 | exec --env PIPE_SEEN sh -c 'echo "$PIPE_SEEN$PIPE_HIDDEN"' | stdout`: "yes\n",
		`exec printf 'a\nb' | stdout`:                                                      "a\nb\n",
	} {
		out, _, err := run(t, text, Env{})
		if err != nil || out != want {
			t.Errorf("%s: %q, %v", text, out, err)
		}
	}
}

func TestExecFails(t *testing.T) {
	for text, want := range map[string]string{
		`generate 1 | exec sh -c 'echo why >&2; exit 4' | stdout`:                        "1 sh ended with exit code 4: why",
		`generate 1 | exec --retry 2 sh -c 'exit 75' | stdout`:                           "2 sh ended with exit code 75",
		`generate 1 | exec --exit 4=retry --retry 2 sh -c 'exit 4' | stdout`:             "2 sh ended with exit code 4",
		`generate 1 | exec --timeout 50ms --retry 1 sleep 10 | stdout`:                   "1 sleep took more than 50ms",
		`generate 1 | exec --max-output 10 cat /dev/zero | stdout`:                       "1 cat wrote more than 10 bytes",
		`generate 1 | exec --mode filter --timeout 50ms --retry 2 sed s/n/m/ | stdout`:   "2 sed gave no answer within 50ms",
		`generate 1 | exec --mode filter --retry 2 sh -c 'echo oh >&2; exit 6' | stdout`: "2 sh ended with exit code 6 before it had answered: oh",
		`generate 1 | exec --mode filter --max-output 5 --retry 1 cat | stdout`:          "1 an answer has more than 5 bytes",
		`generate 1 | map '"a\nb"' | split --lines | exec --mode filter cat | stdout`:    "",
	} {
		var dead []graph.Dead
		_, _, err := run(t, text, Env{Dead: func(d graph.Dead) error { dead = append(dead, d); return nil }})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := ""
		for _, d := range dead {
			got += fmt.Sprint(d.Attempts, " ", d.Err)
		}
		tries, what, _ := strings.Cut(want, " ")
		if want == "" && got != "" || !strings.HasPrefix(got, tries) || !strings.Contains(got, what) {
			t.Errorf("%s: %s", text, got)
		}
	}
	if _, _, err := run(t, `exec sh -c 'echo a; exit 3' | stdout`, Env{}); parley.CodeOf(err) != parley.Unprocessable {
		t.Error(err)
	}
	g, err := graph.ParseText("generate 1 | exec /nowhere/program | stdout")
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Compile(g, graph.Options{Programs: Programs(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), p, Env{}); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
}

// A filter that ends in the midst is started again, and no event is lost.
func TestFilterStartsAgain(t *testing.T) {
	out, _, err := run(t, `generate 4 | exec --mode filter head -n 2 | stdout`, Env{})
	if err != nil || out != "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// What an ended run has started is gone, whatever it thinks of signals.
func TestExecEndsTheGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	script := "trap '' TERM; sleep 100 & echo $! > " + pids + "; while read -r l; do echo \"$l\"; done; wait"
	g := &graph.Graph{Steps: []graph.Step{
		graph.New("generate", graph.Args{"every": time.Millisecond}),
		graph.New("exec", graph.Args{"command": []string{"sh", "-c", script}, "mode": "filter"}),
		graph.New("stdout", nil),
	}}
	p, err := graph.Compile(g, graph.Options{Programs: Programs(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, p, Env{Out: writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil })}); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); syscall.Kill(pid, 0) == nil; { // a signal takes a moment to arrive
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && bytes.Contains(state, []byte(") Z ")) {
			return // whoever inherited it has not looked yet
		}
		select {
		case <-deadline:
			t.Fatalf("process %d is still there", pid)
		case <-time.After(time.Millisecond):
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
