package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

const events = "/v1/topics/a/events"

// refusals are requests that must be refused, and how.
var refusals = []struct {
	name, method, path, header, body string // header: "Name: value" lines
	status                           int
	code, field                      string
}{
	{"nothing there", "GET", "/v2", "", "", 404, "not-found", "path"},
	{"path not clean", "POST", "/v1//topics/a/events", "", "x", 404, "not-found", "path"},
	{"dots", "GET", "/v1/topics/../topics", "", "", 404, "not-found", "path"},
	{"method", "PATCH", events, "", "x", 405, "method-not-allowed", "method"},
	{"trace", "TRACE", "/v1/topics", "", "", 405, "method-not-allowed", "method"},
	{"query", "GET", events + "?after=%zz", "", "", 400, "invalid", "query"},
	{"semicolon", "GET", events + "?a;b", "", "", 400, "invalid", "query"},

	{"name of a limit", "PUT", "/v1/limits/a%2Fb", "", `{"limit":"1/s"}`, 400, "invalid", "limit"},
	{"limit", "PUT", "/v1/limits/l", "", `{"limit":"many"}`, 400, "invalid", "limit"},
	{"limit without how much", "PUT", "/v1/limits/l", "", `{"key":"ip"}`, 400, "invalid", "limit"},
	{"limit on nothing known", "PUT", "/v1/limits/l", "", `{"limit":"1/s","on":["fly"]}`, 400, "invalid", "on[0]"},
	{"limit with another member", "PUT", "/v1/limits/l", "", `{"limit":"1/s","rate":1}`, 400, "invalid", "rate"},
	{"limit of another type", "PUT", "/v1/limits/l", "", `{"limit":5}`, 400, "invalid", "limit"},
	{"limit that waits too long", "PUT", "/v1/limits/l", "", `{"limit":"1/s","action":"shape","max_wait":"1h"}`, 400, "invalid", "max_wait"},
	{"no limit", "POST", "/v1/limits/none/check", "", "{}", 404, "not-found", "limit"},
	{"check of no object", "POST", "/v1/limits/none/check", "", "[]", 400, "invalid", "body"},
	{"check that is to refuse perhaps", "POST", "/v1/limits/none/check?refuse=perhaps", "", "{}", 400, "invalid", "refuse"},
	{"keys of no limit", "GET", "/v1/limits/none/keys", "", "", 404, "not-found", "limit"},
	{"top of keys", "GET", "/v1/limits/none/keys?top=many", "", "", 400, "invalid", "top"},
	{"top of keys twice", "GET", "/v1/limits/none/keys?top=1&top=2", "", "", 400, "invalid", "top"},
	{"order of keys twice", "GET", "/v1/limits/none/keys?by=spent&by=spent", "", "", 400, "invalid", "by"},
	{"check by half", "POST", "/v1/limits/none/check", "", `{"cost":0.5}`, 400, "invalid", "cost"},

	{"slash in a name", "POST", "/v1/topics/a%2Fb/events", "", "x", 400, "invalid", "topic"},
	{"no UTF-8 in a name", "POST", "/v1/topics/%ff/events", "", "x", 400, "invalid", "topic"},
	{"name too long", "POST", "/v1/topics/" + strings.Repeat("a", 250) + "/events", "", "x", 400, "invalid", "topic"},
	{"internal name", "POST", "/v1/topics/$topics/events", "", "x", 403, "forbidden", "topic"},
	{"pattern", "POST", "/v1/topics/a.*/events", "", "x", 400, "invalid", "topic"},
	{"ephemeral", "POST", events + "?ephemeral=perhaps", "", "x", 400, "invalid", "ephemeral"},
	{"ephemeral twice", "POST", events + "?ephemeral=true&ephemeral=false", "", "x", 400, "invalid", "ephemeral"},
	{"gzip", "POST", events, "Content-Encoding: gzip", "x", 415, "unsupported", "Content-Encoding"},
	{"other format", "POST", events, "Content-Type: application/cloudevents+avro", "x", 415, "unsupported", "Content-Type"},
	{"media type", "POST", events, "Content-Type: nonsense", "x", 400, "invalid", "Content-Type"},
	{"two types", "POST", events, "Content-Type: text/plain\nContent-Type: text/html", "x", 400, "invalid", "Content-Type"},
	{"type", "POST", events, "Parley-Type: a\nParley-Type: b", "x", 400, "invalid", "Parley-Type"},
	{"subject", "POST", events, "Parley-Subject: a\nParley-Subject: b", "x", 400, "invalid", "Parley-Subject"},
	{"key", "POST", events, "Parley-Key: a\nParley-Key: b", "x", 400, "invalid", "Parley-Key"},
	{"key no UTF-8", "POST", events, "Parley-Key: \xff", "x", 400, "invalid", "Parley-Key"},
	{"type no UTF-8", "POST", events, "Parley-Type: \xff", "x", 400, "invalid", "Parley-Type"},
	{"NDJSON", "POST", events, "Content-Type: application/x-ndjson", "{}\n\nx\n", 400, "invalid", "line 3"},
	{"NDJSON no UTF-8", "POST", events, "Content-Type: application/x-ndjson", "\"\xff\"", 400, "invalid", "line 1"},
	{"NDJSON empty", "POST", events, "Content-Type: application/jsonl; charset=utf-8", "\n \n", 400, "invalid", "body"},
	{"too many lines", "POST", events, "Content-Type: application/x-ndjson", strings.Repeat("1\n", parley.MaxBatchEvents+1), 413, "too-large", "body"},
	{"event too large", "POST", events, "", strings.Repeat("x", 1<<20+1), 413, "too-large", "data"},
	{"body too large", "POST", events, "", strings.Repeat("x", 2<<20+1), 413, "too-large", "body"},

	{"specversion", "POST", events, "Ce-Specversion: 2.0\nCe-Id: 1\nCe-Source: /a\nCe-Type: t", "x", 400, "invalid", "ce-specversion"},
	{"no specversion", "POST", events, "Ce-Id: 1", "x", 400, "invalid", "ce-specversion"},
	{"no source", "POST", events, "Ce-Specversion: 1.0\nCe-Id: 1\nCe-Type: t", "x", 400, "invalid", "ce-source"},
	{"attribute twice", "POST", events, "Ce-Specversion: 1.0\nCe-Id: 1\nCe-Id: 2\nCe-Source: /a\nCe-Type: t", "x", 400, "invalid", "ce-id"},
	{"percent", "POST", events, "Ce-Specversion: 1.0\nCe-Id: %zz\nCe-Source: /a\nCe-Type: t", "x", 400, "invalid", "ce-id"},
	{"structured", "POST", events, "Content-Type: application/cloudevents+json", "{", 400, "invalid", "body"},
	{"structured time", "POST", events, "Content-Type: application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/a","type":"t","time":"now"}`, 400, "invalid", "time"},
	{"batch", "POST", events, "Content-Type: application/cloudevents-batch+json", `[{"specversion":"1.0","id":"1","source":"/a","type":"t"},{}]`, 400, "invalid", "events[1].specversion"},
	{"empty batch", "POST", events, "Content-Type: application/cloudevents-batch+json", `[]`, 400, "invalid", "events"},

	{"idempotency key empty", "POST", events, "Idempotency-Key: ", "x", 400, "invalid", "Idempotency-Key"},
	{"idempotency key open", "POST", events, `Idempotency-Key: "abc`, "x", 400, "invalid", "Idempotency-Key"},
	{"idempotency key escape", "POST", events, `Idempotency-Key: "a\b"`, "x", 400, "invalid", "Idempotency-Key"},
	{"idempotency key twice", "POST", events, "Idempotency-Key: a\nIdempotency-Key: b", "x", 400, "invalid", "Idempotency-Key"},
	{"idempotency key long", "POST", events, "Idempotency-Key: " + strings.Repeat("k", 256), "x", 400, "invalid", "Idempotency-Key"},

	{"all: JSON", "POST", "/v1/publish", "", "{", 400, "invalid", "body"},
	{"all: more", "POST", "/v1/publish", "", `{"topics":[]} {}`, 400, "invalid", "body"},
	{"all: member", "POST", "/v1/publish", "", `{"topic":"a"}`, 400, "invalid", "topic"},
	{"all: kind", "POST", "/v1/publish", "", `{"topics":[{"topic":1}]}`, 400, "invalid", "topics.topic"},
	{"all: nothing", "POST", "/v1/publish", "", `{"topics":[{"topic":"a"}]}`, 400, "invalid", "events"},
	{"all: name", "POST", "/v1/publish", "", `{"topics":[{"topic":"a","events":[{}]},{"topic":"*","events":[{}]}]}`, 400, "invalid", "topics[1].topic"},
	{"all: event", "POST", "/v1/publish", "", `{"topics":[{"topic":"a","events":[{"data":1},{"time":"x"}]}]}`, 400, "invalid", "topics[0].events[1].time"},
	{"all: late event", "POST", "/v1/publish", "", `{"topics":[{"topic":"a","events":[{"data":1}]},{"topic":"b","events":[{"data":1},{"type":"\u0001"}]}]}`, 400, "invalid", "topics[1].events[1].type"},
	{"all: internal", "POST", "/v1/publish", "", `{"topics":[{"topic":"$keys","events":[{}]}]}`, 403, "forbidden", "topics[0].topic"},
	{"all: many", "POST", "/v1/publish", "", `{"topics":[{"topic":"a","events":[` + strings.Repeat("{},", parley.MaxBatchEvents) + `{}]}]}`, 413, "too-large", "body"},
	{"all: gzip", "POST", "/v1/publish", "Content-Encoding: gzip", `{}`, 415, "unsupported", "Content-Encoding"},

	{"poll: time", "GET", events + "?after=@noon", "", "", 400, "invalid", "after"},
	{"poll: cursor", "GET", events + "?after=garbage", "", "", 400, "bad-cursor", "after"},
	{"poll: cursor bytes", "GET", events + "?after=a%00b", "", "", 400, "invalid", "after"},
	{"poll: cursor empty", "GET", events + "?after=", "", "", 400, "invalid", "after"},
	{"poll: cursor twice", "GET", events + "?after=latest&after=earliest", "", "", 400, "invalid", "after"},
	{"poll: limit", "GET", events + "?limit=1001", "", "", 400, "invalid", "limit"},
	{"poll: wait", "GET", events + "?wait=soon", "", "", 400, "invalid", "wait"},
	{"poll: timeout alone", "GET", events + "?timeout=5", "", "", 400, "invalid", "timeout"},
	{"poll: timeout", "GET", events + "?wait=true&timeout=-5", "", "", 400, "invalid", "timeout"},
	{"poll: tail", "GET", events + "?tail=0", "", "", 400, "invalid", "tail"},
	{"poll: tail after", "GET", events + "?tail=1&after=earliest", "", "", 400, "invalid", "after"},
	{"poll: tail wait", "GET", events + "?tail=1&wait=5s", "", "", 400, "invalid", "wait"},
	{"poll: before", "GET", events + "?before=garbage", "", "", 400, "bad-cursor", "before"},
	{"poll: before empty", "GET", events + "?before=", "", "", 400, "invalid", "before"},
	{"poll: ephemeral", "GET", events + "?ephemeral=2", "", "", 400, "invalid", "ephemeral"},
	{"poll: name", "GET", "/v1/topics/a..b/events", "", "", 400, "invalid", "topic"},

	{"sse: time", "GET", events + "?after=@noon", "Accept: text/event-stream", "", 400, "invalid", "after"},
	{"sse: after twice", "GET", events + "?after=latest&after=latest", "Accept: text/event-stream", "", 400, "invalid", "after"},
	{"sse: names", "GET", events + "?names=all", "Accept: text/event-stream", "", 400, "invalid", "names"},
	{"sse: format", "GET", events + "?format=xml", "Accept: text/event-stream", "", 400, "invalid", "format"},
	{"sse: ephemeral", "GET", events + "?ephemeral=2", "Accept: text/event-stream", "", 400, "invalid", "ephemeral"},
	{"sse: no topic", "GET", "/v1/sse", "", "", 400, "invalid", "topic"},
	{"sse: pattern", "GET", "/v1/sse?topic=a.>.b", "", "", 400, "invalid", "topic"},
	{"sse: many", "GET", "/v1/sse?" + strings.Repeat("topic=a&", 65), "", "", 400, "invalid", "topic"},

	{"ws: no upgrade", "GET", "/v1/topics/a/ws", "", "", 426, "unsupported", "Upgrade"},
	{"ws: version", "GET", "/v1/topics/a/ws", "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 8", "", 426, "unsupported", "Sec-WebSocket-Version"},
	{"ws: key", "GET", "/v1/topics/a/ws", "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: short", "", 400, "invalid", "Sec-WebSocket-Key"},
	{"ws: after", "GET", "/v1/topics/a/ws?after=@noon", "", "", 400, "invalid", "after"},
	{"ws: ephemeral", "GET", "/v1/topics/a/ws?ephemeral=2", "", "", 400, "invalid", "ephemeral"},
	{"ws: name", "GET", "/v1/topics/a..b/ws", "", "", 400, "invalid", "topic"},
	{"ws: head", "HEAD", "/v1/topics/a/ws", "", "", 405, "", ""},

	{"topic: not there", "GET", "/v1/topics/none", "", "", 404, "not-found", "topic"},
	{"topic: name", "PUT", "/v1/topics/a..b", "", "{}", 400, "invalid", "topic"},
	{"topic: internal", "PUT", "/v1/topics/$mine", "", "{}", 403, "forbidden", "topic"},
	{"topic: JSON", "PUT", "/v1/topics/new", "", "{", 400, "invalid", "body"},
	{"topic: member", "PUT", "/v1/topics/new", "", `{"partition":1}`, 400, "invalid", "partition"},
	{"topic: value", "PUT", "/v1/topics/new", "", `{"partitions":0.5}`, 400, "invalid", "partitions"},
	{"topic: rule", "PUT", "/v1/topics/a", "", `{"durability":"memory"}`, 422, "unprocessable", "durability"},
	{"topic: delete", "DELETE", "/v1/topics/none", "", "", 404, "not-found", "topic"},
	{"topic: delete name", "DELETE", "/v1/topics/*", "", "", 400, "invalid", "topic"},
	{"list: limit", "GET", "/v1/topics?limit=0", "", "", 400, "invalid", "limit"},
	{"list: limit twice", "GET", "/v1/topics?limit=1&limit=2", "", "", 400, "invalid", "limit"},
	{"list: internal", "GET", "/v1/topics?internal=2", "", "", 400, "invalid", "internal"},
	{"token in the query of a POST", "POST", events + "?access_token=x", "", "x", 400, "invalid", "access_token"},
	{"token in two places", "GET", events + "?access_token=x", "Authorization: Bearer x", "", 400, "invalid", "access_token"},
	{"token twice", "GET", events + "?access_token=x&access_token=y", "", "", 400, "invalid", "access_token"},
	{"token where there are none", "GET", events, "Authorization: Bearer x", "", 401, "unauthenticated", "Authorization"},
	{"other scheme", "GET", events, "Authorization: Basic eDp5", "", 401, "unauthenticated", "Authorization"},
	{"rebinding", "GET", events, "Host: evil.example", "", 403, "forbidden", "Host"},
	{"origin", "POST", events, "Origin: https://evil.example", "x", 403, "forbidden", "Origin"},
	{"origin null", "POST", events, "Origin: null", "x", 403, "forbidden", "Origin"},
	{"two origins", "POST", events, "Origin: http://localhost\nOrigin: http://localhost", "x", 403, "forbidden", "Origin"},
	{"origin of a socket", "GET", "/v1/topics/a/ws", "Origin: https://evil.example\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", 403, "forbidden", "Origin"},
	{"preflight of a foreign page", "OPTIONS", events, "Origin: https://evil.example\nAccess-Control-Request-Method: POST", "", 403, "forbidden", "Origin"},
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Access.Local = true; s.Limits.Body = 2 << 20 })
		r.must("a", "1")
		before, _ := r.topics.Get("a")
		for _, c := range refusals {
			var header []string
			for line := range strings.SplitSeq(c.header, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					header = append(header, name, value)
				}
			}
			res, body := r.do(c.method, c.path, c.body, header...)
			if res.StatusCode != c.status {
				t.Errorf("%s: %d %s, want %d", c.name, res.StatusCode, body, c.status)
				continue
			}
			if c.method == "HEAD" {
				continue
			}
			if p := parseProblem(t, res, body); p.Type != c.code || p.Field != c.field {
				t.Errorf("%s: %q in %q (%s), want %q in %q", c.name, p.Type, p.Field, p.Detail, c.code, c.field)
			}
		}
		_, body := r.do("GET", events+"?after=earliest", "")
		if p := parsePage(t, body); p.data() != "1" || r.lives.Count() != 0 {
			t.Errorf("a refused request left something: %s, %d lives", body, r.lives.Count())
		}
		if after, _ := r.topics.Get("a"); after.Settings != before.Settings || len(r.topics.List()) != 2 {
			t.Errorf("a refused request changed topics: %v", r.topics.List())
		}
	})
}

func TestRefusalsCarryWhatTheirStandardAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, c := range []struct{ method, path, header, name, want string }{
			{"PATCH", events, "", "Allow", "POST, GET, HEAD, OPTIONS"},
			{"PATCH", "/v1/topics/a", "", "Allow", "GET, HEAD, PUT, DELETE, OPTIONS"},
			{"DELETE", "/v1/sse", "", "Allow", "GET, HEAD, OPTIONS"},
			{"GET", "/v1/topics/a/ws", "", "Upgrade", "websocket"},
			{"POST", events, "Content-Encoding", "Accept-Encoding", "identity"},
			{"GET", events, "Authorization", "Www-Authenticate", `Bearer realm="parley", error="invalid_token"`},
			{"OPTIONS", events, "", "Allow", "POST, GET, HEAD, OPTIONS"},
		} {
			res, body := r.do(c.method, c.path, "", c.header, "gzip")
			if got := res.Header.Get(c.name); got != c.want {
				t.Errorf("%s %s: %d, %s is %q, want %q; %s", c.method, c.path, res.StatusCode, c.name, got, c.want, body)
			}
		}
	})
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1", "2")
		for _, path := range []string{events, events + "?after=earliest", events + "?after=latest&wait=1s", "/v1/topics", "/v1/topics/a", "/v1/topics/none", "/v1/errors", "/v1/openapi.json", "/v1/asyncapi.json", "/nothing"} {
			get, body := r.do("GET", path, "")
			head, none := r.do("HEAD", path, "")
			for _, h := range []http.Header{get.Header, head.Header} {
				h.Del("Date")
			}
			if head.StatusCode != get.StatusCode || none != "" || head.Header.Get("Content-Length") != strconv.Itoa(len(body)) && head.Header.Get("Content-Length") != "" {
				t.Errorf("HEAD %s: %d %v %q; GET: %d %v", path, head.StatusCode, head.Header, none, get.StatusCode, get.Header)
			}
			for name := range get.Header {
				if name != "Content-Length" && head.Header.Get(name) != get.Header.Get(name) {
					t.Errorf("HEAD %s: %s is %q, with GET %q", path, name, head.Header.Get(name), get.Header.Get(name))
				}
			}
		}
		res, _ := r.do("HEAD", events, "", "Accept", "text/event-stream")
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || r.lives.Count() != 0 {
			t.Errorf("HEAD of a stream: %d %v", res.StatusCode, res.Header)
		}
	})
}
