// Package examples compiles the programs of examples/ and runs them as their
// readers would.
package examples

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parleyhq/parley/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// TestBuild wants every Go program among the examples to be one that is run here.
func TestBuild(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(rig.Root(t), "examples", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{"embed": true, "poll": true, "sse": true, "websocket": true, "login": true}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		if !run[name] {
			t.Errorf("examples/%s is not run by a test", name)
		}
		delete(run, name)
	}
	for name := range run {
		t.Errorf("there is no examples/%s", name)
	}
}

func TestEmbed(t *testing.T) {
	out := rig.Run(t, rig.Build(t, "./examples/embed"))
	if strings.Count(out, "{\"tea\":1}\n") != 3 {
		t.Errorf("it printed %q", out)
	}
}

func TestSSE(t *testing.T) {
	const want = "1 so far\n2 so far\n3 so far\nthe stream broke; again soon\n4 so far\n5 so far\n6 so far\nthe stream broke; again soon\n7 so far\nthe stream broke; again soon\n"
	if got := rig.Run(t, rig.Build(t, "./examples/sse")); got != want {
		t.Errorf("it printed %q", got)
	}
}

func TestPoll(t *testing.T) {
	url := started(t, rig.Build(t, "./examples/poll"))
	sign(t, url, "Ada")
	if got := get(t, url+"?after=earliest"); got != `{"events":["Ada"],"cursor":"1","more":false,"new_messages":1}` {
		t.Errorf("the first answer is %s", got)
	}
	held := make(chan string, 1)
	go func() { held <- get(t, url+"?after=1&wait=10s") }()
	sign(t, url, "Grace")
	if got := <-held; got != `{"events":["Grace"],"cursor":"2","more":false,"new_messages":1}` {
		t.Errorf("the held answer is %s", got)
	}
}

func TestWebSocket(t *testing.T) {
	url := started(t, rig.Build(t, "./examples/websocket"))
	if page := get(t, url); !strings.Contains(page, "new WebSocket") {
		t.Errorf("the page is %s", page)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	guests := make([]*websocket.Conn, 2)
	for i := range guests {
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/room", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.CloseNow() }()
		say(ctx, t, c, "here") // whoever is heard is in the room
		for _, guest := range append(guests[:i:i], c) {
			hear(ctx, t, guest, "here")
		}
		guests[i] = c
	}
	say(ctx, t, guests[1], "hello")
	hear(ctx, t, guests[0], "hello")
	hear(ctx, t, guests[1], "hello")
}

func say(ctx context.Context, t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(ctx context.Context, t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if _, heard, err := c.Read(ctx); err != nil || string(heard) != text {
		t.Fatalf("heard %q (%v), want %q", heard, err, text)
	}
}

// started starts a program that prints its address, and ends it with the test.
func started(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command(path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("it printed no address: %v", err)
	}
	return strings.TrimSpace(line)
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %s %v", url, res.Status, err)
	}
	return strings.TrimSpace(string(body))
}

func sign(t *testing.T, url, name string) {
	t.Helper()
	res, err := http.Post(url+"/"+name, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
}

func TestLogin(t *testing.T) {
	at := started(t, rig.Build(t, "./examples/login"))
	guess := func(password string) int {
		res, err := http.PostForm(at, url.Values{"user": {"ada"}, "password": {password}})
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if code := guess("lovelace"); code != http.StatusOK {
		t.Fatal(code)
	}
	codes := make(chan int, 20)
	for i := range 20 {
		go func() { codes <- guess(strconv.Itoa(i)) }()
	}
	compared := 0
	for range 20 {
		if <-codes == http.StatusUnauthorized {
			compared++
		}
	}
	if compared != 5 || guess("lovelace") != http.StatusTooManyRequests {
		t.Errorf("%d guesses were compared", compared)
	}
}
