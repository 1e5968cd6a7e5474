package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	consumers "github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// server is a whole server without its files and sockets, and the lab on it.
type server struct {
	lab   *Lab
	api   *httpapi.API
	token string
}

func serve(t *testing.T, identify door.Identifier) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log := memlog.New(memlog.Options{})
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	limits, err := policy.New(log, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := limits.Load(ctx); err != nil {
		t.Fatal(err)
	}
	sealer := cursor.NewSealer(cursor.Key{Secret: [32]byte{1}})
	hub := pubsub.NewHub(log, topics, sealer, pubsub.Options{})
	queues, err := queue.NewRegistry(log, new(shard.Local), queue.RegistryOptions{AutoCreate: true, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	if err := queues.Load(ctx); err != nil {
		t.Fatal(err)
	}
	groups, err := consumers.New(log, new(shard.Local), topics, consumers.Options{Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	if err := groups.Load(ctx); err != nil {
		t.Fatal(err)
	}
	pipes, err := declared.NewRegistry(log, new(shard.Local), declared.Options{Topics: topics, Hub: hub, Graph: graph.Options{Expr: where.Compile}})
	if err != nil {
		t.Fatal(err)
	}
	lives := door.NewLives()
	home := door.Listen(memnet.Listen(1<<20), nil, door.Limits{})
	api, err := httpapi.New(httpapi.Options{Topics: topics, Hub: hub, Lives: lives, Context: ctx, Home: home, Identify: identify, Access: httpapi.Access{Local: true}, Throttle: limits, Admission: door.Limited(limits), Queues: queues, Groups: groups, Pipes: pipes})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	srv := &http.Server{Handler: api}
	work.Go(func() { _ = hub.Run(ctx) })
	work.Go(func() { _ = topics.Run(ctx) })
	work.Go(func() { _ = queues.Run(ctx) })
	work.Go(func() { _ = groups.Run(ctx) })
	work.Go(func() { _ = lives.Run(ctx) })
	work.Go(func() { _ = home.Run() })
	work.Go(func() { _ = srv.Serve(home) })
	t.Cleanup(func() {
		_ = srv.Close()
		_ = lives.Drain(ctx, 0)
		stop()
		work.Wait()
	})
	s := &server{lab: New(Options{Handler: api}), api: api}
	s.lab.open = func(context.Context) (net.Listener, dial, error) {
		ln := memnet.Listen(1 << 20)
		return ln, func(ctx context.Context, network, address string) (net.Conn, error) {
			return ln.Dial(ctx, network, address)
		}, nil
	}
	return s
}

// result is a whole answer to POST /lab/run.
type result struct {
	status  int
	problem door.Problem
	start   Start
	trace   []Message
	figures map[string]Figures
	took    float64
	err     *door.Problem

	opening Opening // of a run with limits
	calls   []Call
	limits  map[string]LimitFigures

	queue QueueOpening // of a run with a work queue
	spans []Span
	crews []CrewFigures

	groups  GroupsOpening // of a run with consumer groups
	acts    []Act
	readers map[string]GroupFigures

	pipes PipeOpening // of a run with pipes
	marks []Mark
	flows map[string]FlowFigures
}

func (s *server) post(t *testing.T, body string, header ...string) result {
	t.Helper()
	return s.postTo(t, "/lab/run", body, header...)
}

func (s *server) postTo(t *testing.T, path, body string, header ...string) result {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := &answer{header: http.Header{}}
	s.lab.ServeHTTP(w, r)
	out := result{status: w.status, figures: map[string]Figures{}, limits: map[string]LimitFigures{}, readers: map[string]GroupFigures{}, flows: map[string]FlowFigures{}}
	if w.status != http.StatusOK {
		if err := json.Unmarshal(w.body.Bytes(), &out.problem); err != nil {
			t.Fatalf("%d: %s", w.status, w.body.Bytes())
		}
		return out
	}
	out.parse(t, w.body.String())
	return out
}

func (out *result) parse(t *testing.T, body string) {
	t.Helper()
	in := bufio.NewScanner(strings.NewReader(body))
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var line Line
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		switch {
		case line.Start != nil:
			out.start = *line.Start
		case line.Error != nil:
			out.err = line.Error
		case line.Opening != nil:
			out.opening = *line.Opening
		case line.QueueOpening != nil:
			out.queue = *line.QueueOpening
		case line.QueueClosing != nil:
			out.took, out.crews = line.QueueClosing.Took, line.QueueClosing.Figures
		case line.GroupsOpening != nil:
			out.groups = *line.GroupsOpening
		case line.GroupsClosing != nil:
			out.took = line.GroupsClosing.Took
			for _, f := range line.GroupsClosing.Figures {
				out.readers[f.Lane] = f
			}
		case line.PipeOpening != nil:
			out.pipes = *line.PipeOpening
		case line.PipeClosing != nil:
			out.took = line.PipeClosing.Took
			for _, f := range line.PipeClosing.Figures {
				out.flows[f.Lane] = f
			}
		case line.Closing != nil:
			out.took = line.Closing.Took
			for _, f := range line.Closing.Figures {
				out.limits[f.Lane] = f
			}
		case line.End != nil:
			out.took = line.End.Took
			for _, f := range line.End.Figures {
				out.figures[f.Lane] = f
			}
		}
		out.trace = append(out.trace, line.Trace...)
		out.calls = append(out.calls, line.Calls...)
		out.spans = append(out.spans, line.Spans...)
		out.acts = append(out.acts, line.Acts...)
		out.marks = append(out.marks, line.Marks...)
	}
}

// TestWhatEachLaneCosts measures ten seconds of fake time: what is known by
// arithmetic comes out exactly.
func TestWhatEachLaneCosts(t *testing.T) { synctest.Test(t, testWhatEachLaneCosts) }

func testWhatEachLaneCosts(t *testing.T) {
	s := serve(t, nil)
	got := s.post(t, `{"seed": 7, "events": 5, "duration": "10s", "every": "1s"}`)
	if got.status != http.StatusOK || got.err != nil {
		t.Fatalf("%+v", got)
	}
	for _, lane := range []string{"short", "long", "sse", "websocket"} {
		f := got.figures[lane]
		if f.Events != 5 || f.Missing != 0 || f.Duplicates != 0 {
			t.Errorf("%s: %+v, want 5 events", lane, f)
		}
	}
	short, long, sse, ws := got.figures["short"], got.figures["long"], got.figures["sse"], got.figures["websocket"]
	if short.Requests < 10 || short.Requests > 11 || short.Empty < 5 || short.Empty > 10 || short.Connections != 1 {
		t.Errorf("short polling each second for ten: %+v", short)
	}
	if long.Requests < 6 || long.Requests > 7 || long.Empty > 1 || long.Connections != 1 {
		t.Errorf("long polling for 5 events: %+v", long)
	}
	if sse.Requests != 1 || sse.Empty != 0 || sse.Connections != 1 {
		t.Errorf("server-sent events: %+v", sse)
	}
	if ws.Requests != 1 || ws.Empty != 0 || ws.Connections != 1 {
		t.Errorf("WebSocket: %+v", ws)
	}
	if long.Latency.Max != 0 || sse.Latency.Max != 0 || ws.Latency.Max != 0 { // in fake time only waiting takes time
		t.Errorf("waiting: %v, %v, %v, want none", long.Latency, sse.Latency, ws.Latency)
	}
	if short.Latency.P50 <= 0 || short.Latency.Max > 1000 {
		t.Errorf("short polling each second: %+v", short.Latency)
	}
	if got.took != 10000 {
		t.Errorf("took %v ms, want exactly ten seconds", got.took)
	}
	got.check(t)
}

// TestALateMachine lets each publish take longer than the schedule allows: the run is
// prolonged until every lane has everything.
func TestALateMachine(t *testing.T) { synctest.Test(t, testALateMachine) }

func testALateMachine(t *testing.T) {
	s := serve(t, nil)
	s.lab.opt.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			until(r.Context(), time.Now().Add(500*time.Millisecond))
		}
		s.api.ServeHTTP(w, r)
	})
	got := s.post(t, `{"events": 8, "duration": "1s"}`)
	for lane, f := range got.figures {
		if lane != Publisher && (f.Events != 8 || f.Missing != 0) {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	if got.took < 4000 || got.took > 4500 {
		t.Errorf("took %v ms, want eight times 500 and a little", got.took)
	}
}

// check holds the trace against the figures: they come from the same bytes.
func (out *result) check(t *testing.T) {
	t.Helper()
	sums := map[string]Figures{}
	for i, m := range out.trace {
		if i > 0 && m.T < out.trace[i-1].T && m.Lane == out.trace[i-1].Lane && m.Conn == out.trace[i-1].Conn {
			t.Errorf("message %d of %s is at %v, after one at %v", i, m.Lane, m.T, out.trace[i-1].T)
		}
		f := sums[m.Lane]
		f.Messages++
		if m.Server {
			f.BytesOut += int64(m.Bytes)
		} else {
			f.BytesIn += int64(m.Bytes)
		}
		if m.Kind == KindRequest {
			f.Requests++
		}
		if m.Empty {
			f.Empty++
		}
		if m.Server && m.Lane != Publisher {
			f.Events += m.Events
		}
		sums[m.Lane] = f
	}
	for lane, f := range out.figures {
		got := sums[lane]
		want := Figures{Requests: f.Requests, Empty: f.Empty, BytesIn: f.BytesIn, BytesOut: f.BytesOut, Messages: f.Messages, Events: f.Events}
		if got != want {
			t.Errorf("%s: the trace adds up to %+v, the figures say %+v", lane, got, want)
		}
	}
}

// TestOnLoopback runs over sockets, through the listener that product code uses.
func TestOnLoopback(t *testing.T) {
	s := serve(t, nil)
	s.lab.open = loopback
	got := s.post(t, `{"seed": 3, "events": 50, "duration": "600ms", "every": "20ms", "size": 300}`)
	if got.status != http.StatusOK || got.err != nil {
		t.Fatalf("%+v", got)
	}
	for lane, f := range got.figures {
		if lane != Publisher && (f.Events != 50 || f.Missing != 0 || f.Duplicates != 0 || f.Latency.P50 <= 0) {
			t.Errorf("%s: %+v", lane, f)
		}
		if f.Connections != 1 || f.BytesIn == 0 || f.BytesOut == 0 {
			t.Errorf("%s: %+v, want one connection", lane, f)
		}
	}
	if p := got.figures[Publisher]; p.Requests != 50 {
		t.Errorf("publisher: %+v, want a request for each event", p)
	}
	got.check(t)
	if got, want := got.figures["websocket"].BytesIn, got.figures["short"].BytesIn; got >= want {
		t.Errorf("a WebSocket sent %d bytes, polling %d", got, want)
	}
}

func TestOneRunAtATime(t *testing.T) { synctest.Test(t, testOneRunAtATime) }

func testOneRunAtATime(t *testing.T) {
	s := serve(t, nil)
	var work sync.WaitGroup
	work.Go(func() {
		if got := s.post(t, `{"duration": "2s", "lanes": ["sse"]}`); got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
	})
	synctest.Wait()
	if got := s.post(t, `{}`); got.status != http.StatusServiceUnavailable {
		t.Errorf("a second run: %d, want 503", got.status)
	}
	work.Wait()
	if got := s.post(t, `{"duration": "1s", "lanes": ["sse"]}`); got.status != http.StatusOK {
		t.Errorf("after it: %d", got.status)
	}
}

// TestNothingIsLeft wants the topic of a run gone, and its reader with it when the
// client goes away in the middle.
func TestNothingIsLeft(t *testing.T) { synctest.Test(t, testNothingIsLeft) }

func testNothingIsLeft(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/lab/run", strings.NewReader(`{"duration": "30s"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	began, done := time.Now(), make(chan struct{})
	go func() { s.lab.ServeHTTP(&answer{header: http.Header{}}, r); close(done) }()
	synctest.Wait()
	if n := len(s.topics(t)); n != 1 {
		t.Errorf("%d topics during the run, want 1", n)
	}
	cancel()
	<-done
	if took := time.Since(began); took > time.Second {
		t.Errorf("the run went on for %v without anybody there", took)
	}
	if left := s.topics(t); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

func (s *server) topics(t *testing.T) (names []string) {
	t.Helper()
	a := &answer{header: http.Header{}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/topics", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.api.ServeHTTP(a, r)
	var list httpapi.TopicList
	if err := json.Unmarshal(a.body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, one := range list.Topics {
		names = append(names, one.Name)
	}
	return names
}

func TestWhoMayRun(t *testing.T) { synctest.Test(t, testWhoMayRun) }

func testWhoMayRun(t *testing.T) {
	s := serve(t, keeper{})
	for _, row := range []struct {
		what   string
		header []string
		status int
	}{
		{"no token", nil, http.StatusUnauthorized},
		{"a token that may not", []string{"Authorization", "Bearer reader"}, http.StatusForbidden},
		{"another site's page", []string{"Authorization", "Bearer runner", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"a form", []string{"Authorization", "Bearer runner", "Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
	} {
		if got := s.post(t, `{"duration": "1s"}`, row.header...); got.status != row.status || got.problem.Fix == "" {
			t.Errorf("%s: %d %+v, want %d", row.what, got.status, got.problem, row.status)
		}
	}
	s.token = "runner"
	got := s.post(t, `{"duration": "1s"}`)
	if got.status != http.StatusOK || got.err != nil || got.figures["sse"].Events != 5 {
		t.Fatalf("%+v", got)
	}
	for _, m := range got.trace {
		if strings.Contains(m.Raw, "runner") {
			t.Fatalf("the trace shows the token:\n%s", m.Raw)
		}
	}
}

// keeper knows three tokens.
type keeper struct{}

func (keeper) Identify(credential string, _ time.Time) (door.Identity, error) {
	switch credential {
	case "":
		return door.Identity{Anonymous: true}, nil
	case "runner":
		return door.Identity{Name: credential, Scopes: []door.Scope{{Verb: "manage", On: "lab.>"}, {Verb: "publish", On: "lab.>"}, {Verb: "read", On: "lab.>"}}}, nil
	case "plumber":
		return door.Identity{Name: credential, Scopes: []door.Scope{{Verb: "admin", On: "lab"}}}, nil
	case "reader":
		return door.Identity{Name: credential, Scopes: []door.Scope{{Verb: "read", On: ">"}}}, nil
	}
	return door.Identity{}, &parley.Error{Code: parley.Unauthenticated}
}

func TestARunThatBreaksOff(t *testing.T) { synctest.Test(t, testARunThatBreaksOff) }

func testARunThatBreaksOff(t *testing.T) {
	s := serve(t, nil)
	s.lab.opt.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			door.WriteProblem(w, &parley.Error{Code: parley.Forbidden, Detail: "no"}, door.TraceOf(""))
			return
		}
		s.api.ServeHTTP(w, r)
	})
	got := s.post(t, `{"duration": "30s"}`)
	if got.err == nil || got.err.Status != http.StatusForbidden || len(got.figures) != 0 {
		t.Errorf("%+v", got)
	}
}
