// Package browser holds the server against a real browser: what a page gets
// through EventSource and WebSocket, and the pages of the console.
package browser

import (
	"bufio"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// browser is one Chromium, driven by Playwright in a process of its own.
type browser struct {
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a browser, and ends it with the test.
func start(t *testing.T) *browser {
	t.Helper()
	cmd := exec.Command(rig.Node(t), "driver.mjs", rig.Chromium(t))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the driver closes the browser and ends
		timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the driver ended with %v: %s", err, &errs)
		}
	})
	return &browser{in: in, out: bufio.NewReader(out)}
}

// do sends a command, and decodes the answer into value unless that is nil.
func (b *browser) do(t testing.TB, command map[string]any, value any) {
	t.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("the driver is gone: %v", err)
	}
	answer, err := b.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the driver is gone: %v", err)
	}
	var reply struct {
		Value json.RawMessage
		Error string
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		t.Fatalf("%.200s: %v", answer, err)
	}
	if reply.Error != "" {
		t.Fatalf("%v: %s", command["do"], reply.Error)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(reply.Value, value); err != nil {
		t.Fatalf("%.200s: %v", reply.Value, err)
	}
}

// page is an open page.
type page struct {
	t testing.TB
	b *browser
	n int
}

// open opens a page; more are members of the driver's open, such as width.
func (b *browser) open(t testing.TB, url string, more map[string]any) *page {
	t.Helper()
	command := map[string]any{"do": "open", "url": url}
	for k, v := range more {
		command[k] = v
	}
	p := &page{t: t, b: b}
	b.do(t, command, &p.n)
	return p
}

// eval evaluates an expression in the page.
func (p *page) eval(js string, value any) {
	p.t.Helper()
	p.b.do(p.t, map[string]any{"do": "eval", "page": p.n, "js": js}, value)
}

// text is what the page shows.
func (p *page) text() (text string) {
	p.t.Helper()
	p.eval("document.body.innerText", &text)
	return text
}

// shows waits until the page shows a text.
func (p *page) shows(text string) {
	p.t.Helper()
	rig.Eventually(p.t, "a page that shows "+text, func() bool { return strings.Contains(p.text(), text) })
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.b.do(p.t, map[string]any{"do": "click", "page": p.n, "selector": selector}, nil)
}

// fill types into a field, instead of what it holds.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.b.do(p.t, map[string]any{"do": "fill", "page": p.n, "selector": selector, "text": text}, nil)
}

// press presses keys one after the other, as Playwright calls them.
func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.b.do(p.t, map[string]any{"do": "press", "page": p.n, "keys": k}, nil)
	}
}

// clean wants no error in the console, no request that leaves this machine, and
// nothing that axe objects to.
func (p *page) clean() {
	p.t.Helper()
	p.quiet()
	p.accessible()
}

// accessible wants nothing that axe objects to.
func (p *page) accessible() {
	p.t.Helper()
	var violations []string
	p.b.do(p.t, map[string]any{"do": "axe", "page": p.n}, &violations)
	for _, v := range violations {
		p.t.Errorf("axe: %s", v)
	}
}

// quiet wants no error in the console, but those that are named, and no request that
// leaves this machine.
func (p *page) quiet(but ...string) {
	p.t.Helper()
	var errors, requests []string
	p.b.do(p.t, map[string]any{"do": "errors", "page": p.n}, &errors)
	for _, e := range errors {
		if !slices.ContainsFunc(but, func(known string) bool { return strings.Contains(e, known) }) {
			p.t.Errorf("console: %s", e)
		}
	}
	p.b.do(p.t, map[string]any{"do": "requests", "page": p.n}, &requests)
	for _, r := range requests {
		u, err := url.Parse(r)
		if err != nil || u.Host != "" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
			p.t.Errorf("a request left this machine: %s", r)
		}
	}
}

// shot keeps a picture of the page for people to look at.
func (p *page) shot(name string) {
	p.t.Helper()
	dir := filepath.Join(os.TempDir(), "parley-screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.b.do(p.t, map[string]any{"do": "shot", "page": p.n, "path": filepath.Join(dir, name+".png")}, nil)
}
