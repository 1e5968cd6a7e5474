package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

const asStream = "text/event-stream"

func TestNegotiation(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                    false,
		"*/*":                                 false,
		"text/event-stream":                   true,
		"Text/Event-Stream":                   true,
		"text/event-stream;q=0":               false,
		"text/event-stream;q=0.000":           false,
		"application/json, text/event-stream": true,
		"application/json, text/event-stream;q=0.5":                 false,
		"application/json;q=0.2, text/event-stream;q=0.5":           true,
		"text/event-stream;q=0.5, */*":                              false,
		"text/*":                                                    true,
		"text/*, application/json":                                  true,
		"text/html,application/xml;q=0.9,*/*;q=0.8":                 false,
		"application/json, text/plain, */*":                         false,
		"text/*;q=0.1, text/event-stream;q=0.9, application/*;q=.5": true,
		"text/event-stream; charset=utf-8":                          true,
		"nonsense/, text/event-stream":                              true,
	} {
		if got := prefers([]string{accept}, asStream, "application/json"); got != want {
			t.Errorf("Accept: %s: %v", accept, got)
		}
	}
}

func both(r *rig) []*http.Client { return []*http.Client{r.client, r.h2()} }

func TestAStreamBeginsWithItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		for _, client := range both(r) {
			res, br := r.open(client, events, "Accept", asStream)
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != asStream || res.Header.Get("Cache-Control") != "no-store, no-transform" || res.Header.Get("X-Accel-Buffering") != "no" {
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
			first := block(t, br)
			retry, id, ok := strings.Cut(first, "\nid: ")
			if !ok || !strings.HasPrefix(retry, "retry: ") {
				t.Fatalf("%q", first)
			}
			r.must("a", `{"n":2}`)
			if got := block(t, br); !strings.HasPrefix(got, "id: ") || !strings.HasSuffix(got, "\ndata: {\"n\":2}\n") {
				t.Errorf("%q", got)
			}
			_, again := r.open(client, events, "Accept", asStream, "Last-Event-ID", strings.TrimSpace(id))
			block(t, again)
			if got := block(t, again); !strings.HasSuffix(got, "\ndata: {\"n\":2}\n") {
				t.Errorf("resumed: %q", got)
			}
		}
	})
}

// A stream that is quiet for long lives on, over HTTP/2 too.
func TestAQuietStreamLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, client := range both(r) {
			_, br := r.open(client, events, "Accept", asStream)
			block(t, br)
			start := time.Now()
			for range 10 {
				if got := block(t, br); got != ":\n" {
					t.Fatalf("%q", got)
				}
			}
			if took := time.Since(start); took < 10*door.Heartbeat*3/4 || took > 11*door.Heartbeat {
				t.Errorf("ten heartbeats in %v", took)
			}
			r.must("a", "1")
			if got := block(t, br); !strings.HasSuffix(got, "data: 1\n") {
				t.Errorf("%q", got)
			}
		}
	})
}

func TestBadPlacesOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1", "2")
		_, body := r.do("GET", events+"?after=earliest&limit=1", "")
		old := parsePage(t, body).Cursor
		r.must("a", "3")
		r.must("a", "4")
		tp, _ := r.topics.Get("a")
		if err := r.log.Trim(t.Context(), tp.Partitions[0].Stream, 4); err != nil {
			t.Fatal(err)
		}
		tampered := []byte(old)
		tampered[6] ^= 1
		for _, client := range both(r) {
			for _, c := range []struct{ name, id, notice, then string }{
				{"garbage", "garbage", "event: reset\n", "data: 5\n"},
				{"a foreign id", "0190-17", "event: reset\n", "data: 5\n"},
				{"tampered", string(tampered), "event: reset\n", "data: 5\n"},
				{"trimmed", old, "event: gap\ndata: {\"topic\":\"a\",\"partition\":0,\"from\":2,\"to\":4}\n", "data: 4\n"},
			} {
				res, br := r.open(client, events, "Accept", asStream, "Last-Event-ID", c.id)
				block(t, br)
				if got := block(t, br); res.StatusCode != 200 || !strings.HasPrefix(got, c.notice) || strings.Contains(got, "id:") {
					t.Errorf("%s: %d %q", c.name, res.StatusCode, got)
				}
				if c.then == "data: 5\n" {
					r.must("a", "5")
				}
				if got := block(t, br); !strings.HasSuffix(got, c.then) {
					t.Errorf("%s: then %q", c.name, got)
				}
				_ = res.Body.Close()
			}
		}
	})
}

