package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
)

// setup is what a test may change of its rig.
type setup struct {
	Options
	topics topic.Options
	queues queue.RegistryOptions
	// withTopics has the queues publish: dead letters and results.
	withTopics bool
	groups     stream.Options
	pipes      declared.Options
	log        parley.Log   // nil = memlog
	listen     net.Listener // nil = in memory
	tls        *tls.Config
}

// rig is a whole door over the in-memory engine and network, in one process; it
// runs inside a synctest bubble, too.
type rig struct {
	t        testing.TB
	api      *API
	log      parley.Log
	topics   *topic.Registry
	queues   *queue.Registry
	abdicate func() // has nobody own the queues and groups any more
	lives    *door.Lives
	home     *door.Listener
	dial     func(context.Context) (net.Conn, error)
	client   *http.Client
}

func newRig(t testing.TB, change func(*setup)) *rig {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // outlives the test, until Cleanup has drained
	s := setup{topics: topic.Options{AutoCreate: true}, queues: queue.RegistryOptions{AutoCreate: true, Logger: slog.New(slog.DiscardHandler)}}
	s.Context, s.Lives, s.Log = ctx, door.NewLives(), slog.New(slog.DiscardHandler)
	if change != nil {
		change(&s)
	}
	if s.log == nil {
		s.log = memlog.New(memlog.Options{})
	}
	if s.Throttle == nil {
		s.Throttle = limitsOver(t, s.log, policy.Options{})
	}
	s.Schemas = schema.New(s.log, schema.Options{Logger: s.Log})
	s.topics.Check = s.Schemas.Check
	r := &rig{t: t, log: s.log, topics: topic.New(s.log, s.topics), lives: s.Lives}
	if err := r.topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Schemas.Load(ctx, r.topics); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(s.log, r.topics, cursor.NewSealer(cursor.Key{ID: 1, Secret: [32]byte{7}}), pubsub.Options{})
	if s.queues.Hub = hub; s.withTopics {
		s.queues.Topics = r.topics
	}
	var err error
	if r.queues, err = queue.NewRegistry(s.log, new(shard.Local), s.queues); err != nil {
		t.Fatal(err)
	}
	if err := r.queues.Load(ctx); err != nil {
		t.Fatal(err)
	}
	s.groups.Sealer = cursor.NewSealer(cursor.Key{ID: 1, Secret: [32]byte{7}})
	if s.Groups, err = stream.New(s.log, new(shard.Local), r.topics, s.groups); err != nil {
		t.Fatal(err)
	}
	if err := s.Groups.Load(ctx); err != nil {
		t.Fatal(err)
	}
	s.pipes.Topics, s.pipes.Hub, s.pipes.Logger = r.topics, hub, s.Log
	s.pipes.Graph = graph.Options{Expr: where.Compile, JQ: jq.Compile}
	if s.Pipes, err = declared.NewRegistry(s.log, new(shard.Local), s.pipes); err != nil {
		t.Fatal(err)
	}
	if err := s.Pipes.Load(ctx); err != nil {
		t.Fatal(err)
	}
	owning, abdicate := context.WithCancel(ctx)
	r.abdicate = abdicate
	r.listen(&s)
	s.Queues, s.Topics, s.Hub, s.Home = r.queues, r.topics, hub, r.home
	if r.api, err = New(s.Options); err != nil {
		t.Fatal(err)
	}
	var speaks http.Protocols
	speaks.SetHTTP1(true)
	speaks.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: r.api, Protocols: &speaks, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var served sync.WaitGroup // connections
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			served.Add(1)
		case http.StateClosed, http.StateHijacked:
			served.Done()
		}
	}
	done := make(chan struct{}, 8)
	parts := []func(){
		func() { _ = hub.Run(ctx) },
		func() { _ = r.topics.Run(ctx) },
		func() { _ = r.queues.Run(owning) },
		func() { _ = s.Groups.Run(owning) },
		func() { _ = s.Pipes.Run(owning) },
		func() { _ = r.lives.Run(ctx) },
		func() { _ = r.home.Run() },
		func() { _ = srv.Serve(r.home) },
	}
	for _, run := range parts {
		go func() { run(); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		_ = srv.Close()
		if !r.drained() {
			_ = r.lives.Drain(context.Background(), 0)
		}
		stop()
		for range parts {
			<-done
		}
		served.Wait() // net/http lets a refused peer read its answer
	})
	return r
}

