package httpapi

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
)

// faulty is a log that fails with a code once it is armed.
type faulty struct {
	*memlog.Log
	code atomic.Int32 // 0 = it works
}

func (f *faulty) err() error {
	if c := f.code.Load(); c != 0 {
		return &parley.Error{Code: parley.Code(c), Detail: "so the test wants it", Fix: "disarm it"}
	}
	return nil
}

func (f *faulty) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.Log.Append(ctx, w...)
}

func (f *faulty) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	if err := f.err(); err != nil {
		return parley.Stats{}, err
	}
	return f.Log.Stat(ctx, s)
}

// throttler refuses once it is armed.
type throttler struct{ code atomic.Int32 }

func (t *throttler) Admit(context.Context, *door.Request) (func(), error) {
	if c := t.code.Load(); c != 0 {
		return nil, &parley.Error{Code: parley.Code(c), Field: "limit", Detail: "too often", Fix: "wait", RetryAfter: 1500 * time.Millisecond}
	}
	return func() {}, nil
}

// provoker is a rig in which any error can be had.
type provoker struct {
	*rig
	route  *door.Route
	log    *faulty
	limit  *throttler
	token  string // of a lease of queue a
	member string // of group a
}

func newProvoker(t *testing.T, name string, code parley.Code) *provoker {
	p := &provoker{log: &faulty{Log: memlog.New(memlog.Options{})}, limit: &throttler{}}
	p.rig = newRig(t, func(s *setup) {
		s.log, s.Admission, s.Limits.Body, s.Limits.Lives = p.log, p.limit, 1000, 1
		s.Throttle = limitsOver(t, p.log, policy.Options{MaxLimits: 1, Fixed: map[string]policy.Definition{"fixed": {Limit: "1/s"}, "wide": {Limit: "concurrency 1"}}})
		s.topics.AutoCreate, s.topics.MaxTopics = false, 3
		s.queues.AutoCreate, s.queues.MaxQueues, s.queues.Fixed = code != parley.NotFound, 3, fixedQueue
		s.groups.MaxGroups, s.pipes.MaxPipes = 2, 3
		s.Snapshot = func(context.Context, io.Writer) error { return p.log.err() }
	})
	for i := range p.api.routes {
		if p.api.routes[i].Name == name {
			p.route = &p.api.routes[i]
		}
	}
	if res, answer := p.do("PUT", "/v1/limits/a", `{"limit":"5/s"}`); res.StatusCode != 201 {
		t.Fatal(answer)
	}
	if res, answer := p.do("PUT", "/v1/queues/a", ""); res.StatusCode != 201 {
		t.Fatal(answer)
	}
	p.token = p.readyQueue(t)
	for _, topic := range []string{"a", "wide"} {
		body := "{}"
		if topic == "wide" {
			body = `{"partitions":65}`
		}
		if res, answer := p.do("PUT", "/v1/topics/"+topic, body); res.StatusCode != 201 {
			t.Fatal(answer)
		}
	}
	if res, answer := p.do("PUT", "/v1/topics/a/schema?type=t", `{"schema":{"type":"object"}}`); res.StatusCode != 201 {
		t.Fatal(answer)
	}
	if strings.HasPrefix(name, "group-") {
		p.member = p.joinGroup("a", `{"topics":["a"]}`).Member
	}
	if strings.HasPrefix(name, "pipe-") {
		p.readyPipe(t)
	}
	return p
}

// sample is that of the route, with the lease and the member that there are.
func (p *provoker) sample() (method, path, body string, header []string) {
	method, path, body, header = sample(p.route)
	real := strings.NewReplacer("{lease}", p.token, "{member}", p.member)
	return method, real.Replace(path), real.Replace(body), header
}

// send is the sample of the route with a change of its path, body and header.
func (p *provoker) send(change func(path, body string) (string, string), header ...string) (*http.Response, string) {
	method, path, body, with := p.sample()
	if change != nil {
		path, body = change(path, body)
	}
	return p.do(method, path, body, append(with, header...)...)
}

