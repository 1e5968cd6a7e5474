package sse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// attempt is what a server saw of one connection.
type attempt struct {
	at     time.Duration
	id     string
	header http.Header
}

// scripted answers the n-th connection with the n-th step, the last one for ever,
// and records what it saw. A step returns to end the connection.
type scripted struct {
	steps    []http.HandlerFunc
	attempts []attempt
	start    time.Time
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := len(s.attempts)
	s.attempts = append(s.attempts, attempt{time.Since(s.start), r.Header.Get("Last-Event-ID"), r.Header.Clone()})
	s.steps[min(n, len(s.steps)-1)](w, r)
}

// stream answers with blocks as they are, and ends.
func stream(blocks string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		SetHeader(w.Header(), r.Proto)
		fmt.Fprint(w, blocks)
	}
}

// hold answers with blocks, keeps the connection for d and ends it.
func hold(blocks string, d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		stream(blocks)(w, r)
		http.NewResponseController(w).Flush()
		wait(r.Context(), d)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func refuse(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

func stop(w http.ResponseWriter, _ *http.Request) { Stop(w) }

// run lets a client read a scripted server to its end, in fake time, and gives
// the data it read, joined by blanks, and its last error.
func run(t *testing.T, o ClientOptions, steps ...http.HandlerFunc) (data string, s *scripted, last error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s = &scripted{steps: steps, start: time.Now()}
		n := serve(s)
		defer n.close()
		o.HTTP = n.client()
		c, err := NewClient("http://mem/events", o)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for m, err := range c.Events(t.Context()) {
			if last != nil {
				t.Errorf("an event after the error %v", last)
			}
			if last = err; err == nil {
				all = append(all, string(m.Data))
			}
		}
		data = strings.Join(all, " ")
	})
	return data, s, last
}

func TestClientResumes(t *testing.T) {
	data, s, err := run(t, ClientOptions{LastEventID: "0"},
		stream("id: 1\ndata: a\n\ndata: b\n\nid: 9\ndata: lost"),
		stream("id: 2\n\ndata: c\n\n"),
		stream(""),
		stream("data: d\n\nid:\ndata: e\n\n"),
		stop)
	if data != "a b c d e" || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
	var ids []string
	for _, a := range s.attempts {
		ids = append(ids, a.id)
	}
	if got := strings.Join(ids, ","); got != "0,1,2,2," {
		t.Errorf("resumed from %s, want 0,1,2,2 and nothing: an incomplete event is not remembered, an id alone is, an empty one forgets", got)
	}
	if _, sent := s.attempts[4].header["Last-Event-Id"]; sent {
		t.Error("an empty Last-Event-ID was sent")
	}
}

func TestClientRequestHead(t *testing.T) {
	calls := 0
	o := ClientOptions{
		Header: http.Header{"X-Team": {"blue"}, "Last-Event-Id": {"not mine"}},
		Prepare: func(r *http.Request) error {
			calls++
			r.Header.Set("Authorization", fmt.Sprint("Bearer ", calls))
			return nil
		},
	}
	_, s, err := run(t, o, stream("data: a\n\n"), stop)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range s.attempts {
		for name, want := range map[string]string{
			"Accept": "text/event-stream", "Cache-Control": "no-store", "X-Team": "blue",
			"Accept-Encoding": "identity", "Last-Event-Id": "", "Authorization": fmt.Sprint("Bearer ", i+1),
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("connection %d: %s %q, want %q", i+1, name, got, want)
			}
		}
	}
}

func TestClientPrepareEndsTheStream(t *testing.T) {
	denied := errors.New("no token")
	_, s, err := run(t, ClientOptions{Prepare: func(*http.Request) error { return denied }}, stop)
	if !errors.Is(err, denied) || len(s.attempts) != 0 {
		t.Errorf("%v after %d connections", err, len(s.attempts))
	}
}

