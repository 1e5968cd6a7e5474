package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/server"
)

// result is what one run of the program left behind.
type result struct {
	code     int
	out, err string
}

func invoke(t *testing.T, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &err}
	code := a.run(t.Context(), args)
	return result{code, out.String(), err.String()}
}

func parse(t *testing.T, text string) (e envelope) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, name := range []string{"command", "ok", "summary", "result", "error"} {
		if _, there := members[name]; !there {
			t.Errorf("the envelope lacks %s: %s", name, text)
		}
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Every command shows an example of itself before everything else.
func TestEveryHelpBeginsWithExamples(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() {
			return
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		r := invoke(t, args...)
		if r.code != exitOK || r.err != "" || c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: code %d, %q, example %q", c.CommandPath(), r.code, r.err, c.Example)
		}
		if examples, usage := strings.Index(r.out, "Examples:"), strings.Index(r.out, "Usage:"); examples < 0 || usage < examples {
			t.Errorf("%s --help does not begin with examples", c.CommandPath())
		}
		if !strings.Contains(r.out, "--json") {
			t.Errorf("%s has no --json", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{out: &bytes.Buffer{}, err: &bytes.Buffer{}}).root())
}

// Each row is asked for wrongly: code 2, nothing on standard output, and the same
// in JSON.
func TestUsageErrors(t *testing.T) {
	for _, row := range []struct{ args, why, fix string }{
		{"srve", `"srve" is not a command of parley`, "did you mean parley serve?"},
		{"banana", `"banana" is not a command of parley`, "use one of "},
		{"config chek", `"chek" is not a command of parley config`, "did you mean parley config check?"},
		{"serve --lisen x", "unknown flag: --lisen", "did you mean --listen?"},
		{"serve --zzzzzzzz", "unknown flag: --zzzzzzzz", "see parley serve --help"},
		{"serve --listen x", "x is not HOST:PORT", "write it like 127.0.0.1:7275"},
		{"serve --listen", "flag needs an argument: --listen", "see parley serve --help"},
		{"serve --listen 0.0.0.0:0", "0.0.0.0:0 can be reached from other machines", "make one with `parley token NAME --scope '*'`"},
		{"serve extra", `"extra" is one argument too many`, "write it like: parley serve"},
		{"token", "NAME is missing", "write it like: parley token shop"},
		{"token app", "--scope is missing", "say what it may do"},
		{"token app --scope fly", "no such verb: fly", "use publish, read, manage, enqueue, work, consume, throttle, admin or *"},
		{"token app --scope read --expires soon", "soon is neither a duration nor a time", "write it like 720h"},
		{"token app --scope read --expires -1h", "-1h is over already", "choose a time to come"},
		{"completion tcsh", `"tcsh" is not a shell that can be served`, "use bash, zsh, fish or powershell"},
	} {
		t.Run(row.args, func(t *testing.T) {
			t.Chdir(t.TempDir())
			r := invoke(t, strings.Fields(row.args)...)
			if r.code != exitUsage || r.out != "" || !strings.Contains(r.err, "  why  "+row.why) || !strings.Contains(r.err, "  fix  "+row.fix) {
				t.Errorf("gives %d\n%s%s", r.code, r.out, r.err)
			}
			r = invoke(t, append([]string{"--json"}, strings.Fields(row.args)...)...)
			e := parse(t, r.out)
			if r.code != exitUsage || r.err != "" || e.OK || e.Error == nil || !strings.HasPrefix(e.Error.Detail, row.why) || !strings.HasPrefix(e.Error.Fix, row.fix) {
				t.Errorf("--json gives %d, %s%s", r.code, r.out, r.err)
			}
		})
	}
}

func TestConfigCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	if r := invoke(t, "config", "check"); r.code != exitOK || r.out != "" || !strings.Contains(r.err, "is fine") {
		t.Errorf("without a file: %+v", r)
	}
	write(t, server.FileName, invoke(t, "config", "init").out+"drain: 9s\n")
	r := invoke(t, "config", "check", "--log-level", "warn")
	if r.code != exitOK || !strings.Contains(r.out, "drain ") || !strings.Contains(r.out, "--log-level") || !strings.Contains(r.err, "sets 2 values") {
		t.Errorf("gives %+v", r)
	}
	write(t, server.FileName, "lisen: x\ndrain: y\n")
	r = invoke(t, "config", "check")
	if r.code != exitFailure || !strings.Contains(r.err, "✗ parley.yaml:1: lisen [invalid]\n") || !strings.Contains(r.err, "✗ parley.yaml:2: drain [invalid]\n") {
		t.Errorf("gives %+v", r)
	}
	e := parse(t, invoke(t, "config", "check", "--json").out)
	if e.Command != "config check" || e.Error.Where != "parley.yaml:1" || e.Error.Fix != "did you mean listen?" || len(e.Error.More) != 1 || e.Error.More[0].Field != "drain" {
		t.Errorf("gives %+v", e.Error)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What `parley token` prints is a configuration as it stands, and lets its owner
// in.
func TestTokenIsConfiguration(t *testing.T) {
	r := invoke(t, "token", "app", "--scope", "read", "--scope", "publish:a.>", "--expires", "720h")
	secret, snippet, _ := strings.Cut(r.out, "\n\n")
	if r.code != exitOK || !strings.HasPrefix(secret, "parley_") || strings.Contains(snippet, secret) {
		t.Fatalf("gives %+v", r)
	}
	name := filepath.Join(t.TempDir(), "c.yaml")
	write(t, name, snippet)
	loaded, err := server.Load(server.Sources{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.Config.Tokens; len(got) != 1 || got[0].Name != "app" || len(got[0].Scopes) != 2 || got[0].Expires.IsZero() || len(got[0].SCRAM) != 2 {
		t.Errorf("is read as %+v", got)
	}
	var body struct{ Secret, YAML string }
	raw, err := json.Marshal(parse(t, invoke(t, "token", "app", "--scope", "read", "--json").out).Result)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &body); err != nil || !strings.HasPrefix(body.Secret, "parley_") || !strings.HasPrefix(body.YAML, "tokens:") {
		t.Errorf("--json gives %s, %v", raw, err)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if r := invoke(t, "version"); r.code != exitOK || !strings.HasPrefix(r.out, "parley "+release) || r.err != "" {
		t.Errorf("version gives %+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := invoke(t, "completion", shell); r.code != exitOK || !strings.Contains(r.out, "parley") || r.err != "" {
			t.Errorf("completion %s gives %d, %q", shell, r.code, r.err)
		}
	}
	if r := invoke(t, "__complete", "serve", "--log-level", ""); !strings.Contains(r.out, "debug\n") {
		t.Errorf("--log-level is completed by %q", r.out)
	}
}

// announcing is a writer that says when it was written to.
type announcing struct {
	bytes.Buffer
	wrote chan string
}

func (n *announcing) Write(b []byte) (int, error) {
	n.wrote <- string(b)
	return len(b), nil
}

// serve is run as a program would: --json tells the address once it can be used.
func TestServe(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &announcing{wrote: make(chan string, 8)}
	a := &app{in: strings.NewReader(""), out: out, err: &bytes.Buffer{}}
	code := make(chan int, 1)
	go func() {
		code <- a.run(ctx, []string{"serve", "--data", ":memory:", "--listen", "127.0.0.1:0", "--grpc", "off", "--drain", "0s", "--json"})
	}()
	e := parse(t, <-out.wrote)
	at, _ := e.Result.(map[string]any)
	url, _ := at["http"].(string)
	res, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !e.OK || e.Command != "serve" || res.StatusCode != http.StatusOK {
		t.Errorf("says %+v, and then %s", e, res.Status)
	}
	stop()
	if c := <-code; c != exitOK || len(out.wrote) > 0 {
		t.Errorf("ends with %d and %d more lines", c, len(out.wrote))
	}
}

func TestBanner(t *testing.T) {
	cfg := server.Default()
	cfg.Routes = []server.Route{{Path: "/chat", As: "websocket", Topic: "chat"}}
	b := banner{loaded: server.Loaded{Config: cfg}, at: server.Addresses{HTTP: "[::]:7275", GRPC: "127.0.0.1:7276"}, console: true, paint: (&app{}).paint}
	text := b.String()
	for _, want := range []string{"http://localhost:7275/v1", "Console  http://localhost:7275/\n", "127.0.0.1:7276", "/chat   websocket of chat", "curl -N"} {
		if !strings.Contains(text, want) {
			t.Errorf("the banner lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("colours where nobody asked for any")
	}
	if got := (&app{colour: true}).paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("painted: %q", got)
	}
}

// Colour is for terminals alone.
func TestNoColourInAPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	if isTerminal(write) || isTerminal(&bytes.Buffer{}) {
		t.Error("a pipe is taken for a terminal")
	}
	for env, want := range map[string]bool{"": true, "NO_COLOR=1": false, "NO_COLOR=": true, "TERM=dumb": false} {
		if got := (&app{env: []string{env}}).wantsColour(true); got != want {
			t.Errorf("with %q: %v", env, got)
		}
		if (&app{env: []string{env}}).wantsColour(false) {
			t.Errorf("with %q a pipe is coloured", env)
		}
	}
}
