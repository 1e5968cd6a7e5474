package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// last gives the newest event of a topic as it is polled.
func (r *rig) last(name string) (raw string, e parley.Event) {
	r.t.Helper()
	_, body := r.do("GET", "/v1/topics/"+name+"/events?tail=1", "")
	var p struct{ Events []json.RawMessage }
	if err := json.Unmarshal([]byte(body), &p); err != nil || len(p.Events) != 1 {
		r.t.Fatalf("%v in %s", err, body)
	}
	e, err := parley.ParseJSON(p.Events[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return string(p.Events[0]), e
}

func TestWhatABodyBecomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, c := range []struct {
			name, header, body string
			want               string // type|subject|content type|key|data
		}{
			{"no type, JSON", "", `{"a": 1}`, `parley.event||application/json||{"a": 1}`},
			{"no type, text", "", "hello", "parley.event||text/plain; charset=utf-8||hello"},
			{"no type, bytes", "", "\xff\x00", "parley.event||application/octet-stream||\xff\x00"},
			{"nothing at all", "Content-Type: text/plain", "", "parley.event||text/plain||"},
			{"curl -d", "Content-Type: application/x-www-form-urlencoded", `[1]`, `parley.event||application/json||[1]`},
			{"any type", "Content-Type: image/png", "\x89PNG", "parley.event||image/png||\x89PNG"},
			{"JSON with white space", "Content-Type: application/json", " {}\r\n", "parley.event||application/json|| {}\r\n"},
			{"bad JSON", "Content-Type: application/json", "{", "parley.event||application/json||{"},
			{"fields", "Content-Type: text/plain\nParley-Type: t\nParley-Subject: s\nParley-Key: k", "x", "t|s|text/plain|k|x"},
			{"binary", "Content-Type: text/plain\nCe-Specversion: 1.0\nCe-Id: 7\nCe-Source: /s\nCe-Type: t\nCe-Subject: caf%C3%A9", "x", "t|café|text/plain||x"},
			{"binary NDJSON", "Content-Type: application/x-ndjson\nCe-Specversion: 1.0\nCe-Id: 8\nCe-Source: /s\nCe-Type: t", "1\n2", "t||application/x-ndjson||1\n2"},
			{"binary with key", "Content-Type: text/plain\nCe-Specversion: 1.0\nCe-Id: 9\nCe-Source: /s\nCe-Type: t\nParley-Key: k", "x", "t||text/plain|k|x"},
			{"its own key", "Content-Type: text/plain\nCe-Specversion: 1.0\nCe-Id: 10\nCe-Source: /s\nCe-Type: t\nCe-Partitionkey: mine\nParley-Key: k", "x", "t||text/plain|mine|x"},
			{"structured", "Content-Type: application/cloudevents+json; charset=utf-8", `{"specversion":"1.0","id":"11","source":"/s","type":"t","data":{"a":1}}`, `t||application/json||{"a":1}`},
			{"batch", "Content-Type: application/cloudevents-batch+json", `[{"specversion":"1.0","id":"12","source":"/s","type":"t","data_base64":"AP8="}]`, "t||||\x00\xff"},
			{"NDJSON", "Content-Type: application/x-ndjson\nParley-Type: t", "0\r\n\r\n{\"b\": 2}\r\n", `t||application/json||{"b": 2}`},
			{"identity", "Content-Encoding: identity\nContent-Type: text/plain", "x", "parley.event||text/plain||x"},
		} {
			var header []string
			for line := range strings.SplitSeq(c.header, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					header = append(header, name, value)
				}
			}
			if res, body := r.do("POST", events, c.body, header...); res.StatusCode != 201 {
				t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
				continue
			}
			raw, e := r.last("a")
			if got := strings.Join([]string{e.Type, e.Subject, e.DataContentType, e.Extensions[parley.PartitionKey], string(e.Data)}, "|"); got != c.want {
				t.Errorf("%s: %q of %s, want %q", c.name, got, raw, c.want)
			}
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		all := `{"topics":[{"topic":"a","events":[{"data":1}]},{"topic":"b","events":[{"data":2}]}]}`
		for _, c := range []struct{ path, body, other string }{
			{events, "x", "y"},
			{"/v1/publish", all, strings.Replace(all, "2", "3", 1)},
		} {
			first, answer := r.do("POST", c.path, c.body, "Idempotency-Key", `"a \"quoted\" key";v=1`)
			again, same := r.do("POST", c.path, c.body, "Idempotency-Key", `a "quoted" key`)
			if first.StatusCode != 201 || again.StatusCode != 201 || answer != same || first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: %d %s, then %d %s", c.path, first.StatusCode, answer, again.StatusCode, same)
			}
			res, body := r.do("POST", c.path, c.other, "Idempotency-Key", `a "quoted" key`)
			if p := parseProblem(t, res, body); p.Status != 422 || p.Type != "key-reused" || p.Field != "Idempotency-Key" || strings.Count(p.Detail, "digest") == 0 {
				t.Errorf("%s: %+v", c.path, p)
			}
		}
		ce := []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t", "Content-Type", "text/plain"}
		_, one := r.do("POST", events, "x", ce...)
		if res, two := r.do("POST", events, "x", ce...); two != one || res.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s, then %s", one, two)
		}
		res, body := r.do("POST", events, "y", ce...)
		if p := parseProblem(t, res, body); p.Status != 409 || p.Field != "id" {
			t.Errorf("%+v", p)
		}
	})
}

func TestBodiesThatDoNotArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		post := func(rest string) string { return "POST " + events + " HTTP/1.1\r\nHost: localhost\r\n" + rest }
		for _, c := range []struct {
			name, text string
			after      time.Duration
			status     int
			field      string
		}{
			{"stalls", post("Content-Length: 5\r\n\r\nab"), time.Minute, 408, "body"},
			{"stalls in chunks", post("Transfer-Encoding: chunked\r\n\r\n5\r\nab"), time.Minute, 408, "body"},
			{"bad chunks", post("Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 0, 400, "body"},
			{"stalls where nobody reads", "GET /v1/errors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab", time.Minute, 200, ""},
			{"stalls and is refused", post("Origin: http://evil.example\r\nContent-Length: 5\r\n\r\nab"), time.Minute, 403, "Origin"},
		} {
			start := time.Now()
			_, br := r.raw(c.text)
			res, body := r.response(br, "POST")
			if res.StatusCode != c.status || c.field != "" && parseProblem(t, res, body).Field != c.field {
				t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
			}
			if _, err := br.ReadByte(); err == nil {
				t.Errorf("%s: the connection goes on", c.name)
			}
			if took := time.Since(start); took > c.after+2*time.Second {
				t.Errorf("%s took %v", c.name, took)
			}
		}
		c, br := r.raw(post("Content-Length: 5\r\n\r\nab"))
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		if res, body := r.response(br, "POST"); res.StatusCode != 400 {
			t.Errorf("ends early: %d %s", res.StatusCode, body)
		}
		if _, br := r.raw("POST " + events + " HTTP/1.1\r\nHost: loc"); true { // the head stalls
			if _, err := io.ReadAll(br); err != nil {
				t.Error(err)
			}
		}
		if got := r.home.Open(); got > 1 {
			synctest.Wait()
			t.Errorf("%d connections", got)
		}
	})
}

func TestExpectations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Limits.Body = 1000 })
		head := func(n int) string {
			return "POST " + events + " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " + strconv.Itoa(n) + "\r\n\r\n"
		}
		c, br := r.raw(head(2))
		if line, err := br.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q %v", line, err)
		}
		if line, err := br.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("%q %v", line, err)
		}
		if _, err := io.WriteString(c, "ok"); err != nil {
			t.Fatal(err)
		}
		if res, body := r.response(br, "POST"); res.StatusCode != 201 || res.Close {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		_, br = r.raw(head(1001)) // is told before it sends
		res, body := r.response(br, "POST")
		if p := parseProblem(t, res, body); p.Status != 413 || p.Field != "body" || !res.Close {
			t.Errorf("%+v close=%v", p, res.Close)
		}
	})
}

func TestBodiesOverTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Limits.Body = 1000 })
		big := strings.Repeat("x", 1001)
		for _, c := range []struct {
			text  string
			close bool
		}{
			{"Content-Length: 1001\r\n\r\n" + big, false}, // little enough to be passed over
			{"Content-Length: 9999999\r\n\r\n" + big, true},
			{"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + big + "\r\n0\r\n\r\n", true},
		} {
			_, br := r.raw("POST " + events + " HTTP/1.1\r\nHost: localhost\r\n" + c.text)
			res, body := r.response(br, "POST")
			if p := parseProblem(t, res, body); p.Status != 413 || p.Type != "too-large" || res.Close != c.close {
				t.Errorf("%+v close=%v", p, res.Close)
			}
		}
		if res, body := r.over(r.h2(), r.request("POST", events, big)); parseProblem(t, res, body).Status != 413 {
			t.Errorf("HTTP/2: %d", res.StatusCode)
		}
		exact := "POST " + events + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + big[:1000] + "\r\n0\r\n\r\n"
		_, br := r.raw(exact)
		if res, body := r.response(br, "POST"); res.StatusCode != 201 || res.Close {
			t.Errorf("at the limit: %d %s", res.StatusCode, body)
		}
	})
}

func TestTracesTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("POST", events, "x", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if _, e := r.last("a"); !strings.HasPrefix(e.Extensions["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("%v", e.Extensions)
		}
		r.do("POST", events, "x")
		if _, e := r.last("a"); len(e.Extensions) != 0 {
			t.Errorf("%v", e.Extensions)
		}
	})
}

func TestAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) {
			s.Aliases = []Alias{{"/messages", "poll", "a"}, {"/in/", "publish", "a"}, {"/stream", "sse", "a"}, {"/chat", "websocket", "a"}}
		})
		if res, body := r.do("POST", "/in/", "1", "Content-Type", "application/json"); res.StatusCode != 201 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		if _, body := r.do("GET", "/messages", ""); parsePage(t, body).data() != "1" {
			t.Errorf("%s", body)
		}
		if _, br := r.open(r.client, "/stream?after=earliest"); block(t, br) == "" || !strings.HasSuffix(block(t, br), "data: 1\n") {
			t.Error("no stream")
		}
		for _, c := range []struct {
			method, path string
			status       int
		}{{"POST", "/messages", 405}, {"GET", "/in/", 405}, {"POST", "/in/more", 404}, {"GET", "/chat", 426}} {
			if res, body := r.do(c.method, c.path, ""); res.StatusCode != c.status {
				t.Errorf("%s %s: %d %s", c.method, c.path, res.StatusCode, body)
			}
		}
		for _, bad := range []Alias{{"/v1/x", "poll", "a"}, {"/metrics", "poll", "a"}, {"x", "poll", "a"}, {"/x y", "poll", "a"}, {"/a//b", "poll", "a"}, {"/../b", "poll", "a"}, {"/x", "rpc", "a"}, {"/x", "poll", "*"}, {"/x", "poll", "$topics"}} {
			if err := CheckAlias(bad); err == nil {
				t.Errorf("%+v is fine", bad)
			}
		}
	})
	s := setup{}
	s.Aliases = []Alias{{"/messages", "poll", "a"}, {"/messages", "publish", "a"}}
	if _, err := New(s.Options); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("two of one path: %v", err)
	}
}

func TestRequestsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(observer, 10)
		r := newRig(t, func(s *setup) { s.Observe = seen })
		r.do("POST", events, "x")
		r.do("PATCH", events, "x")
		r.do("GET", events+"?after=garbage", "")
		r.do("GET", events+"?wait=1s", "")
		for _, want := range []string{"publish 201", "none 405", "poll 400", "poll 200"} {
			if got := <-seen; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

type observer chan string

func (o observer) Request(route string, status int, _ time.Duration) {
	o <- fmt.Sprint(route, " ", status)
}

func TestAccess(t *testing.T) {
	for host, local := range map[string]bool{
		"127.0.0.1:7275": true, "localhost": true, "LOCALHOST:1": true, "[::1]:7275": true, "[::1]": true, "127.9.9.9": true, "api.localhost": true, "localhost.": true,
		"evil.example": false, "127.0.0.1.evil.example": false, "10.0.0.1": false, "[fe80::1]:1": false, "localhost.evil.example:80": false, "0.0.0.0": false,
	} {
		if isLocal(host) != local {
			t.Errorf("%s: %v", host, !local)
		}
	}
	for _, c := range []struct {
		origin, host string
		same         bool
	}{
		{"http://a.example:1", "a.example:1", true},
		{"https://A.example", "a.example", true},
		{"http://a.example", "b.example", false},
		{"null", "", false},
		{"http://a.example:2", "a.example:1", false},
		{"://", "", false},
	} {
		r := &http.Request{Host: c.host}
		if sameOrigin(c.origin, r) != c.same {
			t.Errorf("%s at %s: %v", c.origin, c.host, !c.same)
		}
	}
}
