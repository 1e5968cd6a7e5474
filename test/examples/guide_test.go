package examples

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// The clients of examples/guide know a path and a host; pages are in the suite
// of the browser.

func guideServer(t *testing.T) *rig.Server {
	t.Helper()
	return rig.Serve(t, "--route", "/messages=poll:messages", "--route", "/chat=websocket:chat", "--route", "/events=sse:events")
}

func guideFile(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(rig.Root(t), "examples", "guide", name)
}

func TestShortPoll(t *testing.T) {
	server := guideServer(t)
	client := runs(t, rig.Python(t), guideFile(t, "short_poll.py"), server.URL, "0.05")
	client.prints(t, "nothing yet")
	server.Publish("messages", "text/plain", "the news")
	client.prints(t, "new: the news")
	client.ends(t)
}

func TestLongPoll(t *testing.T) {
	server := guideServer(t)
	client := runs(t, rig.Python(t), guideFile(t, "long_poll.py"), server.URL)
	server.Connected("1")
	server.Publish("messages", "application/json", `"the news"`)
	client.prints(t, "new: the news")
	client.prints(t, "go on after ")
	client.ends(t)
}

func TestChat(t *testing.T) {
	server := guideServer(t)
	client := runs(t, rig.Node(t), "--experimental-websocket", "--no-warnings", guideFile(t, "chat.js"), server.Address())
	client.prints(t, "in")
	client.prints(t, "heard: Hello everybody")
	server.Publish("chat", "text/plain", "hello you")
	client.prints(t, "heard: hello you")
	server.Stop()
	client.prints(t, "out (3001)")
	client.ends(t)
}

// client is a program and the lines that it prints.
type client struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	errs  *strings.Builder
}

func runs(t *testing.T, name string, args ...string) *client {
	t.Helper()
	c := &client{cmd: exec.Command(name, args...), errs: &strings.Builder{}}
	c.cmd.Stderr = c.errs
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may have ended
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
	})
	c.lines = bufio.NewScanner(out)
	return c
}

// prints wants a line that begins so; those before it do not matter.
func (c *client) prints(t *testing.T, want string) {
	t.Helper()
	for c.lines.Scan() {
		if strings.HasPrefix(c.lines.Text(), want) {
			return
		}
	}
	t.Fatalf("it ended without printing %q: %s", want, c.errs)
}

// ends wants it to end well.
func (c *client) ends(t *testing.T) {
	t.Helper()
	for c.lines.Scan() {
	}
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, c.errs)
	}
}