func TestAStreamWhoseTopicGoesComesBackToTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, client := range both(r) {
			r.must("a", "1")
			_, br := r.open(client, events+"?after=earliest", "Accept", asStream)
			block(t, br)
			id, _, _ := strings.Cut(strings.TrimPrefix(block(t, br), "id: "), "\n")
			r.do("DELETE", "/v1/topics/a", "")
			rest, err := io.ReadAll(br)
			if err != nil || !strings.HasPrefix(string(rest), "retry: ") {
				t.Errorf("end: %q %v", rest, err)
			}
			_, br = r.open(client, events, "Accept", asStream, "Last-Event-ID", id)
			block(t, br)
			r.must("a", "2")
			first := block(t, br)
			if strings.HasPrefix(first, "event: reset") {
				first = block(t, br)
			}
			if !strings.HasSuffix(first, "data: 2\n") {
				t.Errorf("%q", first)
			}
			r.do("DELETE", "/v1/topics/a", "")
		}
		synctest.Wait()
		if r.lives.Count() != 0 {
			t.Errorf("%d lives", r.lives.Count())
		}
	})
}

func TestStreamsRotateAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret, token, err := door.MakeToken("t", []string{"read", "publish"}, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		ids, err := door.NewTokens([]door.Token{token}, []string{"read", "publish"})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(s *setup) { s.Identify, s.Limits.Rotate = ids, time.Hour })
		for _, client := range both(r) {
			for _, c := range []struct {
				query      string
				from, till time.Duration
			}{
				{"?access_token=" + secret, time.Second, time.Minute + door.Heartbeat},
				{"", time.Hour / 2, 3*time.Hour/2 + door.Heartbeat},
			} {
				if c.query != "" && client != r.client {
					continue // it has expired
				}
				start := time.Now()
				_, br := r.open(client, events+c.query, "Accept", asStream)
				all, err := io.ReadAll(br)
				took := time.Since(start)
				if err != nil || took < c.from || took > c.till || !strings.HasSuffix(strings.TrimRight(string(all), "0123456789\n"), "retry: ") {
					t.Errorf("%q ended after %v: %v", c.query, took, err)
				}
			}
		}
		if res, body := r.do("GET", events+"?access_token="+secret, "", "Accept", asStream); parseProblem(t, res, body).Status != 401 {
			t.Errorf("an expired token: %d", res.StatusCode)
		}
	})
}

func TestAnOverloadedServerTellsEventSourcesToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := &throttler{}
		r := newRig(t, func(s *setup) { s.Limits.Lives, s.Admission = 1, limit })
		res, br := r.open(r.client, events, "Accept", asStream)
		block(t, br)
		refused := func(why string, client *http.Client) {
			t.Helper()
			res, body := r.over(client, r.request("GET", events, "", "Accept", asStream))
			if res.StatusCode != 200 || !strings.HasPrefix(body, "retry: ") || res.Header.Get("Content-Type") != asStream || client == r.client && !res.Close {
				t.Errorf("%s: %d %q", why, res.StatusCode, body)
			}
		}
		two := r.h2()
		refused("lives", r.client)
		refused("lives", two)
		refused("lives", two)
		_ = res.Body.Close()
		synctest.Wait()
		limit.code.Store(int32(parley.Overloaded))
		refused("admission", r.client)
		refused("admission", two)
		limit.code.Store(int32(parley.Throttled))
		if res, body := r.do("GET", events, "", "Accept", asStream); parseProblem(t, res, body).Status != 429 || res.Header.Get("Retry-After") != "2" {
			t.Errorf("throttled: %d %v", res.StatusCode, res.Header)
		}
	})
}

func TestStreamsAreDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		_, one := r.open(r.client, events, "Accept", asStream)
		_, two := r.open(r.h2(), events, "Accept", asStream)
		block(t, one)
		block(t, two)
		if err := r.lives.Drain(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		for _, br := range []io.Reader{one, two} {
			if rest, err := io.ReadAll(br); err != nil || !strings.HasPrefix(string(rest), "retry: ") {
				t.Errorf("%q %v", rest, err)
			}
		}
	})
}

// A client that does not read loses nothing that is kept: it lags.
func TestASlowReaderOfAStreamOnlyLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		_, br := r.raw("GET /v1/topics/a/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		synctest.Wait()
		big := `"` + strings.Repeat("x", 100_000) + `"`
		const n = 30 // three times what the network holds
		for range n {
			r.must("a", big)
		}
		got := 0
		for got < n {
			line, err := br.ReadString('\n')
			if err != nil {
				t.Fatalf("%v after %d", err, got)
			}
			if strings.HasPrefix(line, "data: ") {
				got++
			}
		}
	})
}

func TestAClientThatTalksOnAStreamIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c, br := r.raw("GET /v1/topics/a/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		synctest.Wait()
		if _, err := c.Write(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(br); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r.lives.Count() != 0 {
			t.Error("still there")
		}
	})
}

func TestManyTopicsInOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a.x", "1")
		r.must("b", "2")
		_, br := r.open(r.client, "/v1/sse?topic=a.*&topic=b&after=earliest&names=type&format=cloudevents")
		block(t, br)
		seen := map[string]bool{}
		for range 2 {
			got := block(t, br)
			if !strings.Contains(got, "\nevent: parley.event\ndata: {\"specversion\":\"1.0\"") {
				t.Errorf("%q", got)
			}
			for _, name := range []string{"a.x", "b"} {
				if strings.Contains(got, `"source":"/topics/`+name+`"`) {
					seen[name] = true
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("%v", seen)
		}
	})
}