// drained says whether the test has drained already.
func (r *rig) drained() bool {
	select {
	case <-r.lives.Draining():
		return true
	default:
		return false
	}
}

func (r *rig) listen(s *setup) {
	ln := s.listen
	if ln == nil {
		mem := memnet.Listen(1 << 20)
		ln = mem
		r.dial = func(ctx context.Context) (net.Conn, error) { return mem.Dial(ctx, "", "") }
	} else {
		r.dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
		}
	}
	r.home = door.Listen(ln, s.tls, door.Limits{})
	plain := r.dial
	if s.tls != nil {
		r.dial = func(ctx context.Context) (net.Conn, error) {
			c, err := plain(ctx)
			if err != nil {
				return nil, err
			}
			return tls.Client(c, &tls.Config{InsecureSkipVerify: true}), nil
		}
	}
	r.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) }}}
}

// h2 is a client that speaks HTTP/2 without TLS.
func (r *rig) h2() *http.Client {
	var speaks http.Protocols
	speaks.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &speaks, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) }}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (r *rig) request(method, path, body string, header ...string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	for i := 0; i < len(header); i += 2 {
		switch header[i] {
		case "":
			continue
		case "Host":
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

func (r *rig) do(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.over(r.client, r.request(method, path, body, header...))
}

func (r *rig) over(client *http.Client, req *http.Request) (*http.Response, string) {
	r.t.Helper()
	res, err := client.Do(req)
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

// must publishes, which has to work.
func (r *rig) must(name string, data ...string) PublishAnswer {
	r.t.Helper()
	res, body := r.do("POST", "/v1/topics/"+name+"/events", strings.Join(data, "\n"), "Content-Type", "application/x-ndjson")
	if res.StatusCode != http.StatusCreated {
		r.t.Fatalf("publish: %d %s", res.StatusCode, body)
	}
	var a PublishAnswer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// open begins a response that does not end by itself.
func (r *rig) open(client *http.Client, path string, header ...string) (*http.Response, *bufio.Reader) {
	r.t.Helper()
	res, err := client.Do(r.request("GET", path, "", header...))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

// raw sends text on a connection of its own.
func (r *rig) raw(text string) (net.Conn, *bufio.Reader) {
	r.t.Helper()
	c, err := r.dial(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// response reads one whole response.
func (r *rig) response(from *bufio.Reader, method string) (*http.Response, string) {
	r.t.Helper()
	res, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(body)
}

// block reads the lines of a stream up to the next blank one, without it.
func block(t testing.TB, from *bufio.Reader) string {
	t.Helper()
	var out strings.Builder
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, out.String())
		}
		if line == "\n" {
			return out.String()
		}
		out.WriteString(line)
	}
}

type page struct {
	Events []struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	} `json:"events"`
	Cursor string `json:"cursor"`
	Before string `json:"before"`
	More   bool   `json:"more"`
	New    int    `json:"new_messages"`
}

func (p page) data() string {
	var all []string
	for _, e := range p.Events {
		all = append(all, string(e.Data))
	}
	return strings.Join(all, " ")
}

func parsePage(t testing.TB, body string) page {
	t.Helper()
	var p page
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return p
}

func parseProblem(t testing.TB, res *http.Response, body string) door.Problem {
	t.Helper()
	var p door.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("no problem document: %v %v %q", res.StatusCode, res.Header, body)
	}
	if p.Status != res.StatusCode || p.Title == "" || p.Fix == "" && p.Status < 500 {
		t.Errorf("the document of %d is %+v", res.StatusCode, p)
	}
	p.Type = strings.TrimPrefix(p.Type, door.ProblemType)
	return p
}