func TestClientPermanentFailures(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "data: a\n\n")
	}
	for name, row := range map[string]struct {
		step http.HandlerFunc
		o    ClientOptions
		code parley.Code
	}{
		"wrong media type":        {html, ClientOptions{}, parley.Unsupported},
		"no media type":           {refuse(200), ClientOptions{}, parley.Unsupported},
		"401":                     {refuse(401), ClientOptions{RetryRefused: true}, parley.Unauthenticated},
		"403":                     {refuse(403), ClientOptions{}, parley.Forbidden},
		"404":                     {refuse(404), ClientOptions{RetryRefused: true}, parley.NotFound},
		"429 as browsers":         {refuse(429), ClientOptions{}, parley.Throttled},
		"503 as browsers":         {refuse(503), ClientOptions{}, parley.Unavailable},
		"other 2xx":               {refuse(202), ClientOptions{RetryRefused: true}, parley.Invalid},
		"an event over the limit": {stream("data: 123456789\n\n"), ClientOptions{MaxEvent: 8}, parley.TooLarge},
		"an id no header carries": {stream("id: a\x01\ndata: a\n\n"), ClientOptions{}, parley.Invalid},
	} {
		_, s, err := run(t, row.o, row.step)
		if parley.CodeOf(err) != row.code || len(s.attempts) != 1 {
			t.Errorf("%s: %v after %d connections, want %v after 1", name, err, len(s.attempts), row.code)
		}
	}
}

func TestClientMediaTypeIsMatchedLeniently(t *testing.T) {
	for _, typ := range []string{"text/event-stream", "Text/Event-Stream", "text/event-stream;charset=utf-8", "text/event-stream ; bogus"} {
		data, _, err := run(t, ClientOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", typ)
			fmt.Fprint(w, "data: a\n\n")
		}, stop)
		if data != "a" || err != nil {
			t.Errorf("%s: %q, %v", typ, data, err)
		}
	}
}

func TestClientRetriesRefusalsWhenAsked(t *testing.T) {
	for name, row := range map[string]struct {
		step     http.HandlerFunc
		low, top time.Duration
	}{
		"seconds":       {refuse(503, "Retry-After", "120"), 120 * time.Second, 180 * time.Second},
		"a shorter one": {refuse(429, "Retry-After", "1"), 3 * time.Second, 4500 * time.Millisecond},
		"none":          {refuse(500), 3 * time.Second, 4500 * time.Millisecond},
		"garbage":       {refuse(503, "Retry-After", "soon"), 3 * time.Second, 4500 * time.Millisecond},
		"absurd":        {refuse(503, "Retry-After", "2000000000"), time.Hour, 90 * time.Minute},
		"a date": {func(w http.ResponseWriter, r *http.Request) {
			refuse(503, "Retry-After", time.Now().Add(100*time.Second).UTC().Format(http.TimeFormat))(w, r)
		}, 99 * time.Second, 150 * time.Second},
	} {
		_, s, err := run(t, ClientOptions{RetryRefused: true}, row.step, stop)
		if err != nil || len(s.attempts) != 2 {
			t.Errorf("%s: %v after %d connections", name, err, len(s.attempts))
			continue
		}
		if at := s.attempts[1].at; at < row.low || at > row.top {
			t.Errorf("%s: came back after %v, want %v to %v", name, at, row.low, row.top)
		}
	}
}

func TestClientObeysRetry(t *testing.T) {
	_, s, err := run(t, ClientOptions{}, stream("retry: 10000\n"), stop)
	if at := s.attempts[1].at; err != nil || at < 10*time.Second || at > 15*time.Second {
		t.Errorf("came back after %v, %v, want 10 s and up to half more", at, err)
	}
	_, s, _ = run(t, ClientOptions{}, stream("retry: 0\n"), stop)
	if at := s.attempts[1].at; at < minWait || at > time.Second {
		t.Errorf("retry 0: came back after %v", at)
	}
}

// A server that accepts, sends and dies is met with growing waits; one connection
// that lasted ends them.
func TestClientBackOffEndsOnlyAfterAHealthyPeriod(t *testing.T) {
	short := hold("data: a\n\n", time.Second)
	_, s, err := run(t, ClientOptions{Retry: time.Second, MaxBackoff: 8 * time.Second},
		short, short, short, short, short, hold("data: b\n\n", 9*time.Second), short, stop)
	if err != nil || len(s.attempts) != 8 {
		t.Fatalf("%v after %d connections", err, len(s.attempts))
	}
	for i, seconds := range []time.Duration{1 + 1, 1 + 2, 1 + 4, 1 + 8, 1 + 8, 9 + 1, 1 + 2} {
		gap, floor := s.attempts[i+1].at-s.attempts[i].at, seconds*time.Second
		if gap < floor || gap > floor+floor/2 {
			t.Errorf("gap %d: %v, want %v and up to half more", i+1, gap, floor)
		}
	}
}

