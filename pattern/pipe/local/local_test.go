package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
)

func compile(t testing.TB, text string) *graph.Plan {
	t.Helper()
	g, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Compile(g, graph.Options{Expr: where.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template, Programs: Programs(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a text to its end.
func run(t testing.TB, text string, env Env) (string, Outcome, error) {
	t.Helper()
	var out bytes.Buffer
	env.Out = &out
	went, err := Run(t.Context(), compile(t, text), env)
	return out.String(), went, err
}

func TestLines(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "in file")
	if err := os.WriteFile(name, []byte("{\"n\":1}\n\ntext\n{\"n\":\n"+strings.Repeat("x", 200_000)+"\nlast"), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen Progress
	out, went, err := run(t, "file "+quote(name)+" | split --lines | cut -d x -f 1 | stdout", Env{Step: func(p Progress) { seen = p }})
	if want := "{\"n\":1}\nte\n{\"n\":\n\nlast\n"; err != nil || out != want || went.In != 5 || went.Held != 0 {
		t.Errorf("%q, %+v, %v", out, went, err)
	}
	if info, err := os.Stat(name); err != nil || seen.Read != info.Size() || seen.Size != info.Size() {
		t.Errorf("%+v", seen)
	}
	first, _, _ := run(t, "file "+quote(name)+" | head -n 1 | map {a: .n} | stdout --format cloudevents", Env{})
	again, _, _ := run(t, "file "+quote(name)+" | head -n 1 | map {a: .n} | stdout --format cloudevents", Env{})
	if first != again || !strings.Contains(first, `"data":{"a":1}`) {
		t.Errorf("%s%s", first, again)
	}
	out, _, err = run(t, "stdin | stdout", Env{In: strings.NewReader("a\nb")})
	if err != nil || out != "a\nb\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, _, err := run(t, "stdin --format cloudevents | stdout", Env{In: strings.NewReader("{}\n{")}); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if _, _, err := run(t, "file "+quote(filepath.Join(dir, "none"))+" | stdout", Env{}); parley.CodeOf(err) != parley.NotFound {
		t.Error(err)
	}
	huge := io.MultiReader(strings.NewReader("a\n"), io.LimitReader(zeros{}, maxLine+1))
	if _, went, err := run(t, "stdin | stdout", Env{In: huge}); parley.CodeOf(err) != parley.TooLarge || went.In != 1 {
		t.Error(went, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func quote(s string) string { return "'" + s + "'" }

// A line is passed on when it is there, not when more have come.
func TestLinesDoNotWait(t *testing.T) {
	in, give := io.Pipe()
	out, got := io.Pipe()
	done := make(chan error, 1)
	p := compile(t, "stdin | stdout")
	go func() {
		_, err := Run(context.WithoutCancel(t.Context()), p, Env{In: in, Out: got})
		done <- err
	}()
	buf := make([]byte, 10)
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := give.Write([]byte(line + "ha")); err != nil {
			t.Fatal(err)
		}
		n, err := out.Read(buf)
		if err != nil || !strings.HasSuffix(string(buf[:n]), line) {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if err := out.Close(); err != nil { // who reads has gone
		t.Fatal(err)
	}
	if _, err := give.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if err := give.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// stamps notes when events come.
type stamps struct {
	began time.Time
	at    []time.Duration
	full  func()
	most  int
}

func (s *stamps) Write(p []byte) (int, error) {
	for range bytes.Count(p, []byte("\n")) {
		s.at = append(s.at, time.Since(s.began))
	}
	if s.full != nil && len(s.at) >= s.most {
		s.full()
	}
	return len(p), nil
}

func TestClocks(t *testing.T) {
	for text, want := range map[string][]time.Duration{
		"generate 3 2s | stdout":                                  {0, 2 * time.Second, 4 * time.Second},
		"generate 3 | delay 5s | stdout":                          {5 * time.Second, 5 * time.Second, 5 * time.Second},
		"generate 5 2s | batch 2 3s | stdout":                     {2 * time.Second, 6 * time.Second, 8 * time.Second},
		"generate 25 | throttle 10/s | tail | head -n 1 | stdout": {1500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stamps{began: time.Now()}
			if _, err := Run(t.Context(), compile(t, text), Env{Out: s}); err != nil || !slices.Equal(s.at, want) {
				t.Errorf("%s: %v, %v", text, s.at, err)
			}
		})
	}
}

// TestAllIsDone: what a stage keeps until the end is done then.
func TestAllIsDone(t *testing.T) {
	for _, stage := range []string{"wc", "sort", "sort", "uniq -c", "tail -n 2", "head -n 2", "batch 2", "dedupe", "throttle 1000/s", "tee 'wc | discard'"} {
		out, went, err := run(t, "generate 3 | "+stage+" | stdout", Env{})
		if err != nil || out == "" || went.In != 3 || went.Held != 0 {
			t.Errorf("%s: %q, %+v, %v", stage, out, went, err)
		}
	}
}

// An interrupted run works off what it has read, and tells what it has not done.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		topics := newTopics(map[string][]string{"in": {"1", "2", "3"}})
		s := &stamps{began: time.Now(), most: 1, full: cancel}
		went, err := Run(ctx, compile(t, "topic in | tee 'batch 2 1h | stdout' | delay 1h | discard"), Env{Topics: topics, Out: s})
		if err != nil || !went.Interrupted || went.In != 3 || went.Held != 3 || topics.sources[0].acked != 0 || time.Since(s.began) > time.Minute {
			t.Errorf("%+v, %v, acked %d, after %v", went, err, topics.sources[0].acked, time.Since(s.began))
		}
		if !topics.sources[0].closed {
			t.Error("a source is not closed")
		}
	})
}

func TestTopics(t *testing.T) {
	topics := newTopics(map[string][]string{"a": {"1", "2", "3"}, "b": {"4"}})
	topics.ends = true
	went, err := Run(t.Context(), compile(t, "merge 'topic a | where data > 1' 'topic b' | map {v: .} | topic out"), Env{Topics: topics})
	slices.Sort(topics.out["out"])
	if err != nil || !slices.Equal(topics.out["out"], []string{`{"v":2}`, `{"v":3}`, `{"v":4}`}) || went.In != 4 || went.Out != 3 {
		t.Errorf("%v, %+v, %v", topics.out, went, err)
	}
	if topics.sources[0].acked != 3 || topics.sources[1].acked != 1 {
		t.Errorf("%d and %d are acknowledged", topics.sources[0].acked, topics.sources[1].acked)
	}
}

// A sink that fails is tried again; an event that nothing takes ends the run, and is
// not acknowledged.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := newTopics(map[string][]string{"a": {"1", `"x"`, "3"}})
		topics.ends, topics.failing = true, 3
		went, err := Run(t.Context(), compile(t, "topic a | where data > 0 | topic out"), Env{Topics: topics})
		if err == nil || !strings.Contains(err.Error(), "string > int") || !strings.Contains(err.Error(), "the event 1 of /a") || topics.sources[0].acked != 0 || went.Dead != 1 {
			t.Errorf("%v, %+v", err, went)
		}
		var dead []graph.Dead
		topics = newTopics(map[string][]string{"a": {"1", `"x"`, "3"}})
		topics.ends, topics.failing = true, 4
		went, err = Run(t.Context(), compile(t, "topic a | where data > 0 | topic out"), Env{Topics: topics, Dead: func(d graph.Dead) error { dead = append(dead, d); return nil }})
		if err != nil || len(dead) != 1 || dead[0].Attempts != 1 || string(dead[0].Original.Data) != `"x"` || topics.sources[0].acked != 3 || went.Out != 2 {
			t.Errorf("%v, %+v, dead %+v", err, went, dead)
		}
		topics = newTopics(map[string][]string{"a": {"1"}})
		topics.ends, topics.failing = true, 5
		if _, err = Run(t.Context(), compile(t, "topic a | topic out"), Env{Topics: topics}); parley.CodeOf(err) != parley.Unavailable || topics.sources[0].acked != 0 {
			t.Error(err)
		}
	})
}

// memory has topics.
type memory struct {
	mu      sync.Mutex
	in      map[string][]string
	out     map[string][]string
	sources []*memorySource
	ends    bool
	failing int // Puts
}

func newTopics(in map[string][]string) *memory { return &memory{in: in, out: map[string][]string{}} }

type memorySource struct {
	m      *memory
	name   string
	left   []string
	n      int
	acked  int64
	closed bool
}

func (m *memory) Source(_ context.Context, names []string, _ string, _ bool) (pipe.Source[parley.Event], error) {
	s := &memorySource{m: m, name: names[0], left: m.in[names[0]]}
	m.sources = append(m.sources, s)
	return s, nil
}

func (s *memorySource) Next(ctx context.Context) ([]parley.Event, error) {
	var all []parley.Event
	for _, data := range s.left {
		all = append(all, parley.Event{ID: fmt.Sprint(s.n), Source: "/" + s.name, Type: "t", DataContentType: "application/json", Data: []byte(data)})
		s.n++
	}
	if s.left = nil; len(all) > 0 {
		return all, nil
	}
	if s.m.ends {
		return nil, io.EOF
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (s *memorySource) Ack(_ context.Context, n int64) error { s.acked = n; return nil }
func (s *memorySource) Close() error                         { s.closed = true; return nil }

func (m *memory) Sink(_ context.Context, name string) (pipe.Sink[parley.Event], error) {
	return pipe.SinkFunc[parley.Event](func(_ context.Context, events []parley.Event) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.failing > 0 {
			m.failing--
			return parley.Errorf(parley.Unavailable, "not now")
		}
		for _, e := range events {
			m.out[name] = append(m.out[name], string(e.Data))
		}
		return nil
	}), nil
}

func TestHTTP(t *testing.T) {
	var mu sync.Mutex
	asked, posted := 0, []string(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil || r.Header.Get("Ce-Id") == "" || r.Header.Get("X-Key") != "k" {
				t.Error(err, r.Header)
			}
			switch string(body) {
			case `{"n":1}`:
				http.Error(w, "no", http.StatusBadRequest)
				return
			case `{"n":2}`:
				if len(posted) == 1 {
					posted = append(posted, "busy")
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
			}
			posted = append(posted, string(body))
			return
		}
		asked++
		switch {
		case asked == 1:
			w.WriteHeader(http.StatusBadGateway)
		case r.Header.Get("If-None-Match") == `"1"` && asked < 5:
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, min(asked-1, 2)))
			fmt.Fprintf(w, `{"v":%d}`, min(asked-1, 2))
		}
	}))
	defer server.Close()
	var said []string
	out, _, err := run(t, "http "+server.URL+" --every 1ms | head -n 2 | stdout", Env{HTTP: server.Client(), Say: func(s string) { said = append(said, s) }})
	if err != nil || out != "{\"v\":1}\n{\"v\":2}\n" || len(said) != 1 || !strings.Contains(said[0], "502") {
		t.Errorf("%q, %v, said %q", out, err, said)
	}
	var dead []graph.Dead
	_, went, err := run(t, "generate 3 | http "+server.URL+" --header 'X-Key: k'", Env{HTTP: server.Client(), Retry: pipe.Retry{Base: 1}, Dead: func(d graph.Dead) error { dead = append(dead, d); return nil }})
	if err != nil || !slices.Equal(posted, []string{`{"n":0}`, "busy", `{"n":2}`}) || len(dead) != 1 || dead[0].Attempts != 1 || !strings.Contains(dead[0].Err.Error(), "400 Bad Request: no") || went.Out != 2 {
		t.Errorf("%v, posted %q, dead %+v, %+v", err, posted, dead, went)
	}
	big := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2000)) })) // the client closes early
	defer big.Close()
	if _, _, err := run(t, "http "+big.URL+" --max 1K | stdout", Env{HTTP: big.Client()}); parley.CodeOf(err) != parley.TooLarge {
		t.Error(err)
	}
}

