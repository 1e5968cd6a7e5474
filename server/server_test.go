package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// running is a server on a free port of loopback.
type running struct {
	t      *testing.T
	at     Addresses
	client *http.Client
	stop   context.CancelFunc
	done   chan error // gives what Run returned, once
}

// start runs a server that keeps nothing, unless change says otherwise.
func start(t *testing.T, change func(*Config, *Options)) *running {
	t.Helper()
	cfg, opt := Default(), Options{Version: "test", Log: slog.New(slog.DiscardHandler)}
	cfg.Data, cfg.Listen, cfg.GRPC, cfg.Drain = Memory, "127.0.0.1:0", off, 0
	if change != nil {
		change(&cfg, &opt)
	}
	started := make(chan Addresses, 1)
	opt.Started = func(a Addresses) { started <- a }
	s, err := New(cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, done: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	go func() { r.done <- s.Run(ctx) }()
	select {
	case r.at = <-started:
	case err := <-r.done:
		t.Fatalf("the server ended: %v", err)
	}
	t.Cleanup(func() {
		stop()
		r.client.CloseIdleConnections()
		if err := <-r.done; err != nil {
			t.Errorf("Run: %v", err)
		}
		r.done <- nil
	})
	return r
}

// end stops the server and waits for it.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	r.done <- nil
}

func (r *running) url(path string) string {
	if r.at.TLS {
		return "https://" + r.at.HTTP + path
	}
	return "http://" + r.at.HTTP + path
}

func (r *running) open(method, path, body string, header ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url(path), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func (r *running) do(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	res := r.open(method, path, body, header...)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(text)
}

func (r *running) want(status int, method, path, body string, header ...string) string {
	r.t.Helper()
	res, text := r.do(method, path, body, header...)
	if res.StatusCode != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, text, status)
	}
	return text
}

func TestServes(t *testing.T) {
	r := start(t, func(c *Config, _ *Options) {
		c.Routes = []Route{{Path: "/messages", As: "poll", Topic: "messages"}, {Path: "/say", As: "publish", Topic: "messages"}}
	})
	if r.at.GRPC != "" || r.at.TLS || strings.HasSuffix(r.at.HTTP, ":0") {
		t.Errorf("addresses are %+v", r.at)
	}
	r.want(201, "POST", "/v1/topics/messages/events", `{"n":1}`, "Content-Type", "application/json")
	r.want(201, "POST", "/say", `{"n":2}`, "Content-Type", "application/json")
	if body := r.want(200, "GET", "/messages", ""); !strings.Contains(body, `{"n":1}`) || !strings.Contains(body, `{"n":2}`) {
		t.Errorf("the route gives %s", body)
	}
	if body := r.want(200, "GET", "/healthz", ""); body != "ok\n" {
		t.Errorf("/healthz says %q", body)
	}
	if body := r.want(200, "GET", "/readyz", ""); body != "ready\n" {
		t.Errorf("/readyz says %q", body)
	}
	for _, path := range []string{"/", "/nowhere", "/v1/nowhere"} {
		if body := r.want(404, "GET", path, ""); !strings.Contains(body, "urn:parley:error:not-found") {
			t.Errorf("%s says %s", path, body)
		}
	}
	if body := r.want(403, "GET", "/v1/topics", "", "Origin", "https://evil.example"); !strings.Contains(body, "http.origins") {
		t.Errorf("a foreign page is told %s", body)
	}
}

// The console has what is not the API's, and nothing below /v1.
func TestConsole(t *testing.T) {
	r := start(t, func(_ *Config, o *Options) {
		say := func(word string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, word+" "+r.URL.Path) })
		}
		o.Console = say("console")
		o.Lab = func(http.Handler) http.Handler { return say("lab") }
	})
	for path, want := range map[string]string{"/": "console /", "/topics/x": "console /topics/x", "/lab": "console /lab", "/lab/": "console /lab/", "/lab/run": "lab /lab/run"} {
		if body := r.want(200, "GET", path, ""); body != want {
			t.Errorf("%s gives %q", path, body)
		}
	}
	r.want(404, "GET", "/v1/nowhere", "")
	r.want(200, "GET", "/v1/topics", "")
	r.want(200, "GET", "/healthz", "")
}

