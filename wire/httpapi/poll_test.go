package httpapi

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/wire/door"
)

func TestShortPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1", "2", "3", "4", "5")
		get := func(query string, header ...string) (*http.Response, page) {
			t.Helper()
			res, body := r.do("GET", events+query, "", header...)
			if res.StatusCode == 304 {
				return res, page{}
			}
			return res, parsePage(t, body)
		}
		for _, c := range []struct {
			query, want  string
			more, before bool
		}{
			{"", "1 2 3 4 5", false, false},
			{"?limit=2", "4 5", false, true},
			{"?tail=3", "3 4 5", false, true},
			{"?after=earliest", "1 2 3 4 5", false, false},
			{"?after=earliest&limit=2", "1 2", true, false},
			{"?after=earliest&limit=5", "1 2 3 4 5", false, false},
			{"?after=latest", "", false, false},
			{"?after=@1999-01-01T00:00:00Z&limit=1", "1", true, false},
			{"?after=@2999-01-01T00:00:00Z", "", false, false},
		} {
			res, p := get(c.query)
			if p.data() != c.want || p.More != c.more || (p.Before != "") != c.before || p.New != len(p.Events) || p.Cursor == "" || res.StatusCode != 200 {
				t.Errorf("%s: %+v", c.query, p)
			}
		}
		res, p := get("?tail=2")
		_, older := get("?tail=2&before=" + p.Before)
		_, oldest := get("?limit=2&before=" + older.Before)
		if older.data() != "2 3" || oldest.data() != "1" || oldest.Before != "" {
			t.Errorf("backwards: %v, %v", older, oldest)
		}
		if res, _ := get("?tail=2", "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 || res.Header.Get("ETag") == "" {
			t.Errorf("unchanged: %d %v", res.StatusCode, res.Header)
		}
		r.must("a", "6")
		if _, p := get("?tail=2", "If-None-Match", res.Header.Get("ETag")); p.data() != "5 6" {
			t.Errorf("changed: %v", p)
		}
		if _, p := get("?after=" + p.Cursor); p.data() != "6" {
			t.Errorf("on from the newest: %v", p)
		}
	})
}

func TestPollHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"poll_hint":"1500ms"}`)
		short, _ := r.do("GET", events, "")
		if cc, ra := short.Header.Get("Cache-Control"), short.Header.Get("Retry-After"); cc != "private, max-age=2" || ra != "2" {
			t.Errorf("short: %q %q", cc, ra)
		}
		long, _ := r.do("GET", events+"?wait=1s", "")
		if cc, ra := long.Header.Get("Cache-Control"), long.Header.Get("Retry-After"); cc != "private, no-cache" || ra != "" {
			t.Errorf("long: %q %q", cc, ra)
		}
		for _, res := range []*http.Response{short, long} {
			if v := strings.Join(res.Header.Values("Vary"), ", "); v != "Prefer, Accept" {
				t.Errorf("Vary: %s", v)
			}
		}
	})
}

func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		for _, client := range []*http.Client{r.client, r.h2()} {
			for _, c := range []struct {
				query, prefer string
				took          time.Duration
				applied       string
			}{
				{"?wait=3s", "", 3 * time.Second, ""},
				{"?wait=4", "", 4 * time.Second, ""},
				{"?wait=True&timeout=30", "", 30 * time.Second, ""},
				{"?wait", "", 25 * time.Second, ""},
				{"?wait=2h", "", 55 * time.Second, "wait=55"},
				{"", "respond-async, wait=7", 7 * time.Second, "wait=7"},
				{"?wait=false", "wait=7", 0, ""},
				{"?after=latest&wait=1s", "", time.Second, ""},
			} {
				start := time.Now()
				res, body := r.over(client, r.request("GET", events+c.query, "", "Prefer", c.prefer))
				took := time.Since(start)
				if took < c.took || took > c.took+time.Second || res.Header.Get("Preference-Applied") != c.applied || res.StatusCode != 200 {
					t.Errorf("%s %s: %d after %v, %v", c.query, c.prefer, res.StatusCode, took, res.Header)
				}
				if p := parsePage(t, body); c.took > 0 && (p.data() != "" || p.Cursor == "") {
					t.Errorf("%s: %s", c.query, body)
				}
			}
		}
	})
}

// A client that shows the tag of what it has is held until that changes.
func TestAWaitWithATagIsHeldUntilItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, two := range []bool{false, true} {
			r := newRig(t, nil)
			client := r.client
			if two {
				client = r.h2()
			}
			r.must("a", "1")
			first, _ := r.do("GET", events+"?after=earliest", "")
			tag := first.Header.Get("ETag")
			if res, _ := r.over(client, r.request("GET", events+"?after=earliest&wait=2s", "", "If-None-Match", tag)); res.StatusCode != 304 {
				t.Errorf("nothing new: %d", res.StatusCode)
			}
			held := make(chan string)
			go func() {
				_, body := r.over(client, r.request("GET", events+"?after=earliest&wait=20s", "", "If-None-Match", tag))
				held <- body
			}()
			synctest.Wait()
			if r.lives.Count() != 1 {
				t.Fatal("not held")
			}
			r.must("a", "2")
			if p := parsePage(t, <-held); p.data() != "1 2" {
				t.Errorf("%+v", p)
			}
		}
	})
}

func TestAHeldPollKeepsItsConnection(t *testing.T) {
	cert := selfSigned(t)
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(s *setup) {
				if secure {
					s.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
				}
			})
			const held = "GET /v1/topics/a/events?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"
			c, br := r.raw(held)
			for i := range 3 {
				synctest.Wait()
				if i == 1 {
					r.must("a", "1")
				}
				res, body := r.response(br, "GET")
				if res.Header.Get("Connection") != "keep-alive" || parsePage(t, body).New != i%2 || res.Header.Get("Date") == "" {
					t.Fatalf("%d: %v %s", i, res.Header, body)
				}
				if _, err := c.Write([]byte(held)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if open := r.home.Open(); open != 2 { // with that of the publisher
				t.Errorf("%d connections", open)
			}
		})
	}
}

func TestHeldPollsThatCannotKeepTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		for name, text := range map[string]string{
			"HTTP/1.0":  "GET /v1/topics/a/events?wait=1s HTTP/1.0\r\n\r\n",
			"close":     "GET /v1/topics/a/events?wait=1s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
			"pipelined": "GET /v1/topics/a/events?wait=1s HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/errors HTTP/1.1\r\nHost: localhost\r\n\r\n",
		} {
			_, br := r.raw(text)
			res, body := r.response(br, "GET")
			if res.StatusCode != 200 || !res.Close || parsePage(t, body).New != 0 {
				t.Errorf("%s: %d %v %s", name, res.StatusCode, res.Header, body)
			}
			if _, err := br.ReadByte(); err == nil {
				t.Errorf("%s: the connection goes on", name)
			}
		}
		_, br := r.raw("HEAD /v1/topics/a/events?wait=1s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if res, _ := r.response(br, "HEAD"); res.StatusCode != 200 || res.ContentLength <= 0 || br.Buffered() != 0 {
			t.Errorf("HEAD: %v", res)
		}
		_, br = r.raw("GET /v1/topics/a/events?wait=1s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
		if res, body := r.response(br, "GET"); res.StatusCode != 200 || parsePage(t, body).New != 0 {
			t.Errorf("with a body: %v", res)
		}
	})
}

func TestAHeldPollWhoseClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c, _ := r.raw("GET /v1/topics/a/events?wait=50s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		synctest.Wait()
		if r.lives.Count() != 1 {
			t.Fatal("not held")
		}
		_ = c.Close()
		synctest.Wait()
		if r.lives.Count() != 0 || r.home.Open() != 0 {
			t.Errorf("%d held, %d open", r.lives.Count(), r.home.Open())
		}
	})
}

func TestAHeldPollWhoseTopicGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, client := range []*http.Client{r.client, r.h2()} {
			r.must("a", "1")
			_, body := r.do("GET", events, "")
			cursor := parsePage(t, body).Cursor
			type answer struct {
				res  *http.Response
				body string
			}
			held := make(chan answer)
			go func() {
				res, body := r.over(client, r.request("GET", events+"?wait=50s", ""))
				held <- answer{res, body}
			}()
			synctest.Wait()
			r.do("DELETE", "/v1/topics/a", "")
			a := <-held
			if p := parseProblem(t, a.res, a.body); p.Status != 404 || p.Type != "not-found" {
				t.Errorf("held: %+v", p)
			}
			r.must("a", "2")
			res, body := r.do("GET", events+"?after="+cursor, "")
			if p := parseProblem(t, res, body); p.Type != "bad-cursor" || p.Status != 400 {
				t.Errorf("old cursor: %+v", p)
			}
			if _, body := r.do("GET", events+"?after=earliest", ""); parsePage(t, body).data() != "2" {
				t.Errorf("made again: %s", body)
			}
		}
	})
}

func TestPollOfATopicThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		held := make(chan string)
		go func() {
			_, body := r.do("GET", events+"?wait=50s", "")
			held <- body
		}()
		synctest.Wait()
		r.must("a", "1")
		if p := parsePage(t, <-held); p.data() != "1" {
			t.Errorf("%+v", p)
		}
	})
}

func TestCursorsThatArePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"partitions":2}`)
		for range 10 {
			r.must("a", "1", "2", "3")
		}
		_, body := r.do("GET", events+"?after=earliest&limit=4", "")
		cursor := parsePage(t, body).Cursor
		tp, _ := r.topics.Get("a")
		trimmed := 0
		for _, p := range tp.Partitions {
			end, err := r.log.End(t.Context(), p.Stream)
			if err != nil {
				t.Fatal(err)
			}
			if end > 8 {
				trimmed++
				if err := r.log.Trim(t.Context(), p.Stream, 8); err != nil {
					t.Fatal(err)
				}
			}
		}
		if trimmed == 0 {
			t.Fatal("nothing to trim")
		}
		res, body := r.do("GET", events+"?after="+cursor, "")
		p := parseProblem(t, res, body)
		if p.Status != 410 || p.Type != "trimmed" || p.Field != "after" || p.Earliest == "" || p.Earliest == "earliest" {
			t.Fatalf("%+v", p)
		}
		res, body = r.do("GET", events+"?after="+p.Earliest, "")
		if res.StatusCode != 200 || parsePage(t, body).New == 0 {
			t.Errorf("on from the earliest: %d %s", res.StatusCode, body)
		}
		tampered := []byte(cursor)
		tampered[len(tampered)/2] ^= 1
		res, body = r.do("GET", events+"?after="+string(tampered), "")
		if p := parseProblem(t, res, body); p.Type != "bad-cursor" || p.Status != 400 || p.Field != "after" {
			t.Errorf("tampered: %+v", p)
		}
		r.must("b", "1")
		res, body = r.do("GET", "/v1/topics/b/events?after="+cursor, "")
		if res.StatusCode != 200 && parseProblem(t, res, body).Type != "bad-cursor" {
			t.Errorf("foreign: %d %s", res.StatusCode, body)
		}
	})
}

func TestEphemeralEventsReachHeldPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		res, _ := r.do("GET", events+"?after=latest", "")
		for _, header := range [][]string{nil, {"If-None-Match", res.Header.Get("ETag")}} {
			held := make(chan string)
			go func() {
				_, body := r.do("GET", events+"?wait=50s&ephemeral=true", "", header...)
				held <- body
			}()
			synctest.Wait()
			r.must("a", "2")
			if p := parsePage(t, <-held); p.data() != "2" {
				t.Errorf("durable: %+v", p)
			}
			go func() {
				_, body := r.do("GET", events+"?wait=50s&ephemeral", "", header...)
				held <- body
			}()
			synctest.Wait()
			r.do("POST", events+"?ephemeral", "7", "Content-Type", "application/json")
			if p := parsePage(t, <-held); p.data() != "7" || p.Cursor == "" {
				t.Errorf("ephemeral: %+v", p)
			}
		}
		if _, body := r.do("GET", events+"?after=earliest", ""); strings.Contains(body, `"data":7`) {
			t.Errorf("it was stored: %s", body)
		}
	})
}

func TestAPageThatIsFullBySizeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		big := `"` + strings.Repeat("x", 600_000) + `"`
		for range 4 {
			r.must("a", big)
		}
		seen, after := 0, "earliest"
		for range 10 {
			_, body := r.do("GET", events+"?after="+after, "")
			p := parsePage(t, body)
			seen, after = seen+p.New, p.Cursor
			if p.More != (seen < 4) || p.New == 0 {
				t.Fatalf("%d of 4 seen, more is %v", seen, p.More)
			}
			if !p.More {
				break
			}
		}
		if seen != 4 {
			t.Errorf("%d of 4 seen", seen)
		}
	})
}

func TestForeignPagesPollToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const page = "https://shop.example"
		r := newRig(t, func(s *setup) { s.Access.Origins = []string{page} })
		for _, query := range []string{"", "?wait=1s", "?after=garbage"} {
			for _, client := range []*http.Client{r.client, r.h2()} {
				res, _ := r.over(client, r.request("GET", events+query, "", "Origin", page))
				if res.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "Origin") || res.Header.Get("Access-Control-Expose-Headers") == "" {
					t.Errorf("%q over HTTP/%d: %v", query, res.ProtoMajor, res.Header)
				}
			}
		}
		res, _ := r.do("OPTIONS", events, "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "ce-partitionkey")
		if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Headers") != "Authorization, *" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight: %d %v", res.StatusCode, res.Header)
		}
		if res, _ := r.do("GET", events+"?wait=1s", ""); res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Vary") == "" {
			t.Errorf("without an origin: %v", res.Header)
		}
	})
}

func TestHeldPollsAreDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		_, one := r.raw("GET /v1/topics/a/events?wait=50s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		two := make(chan *http.Response)
		client := r.h2()
		go func() {
			res, _ := r.over(client, r.request("GET", events+"?wait=50s", ""))
			two <- res
		}()
		synctest.Wait()
		if r.lives.Count() != 2 {
			t.Fatalf("%d held", r.lives.Count())
		}
		start := time.Now()
		if err := r.lives.Drain(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		res, body := r.response(one, "GET")
		if res.StatusCode != 200 || !res.Close || parsePage(t, body).Cursor == "" {
			t.Errorf("HTTP/1.1: %d %v %s", res.StatusCode, res.Header, body)
		}
		if res := <-two; res.StatusCode != 200 {
			t.Errorf("HTTP/2: %d", res.StatusCode)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestATopicAndItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.topics = topic.Options{} })
		for _, c := range []struct {
			body   string
			status int
			want   string
		}{
			{"", 201, `"partitions":1`},
			{`{"partitions":3,"max_age":"24h"}`, 200, `"max_age":"24h0m0s"`},
			{`{"max_event":5}`, 200, `"partitions":3`},
			{`{}`, 200, `"max_event":5`},
		} {
			if res, body := r.do("PUT", "/v1/topics/a", c.body); res.StatusCode != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%s: %d %s", c.body, res.StatusCode, body)
			}
		}
		if _, body := r.do("GET", "/v1/topics/a", ""); !strings.Contains(body, `"idempotency_window":{"for":"`+parley.OnceWindow.String()) {
			t.Errorf("%s", body)
		}
		if res, body := r.do("DELETE", "/v1/topics/a", ""); res.StatusCode != 204 || body != "" {
			t.Errorf("delete: %d %s", res.StatusCode, body)
		}
		if res, _ := r.do("POST", events, "x"); res.StatusCode != door.Status(parley.NotFound) {
			t.Errorf("gone: %d", res.StatusCode)
		}
	})
}

// A peer that asks for much and reads nothing is let go, over HTTP/2 too.
func TestAnswersThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(observer, 9)
		r := newRig(t, func(s *setup) { s.Observe = seen })
		r.do("PUT", "/v1/topics/a", `{"max_event":8000000}`)
		r.must("a", `"`+strings.Repeat("x", 6_000_000)+`"`) // more than any network or window here holds
		<-seen
		<-seen
		r.client.CloseIdleConnections()
		synctest.Wait()
		c, _ := r.raw("GET /v1/topics/a/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		start := time.Now()
		if got := <-seen; got != "poll 200" || time.Since(start) > 2*time.Minute {
			t.Errorf("%s after %v", got, time.Since(start))
		}
		_ = c.Close()
		_, _ = r.open(r.h2(), events)
		start = time.Now()
		if got := <-seen; got != "poll 200" || time.Since(start) > 2*time.Minute {
			t.Errorf("HTTP/2: %s after %v", got, time.Since(start))
		}
		// Who reads slowly gets all of it.
		_, br := r.raw("GET /v1/topics/a/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		pause := time.NewTicker(20 * time.Second)
		defer pause.Stop()
		total := 0
		for total < 6_000_000 {
			<-pause.C
			n, err := br.Discard(300_000)
			if total += n; err != nil {
				t.Fatalf("%v after %d bytes", err, total)
			}
		}
	})
}