func TestFileSink(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	for i, text := range []string{"generate 2 | file " + quote(name), "generate 1 | file --append " + quote(name)} {
		if _, _, err := run(t, text, Env{}); err != nil {
			t.Fatal(i, err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "{\"n\":0}\n{\"n\":1}\n{\"n\":0}\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := run(t, "generate 2 | file "+quote(name), Env{}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(err)
	}
}

func TestCron(t *testing.T) {
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for schedule, want := range map[string]string{
		"* * * * *": "2026-01-31 23:59", "*/15 * * * *": "2026-02-01 00:00", "30 9 * * 1-5": "2026-02-02 09:30", "0 0 29 2 *": "2028-02-29 00:00",
		"0 12 13 * 5": "2026-02-06 12:00", "5,10 0-2/2 1 3 *": "2026-03-01 00:05", "0 0 * * 7": "2026-02-01 00:00",
	} {
		c, err := parseCron(schedule)
		if err != nil {
			t.Fatal(schedule, err)
		}
		if got, ok := c.next(at("2026-01-31 23:58")); !ok || !got.Equal(at(want)) {
			t.Errorf("%s: %v, want %s", schedule, got, want)
		}
	}
	for _, bad := range []string{"", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "x * * * *", "* * * 13 *", "1-x * * * *"} {
		if _, err := parseCron(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if c, err := parseCron("0 0 31 2 *"); err != nil {
		t.Error(err)
	} else if _, ok := c.next(time.Now()); ok {
		t.Error("there is a 31st of February")
	}
	synctest.Test(t, func(t *testing.T) {
		out, _, err := run(t, "cron '0 */6 * * *' | head -n 2 | stdout", Env{})
		if err != nil || out != "{\"at\":\"2000-01-01T06:00:00Z\"}\n{\"at\":\"2000-01-01T12:00:00Z\"}\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
}

// No schedule makes the search for its next time go on.
func FuzzCron(f *testing.F) {
	f.Add("*/5 0-23/2 1,15 * 7")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCron(text)
		if err != nil {
			return
		}
		from := time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC)
		if at, ok := c.next(from); ok && (!at.After(from) || at.Second() != 0) {
			t.Fatalf("%s: %v", text, at)
		}
	})
}
