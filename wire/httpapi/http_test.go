package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
)

// rig is a whole door over the in-memory engine and network, in one process.
type rig struct {
	t      *testing.T
	api    *API
	topics *topic.Registry
	lives  *door.Lives
	net    *memnet.Listener
	client *http.Client
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // outlives the test, until Cleanup has drained
	log := memlog.New(memlog.Options{})
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(), pubsub.Options{})
	lives := door.NewLives()
	ln := memnet.Listen(1 << 20)
	home := door.Listen(ln, nil, door.Limits{})
	opt := Options{Topics: topics, Hub: hub, Lives: lives, Context: ctx, Home: home}
	if change != nil {
		change(&opt)
	}
	api, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: api}
	done := make(chan struct{}, 5)
	run := func(f func()) { go func() { f(); done <- struct{}{} }() }
	run(func() { _ = hub.Run(ctx) })
	run(func() { _ = topics.Run(ctx) })
	run(func() { _ = lives.Run(ctx) })
	run(func() { _ = home.Run() })
	run(func() { _ = srv.Serve(home) })
	r := &rig{t: t, api: api, topics: topics, lives: lives, net: ln}
	r.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return ln.Dial(ctx, "", "") }}}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		_ = srv.Close()
		_ = lives.Drain(context.Background(), 0)
		stop()
		for range 5 {
			<-done
		}
	})
	return r
}

func (r *rig) do(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://parley.test"+path, strings.NewReader(body))
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
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(out)
}

type page struct {
	Events []struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	} `json:"events"`
	Cursor string `json:"cursor"`
	More   bool   `json:"more"`
	New    int    `json:"new_messages"`
}

func parsePage(t *testing.T, body string) page {
	t.Helper()
	var p page
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return p
}

func TestOneCursorForPollAndSSE(t *testing.T) {
	r := newRig(t, nil)
	for _, data := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
		if res, body := r.do("POST", "/v1/topics/orders/events", data, "Content-Type", "application/json"); res.StatusCode != 201 {
			t.Fatalf("publish: %d %s", res.StatusCode, body)
		}
	}
	_, body := r.do("GET", "/v1/topics/orders/events?after=earliest&limit=1", "")
	p := parsePage(t, body)
	if len(p.Events) != 1 || string(p.Events[0].Data) != `{"n":1}` || !p.More {
		t.Fatalf("first page: %s", body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://parley.test/v1/topics/orders/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", p.Cursor)
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got []string
	var last string
	lines := bufio.NewScanner(res.Body)
	for len(got) < 2 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			got = append(got, data)
		}
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			last = id
		}
	}
	if len(got) != 2 || got[0] != `{"n":2}` || got[1] != `{"n":3}` {
		t.Fatalf("stream: %v", got)
	}
	_, body = r.do("GET", "/v1/topics/orders/events?after="+last, "")
	if p = parsePage(t, body); len(p.Events) != 0 || p.Cursor != last {
		t.Fatalf("after the stream's last id: %s, want an empty page at %s", body, last)
	}
}

func TestLongPollIsAnsweredByAPublish(t *testing.T) {
	r := newRig(t, nil)
	r.do("POST", "/v1/topics/a/events", "x")
	done := make(chan string)
	go func() {
		res, body := r.do("GET", "/v1/topics/a/events?wait=50s", "")
		done <- body + res.Header.Get("Connection")
	}()
	for r.lives.Count() == 0 { // until it is held
		select {
		case body := <-done:
			t.Fatalf("answered at once: %s", body)
		case <-time.After(time.Millisecond):
		}
	}
	r.do("POST", "/v1/topics/a/events", `{"hello":"you"}`, "Content-Type", "application/json")
	p := parsePage(t, strings.TrimSuffix(<-done, "keep-alive"))
	if len(p.Events) != 1 || string(p.Events[0].Data) != `{"hello":"you"}` {
		t.Fatalf("%+v", p)
	}
}