func (p *provoker) elsewhere(name string) (*http.Response, string) {
	return p.send(func(path, body string) (string, string) {
		path = strings.NewReplacer("topics/a", "topics/"+name, "topic=a", "topic="+name, "limits/a", "limits/"+name, "queues/a", "queues/"+name, "leases/a~", "leases/"+name+"~", "groups/a", "groups/"+name, "pipes/a", "pipes/"+name).Replace(path)
		return path, strings.ReplaceAll(body, `"topic":"a"`, `"topic":"`+name+`"`)
	})
}

func (p *provoker) query(q string) (*http.Response, string) {
	return p.send(func(path, body string) (string, string) {
		if strings.Contains(path, "?") {
			return path + "&" + q, body
		}
		return path + "?" + q, body
	})
}

// provoked are the ways to have each error; those of the log are had by faults.
var provoked = map[parley.Code]func(p *provoker) (*http.Response, string){
	parley.Unauthenticated: func(p *provoker) (*http.Response, string) { return p.send(nil, "Authorization", "Bearer x") },
	parley.Forbidden: func(p *provoker) (*http.Response, string) {
		return p.send(nil, "Origin", "https://evil.example")
	},
	parley.Throttled: func(p *provoker) (*http.Response, string) {
		p.limit.code.Store(int32(parley.Throttled))
		return p.send(nil)
	},
	parley.Invalid:   func(p *provoker) (*http.Response, string) { return p.query("a=%zz") },
	parley.BadCursor: func(p *provoker) (*http.Response, string) { return p.query("after=garbage") },
	parley.NotFound:  func(p *provoker) (*http.Response, string) { return p.elsewhere("missing") },
	parley.Unsupported: func(p *provoker) (*http.Response, string) {
		if p.route.Pattern == "websocket" {
			return p.do("GET", strings.Replace(p.route.Path, "{topic}", "a", 1), "")
		}
		return p.send(nil, "Content-Encoding", "br")
	},
	parley.TooLarge: func(p *provoker) (*http.Response, string) {
		return p.send(func(path, _ string) (string, string) { return path, strings.Repeat(" ", 1001) })
	},
	parley.Trimmed: func(p *provoker) (*http.Response, string) {
		_, first := p.do("GET", events, "")
		p.must("a", "1", "2")
		p.must("a", "3")
		t, _ := p.topics.Get("a")
		if err := p.log.Trim(p.t.Context(), t.Partitions[0].Stream, 3); err != nil {
			p.t.Fatal(err)
		}
		return p.query("after=" + parsePage(p.t, first).Cursor)
	},
	parley.Conflict: func(p *provoker) (*http.Response, string) { return p.elsewhere("fixed") },
	parley.KeyReused: func(p *provoker) (*http.Response, string) {
		p.send(nil, "Idempotency-Key", "k")
		return p.send(func(path, body string) (string, string) {
			return path, strings.NewReplacer("x", "y", "1", "2").Replace(body)
		}, "Idempotency-Key", `"k"`)
	},
	parley.Timeout: func(p *provoker) (*http.Response, string) {
		method, path, body, _ := p.sample()
		_, br := p.raw(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(len(body)+1) + "\r\n\r\n" + body)
		return p.response(br, method)
	},
	parley.Unprocessable: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "snapshot" {
			p.api.opt.Snapshot = nil // of a server in memory
			return p.send(nil)
		}
		switch p.route.Name {
		case "topic-put":
			return p.send(func(path, _ string) (string, string) { return path, `{"durability":"memory"}` })
		case "schema-put":
			return p.do("PUT", "/v1/topics/a/schema?type=t", `{"schema":{"type":"string"}}`)
		case "publish", "publish-all", "publish-batches":
			if res, answer := p.do("PUT", "/v1/topics/a/schema", `{"schema":false,"compatibility":"none"}`); res.StatusCode != 201 {
				p.t.Fatal(answer)
			}
			return p.send(nil)
		}
		return p.elsewhere("wide")
	},
	parley.Overloaded: func(p *provoker) (*http.Response, string) {
		switch p.route.Name {
		case "poll", "partition-read":
			p.hold()
			return p.query("wait=5s")
		case "websocket", "publish-batches":
			p.hold()
			return p.send(nil)
		case "schema-put": // as many versions as can be
			for i := range schema.MaxVersions {
				p.do("PUT", "/v1/topics/a/schema", `{"schema":{"const":`+strconv.Itoa(i)+`},"compatibility":"none"}`)
			}
			return p.do("PUT", "/v1/topics/a/schema", `{"schema":true,"compatibility":"none"}`)
		case "publish", "publish-all":
			p.limit.code.Store(int32(parley.Overloaded))
			return p.send(nil)
		}
		p.do("PUT", "/v1/topics/third", "{}")
		return p.elsewhere("fourth")
	},
}