func TestPaceIsJittered(t *testing.T) {
	low, high := pace{base: time.Second, cap: time.Minute}, pace{base: time.Second, cap: time.Minute}
	if a, b := low.next(0, 0, 0), high.next(0, 0, 0.999); a != time.Second || b < 1490*time.Millisecond {
		t.Errorf("waits from %v to %v, want 1 s to 1.5 s", a, b)
	}
}

func TestClientFollowsRedirects(t *testing.T) {
	data, s, err := run(t, ClientOptions{LastEventID: "5"},
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		stream("data: "+"a\n\n"), stop)
	if data != "a" || err != nil || s.attempts[1].id != "5" {
		t.Errorf("%q, %v, resumed from %q", data, err, s.attempts[1].id)
	}
}

func TestClientReconnectsWhenNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := serve(stream("data: a\n\n"))
		n.close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		tries := 0
		c, err := NewClient("http://mem/", ClientOptions{HTTP: n.client(), OnReconnect: func(cause error, wait time.Duration) {
			tries++
			var netErr *url.Error
			if !errors.As(cause, &netErr) || wait < 3*time.Second {
				t.Errorf("told of %v, %v", cause, wait)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for m, err := range c.Events(ctx) {
			if err == nil || err.Error() != "enough" {
				t.Errorf("got %+v, %v", m, err)
			}
		}
		if tries < 3 || tries > 5 {
			t.Errorf("%d tries in a minute, want 3, 6, 12, 24 s apart and a little more", tries)
		}
	})
}

func TestClientIdleTimeout(t *testing.T) {
	beats := func(w http.ResponseWriter, r *http.Request) {
		out, err := NewWriter(w, r, WriterOptions{})
		for range 4 {
			if err != nil {
				return
			}
			wait(r.Context(), 50*time.Second)
			err = out.Heartbeat()
		}
		wait(r.Context(), time.Hour)
	}
	_, s, err := run(t, ClientOptions{IdleTimeout: time.Minute}, beats, stop)
	if err != nil || len(s.attempts) != 2 {
		t.Fatalf("%v after %d connections", err, len(s.attempts))
	}
	if at := s.attempts[1].at; at < 260*time.Second || at > 267*time.Second {
		t.Errorf("reconnected after %v, want a minute after the last heartbeat at 200 s", at)
	}
}

// The silence of a caller that works on an event is not the server's.
func TestSlowCallerIsNotAnIdleServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{steps: []http.HandlerFunc{stream("data: a\n\ndata: b\n\n"), stop}}
		n := serve(s)
		defer n.close()
		c, err := NewClient("http://mem/", ClientOptions{HTTP: n.client(), IdleTimeout: time.Second, OnReconnect: func(cause error, _ time.Duration) {
			if cause != errEnded {
				t.Errorf("reconnects because of %v", cause)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Events(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			wait(t.Context(), time.Minute)
		}
	})
}

func TestBreakAndCancelCloseTheConnection(t *testing.T) {
	for _, way := range []string{"break", "cancel", "cancel while waiting"} {
		synctest.Test(t, func(t *testing.T) {
			gone := make(chan struct{})
			step := func(w http.ResponseWriter, r *http.Request) {
				hold("data: a\n\n", time.Hour)(w, r)
				close(gone)
			}
			if way == "cancel while waiting" {
				step = func(w http.ResponseWriter, r *http.Request) {
					stream("data: a\n\nretry: 3600000\n")(w, r)
					close(gone)
				}
			}
			n := serve(http.HandlerFunc(step))
			defer n.close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, err := NewClient("http://mem/", ClientOptions{HTTP: n.client()})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			var last error
			for _, err := range c.Events(ctx) {
				last = err
				if way == "break" {
					break
				}
				time.AfterFunc(time.Second, cancel)
			}
			<-gone
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: took %v", way, took)
			}
			if way != "break" && !errors.Is(last, context.Canceled) {
				t.Errorf("%s: ended with %v", way, last)
			}
		})
	}
}

func TestNewClientRefuses(t *testing.T) {
	for field, row := range map[string]struct {
		url string
		o   ClientOptions
	}{
		"url":  {"/relative", ClientOptions{}},
		"HTTP": {"http://mem/", ClientOptions{HTTP: &http.Client{Timeout: time.Second}}},
		"id":   {"http://mem/", ClientOptions{LastEventID: "a\nb"}},
	} {
		_, err := NewClient(row.url, row.o)
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, bad := range []string{"", "mem", "ftp://mem/", "http://", "http://a b/", "://"} {
		if _, err := NewClient(bad, ClientOptions{}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