// A name that was made to point to 127.0.0.1 gets nothing out of a server there.
func TestForeignHost(t *testing.T) {
	r := start(t, func(_ *Config, o *Options) {
		o.Console = http.NotFoundHandler()
		o.Lab = func(http.Handler) http.Handler { return http.NotFoundHandler() }
	})
	for _, path := range []string{"/", "/metrics", "/lab/lanes", "/v1/topics"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// A socket on a route of the user's: what it says is published and comes back,
// and at the end it is told to come back later (code 3001).
func TestWebSocketRoute(t *testing.T) {
	r := start(t, func(c *Config, _ *Options) { c.Routes = []Route{{Path: "/chat", As: "websocket", Topic: "chat"}} })
	conn, err := net.Dial("tcp", r.at.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// RFC 6455 §1.3 has the key, §5.7 the masked text.
	hello := "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, hello); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("gives %+v, %v", res, err)
	}
	expect := func(want string) error {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			return fmt.Errorf("%q comes, and %w, where %q belongs", got, err, want)
		}
		return nil
	}
	if _, err := io.WriteString(conn, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); err != nil {
		t.Fatal(err)
	}
	if err := expect("\x81\x05Hello"); err != nil {
		t.Fatal(err)
	}
	if body := r.want(200, "GET", "/v1/topics/chat/events", ""); !strings.Contains(body, `"data":"Hello"`) {
		t.Errorf("a poll gives %s", body)
	}
	farewell := make(chan error, 1)
	go func() {
		farewell <- expect("\x88\x23\x0b\xb9the server is stopping; come back")
		_ = conn.Close() // without an answer: the server has to bear it
	}()
	r.end()
	if err := <-farewell; err != nil {
		t.Error(err)
	}
}

func TestTokens(t *testing.T) {
	secret, token, err := door.MakeToken("reader", []string{"read"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	root, admin, err := door.MakeToken("ops", []string{"admin", "publish"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config, _ *Options) { c.Tokens = []door.Token{token, admin} })
	r.want(401, "POST", "/v1/topics/a/events", "x")
	r.want(403, "POST", "/v1/topics/a/events", "x", "Authorization", "Bearer "+secret)
	r.want(201, "POST", "/v1/topics/a/events", "x", "Authorization", "Bearer "+root)
	r.want(200, "GET", "/v1/topics/a/events", "", "Authorization", "Bearer "+secret)
	r.want(401, "GET", "/metrics", "")
	r.want(403, "GET", "/metrics", "", "Authorization", "Bearer "+secret)
	r.want(200, "GET", "/metrics", "", "Authorization", "Bearer "+root)
	r.want(200, "GET", "/healthz", "")
}

func TestRefusesExposure(t *testing.T) {
	cfg := Default()
	cfg.Listen = "0.0.0.0:0"
	if _, err := New(cfg, Options{}); parley.CodeOf(err) != parley.Forbidden || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("gives %v", err)
	}
}

// What is acknowledged is there after a restart on the same directory, and so are
// the keys that cursors are sealed with.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *Config, _ *Options) { c.Data = dir }
	r := start(t, keep)
	for _, n := range []string{"1", "2"} {
		r.want(201, "POST", "/v1/topics/kept/events", n, "Content-Type", "application/json")
	}
	r.want(201, "PUT", "/v1/topics/quick", `{"durability":"memory"}`)
	r.want(201, "POST", "/v1/topics/quick/events", "3", "Content-Type", "application/json")
	page := r.want(200, "GET", "/v1/topics/kept/events?after=earliest&limit=1", "")
	_, cursor, _ := strings.Cut(page, `"cursor":"`)
	cursor, _, _ = strings.Cut(cursor, `"`)

	cfg := Default()
	cfg.Data, cfg.Listen, cfg.GRPC = dir, "127.0.0.1:0", off
	second, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); parley.CodeOf(err) != parley.Unavailable || !strings.Contains(err.Error(), "data") {
		t.Errorf("a second server on the directory: %v", err)
	}
	r.end()

	r = start(t, keep)
	if body := r.want(200, "GET", "/v1/topics/kept/events?after="+cursor, ""); strings.Contains(body, `"data":1`) || !strings.Contains(body, `"data":2`) {
		t.Errorf("after the restart: %s", body)
	}
	if body := r.want(200, "GET", "/v1/topics/quick/events?after=earliest", ""); !strings.Contains(body, `"events":[]`) {
		t.Errorf("what was in memory: %s", body)
	}
}

func TestPortIsTaken(t *testing.T) {
	r := start(t, nil)
	cfg := Default()
	cfg.Data, cfg.Listen = Memory, r.at.HTTP
	s, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); parley.CodeOf(err) != parley.Unavailable || !strings.Contains(err.Error(), "in use") {
		t.Errorf("gives %v", err)
	}
}

// A stream gets its farewell, a held request its answer, and new connections are
// refused, before Run returns.
func TestDrain(t *testing.T) {
	r := start(t, func(c *Config, _ *Options) { c.Drain = 20 * time.Millisecond })
	r.want(201, "POST", "/v1/topics/a/events", "1")
	stream := r.open("GET", "/v1/topics/a/events?after=earliest", "", "Accept", "text/event-stream")
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data:") {
	}
	type answer struct {
		status int
		body   string
		close  bool
	}
	held := make(chan answer, 1)
	go func() {
		res, body := r.do("GET", "/v1/topics/a/events?wait=50s", "")
		held <- answer{res.StatusCode, body, res.Close}
	}()
	for !strings.Contains(r.want(200, "GET", "/metrics", ""), "parley_live_connections 2\n") {
	}
	r.end()
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	if text := strings.Join(rest, "\n"); lines.Err() != nil || !strings.Contains(text, "retry:") {
		t.Errorf("the stream ends with %q, %v", text, lines.Err())
	}
	if a := <-held; a.status != 200 || !strings.Contains(a.body, `"events":[]`) || !a.close {
		t.Errorf("the held request is answered %+v", a)
	}
	if _, err := r.client.Get(r.url("/healthz")); err == nil {
		t.Error("a connection is accepted after the end")
	}
}