// hold takes the one place that there is.
func (p *provoker) hold() {
	p.raw("GET /v1/topics/a/events?wait=50s HTTP/1.1\r\nHost: localhost\r\n\r\n")
	synctest.Wait()
}

func (p *provoker) fault(code parley.Code) (*http.Response, string) {
	p.log.code.Store(int32(code))
	defer p.log.code.Store(0)
	return p.send(nil)
}

func TestEveryErrorOfTheTableHappens(t *testing.T) {
	for _, route := range newRig(t, nil).api.Routes() {
		codes := route.Errors
		if route.Name != "openapi" && route.Name != "asyncapi" && route.Name != "errors" {
			codes = append(slices.Clone(everywhere), codes...)
		}
		for _, code := range codes {
			t.Run(route.Name+"/"+code.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { provoke(t, route.Name, code) })
			})
		}
	}
}

func provoke(t *testing.T, name string, code parley.Code) {
	p := newProvoker(t, name, code)
	var res *http.Response
	var body string
	way := provoked[code]
	if p.route.Pattern == "queue" && queueProvoked[code] != nil {
		way = queueProvoked[code]
	}
	if p.route.Pattern == "pipe" && pipeProvoked[code] != nil {
		way = pipeProvoked[code]
	}
	if strings.HasPrefix(name, "group-") && streamProvoked[code] != nil {
		way = streamProvoked[code]
	}
	if way != nil {
		res, body = way(p)
	} else {
		res, body = p.fault(code)
	}
	if !slices.Contains(statusesOf(p.route, code), res.StatusCode) {
		t.Fatalf("%d %s, want one of %v", res.StatusCode, body, statusesOf(p.route, code))
	}
	problem := parseProblem(t, res, body)
	if problem.Type != code.String() {
		t.Fatalf("%s in %s", problem.Type, body)
	}
	if after := res.Header.Get("Retry-After"); (res.StatusCode == 429 || res.StatusCode == 503) != (after != "") {
		t.Errorf("%d with Retry-After %q", res.StatusCode, after)
	}
	if strings.Contains(body, "so the test wants it") && code == parley.Internal {
		t.Error("tells what is for the log")
	}
}

func TestTheTableLacksNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// What the table of refusals meets, the table of routes has to name.
		r := newRig(t, func(s *setup) { s.Access.Local = true; s.Limits.Body = 2 << 20 })
		r.must("a", "1")
		for _, c := range refusals {
			var header []string
			for line := range strings.SplitSeq(c.header, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					header = append(header, name, value)
				}
			}
			req := r.request(c.method, c.path, c.body, header...)
			_, pattern := r.api.mux.Handler(req)
			code, known := parley.CodeNamed(c.code)
			if pattern == anything || !known || code == parley.MethodNotAllowed || code == parley.NotFound && c.field == "path" {
				continue
			}
			route, err := choose(discard{http.Header{}}, req, r.api.paths[pattern])
			if err != nil || slices.Contains(everywhere, code) {
				continue
			}
			if !slices.Contains(route.Errors, code) {
				t.Errorf("%s: %s does not name %s", c.name, route.Name, code)
			}
		}
	})
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (discard) WriteHeader(int)             {}
