package poll

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/memnet"
)

// ask makes one request to h and gives its answer.
func ask(h http.Handler, method, target string, lines ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Header = header(lines...)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func expect(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || (body != "" && w.Body.String() != body) {
		t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, status, body)
	}
}

func TestShortPoll(t *testing.T) {
	h := Handler(newMemory(3), Options{})
	w := ask(h, "GET", "/")
	expect(t, w, 200, `{"events":[1,2,3],"cursor":"3","more":false,"new_messages":3}`)
	for name, want := range map[string]string{
		"ETag": `"3"`, "Cache-Control": "private, no-cache", "Vary": "Prefer", "Content-Type": "application/json",
		"Content-Length": "61", "Preference-Applied": "", "Retry-After": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	expect(t, ask(h, "GET", "/?limit=2"), 200, `{"events":[2,3],"cursor":"3","more":false,"new_messages":2}`)
	expect(t, ask(h, "GET", "/?after=earliest&limit=2"), 200, `{"events":[1,2],"cursor":"2","more":true,"new_messages":2}`)
	expect(t, ask(h, "GET", "/?after=2&limit=2"), 200, `{"events":[3],"cursor":"3","more":false,"new_messages":1}`)
	expect(t, ask(h, "GET", "/?after=3"), 200, `{"events":[],"cursor":"3","more":false,"new_messages":0}`)
}

func TestConditionalPoll(t *testing.T) {
	m := newMemory(3)
	h := Handler(m, Options{})
	first := ask(h, "GET", "/")
	w := ask(h, "GET", "/", "If-None-Match: "+first.Header().Get("ETag"))
	expect(t, w, 304, "")
	if w.Body.Len() != 0 || w.Header().Get("Content-Type") != "" {
		t.Errorf("304 with %q of %q", w.Body, w.Header().Get("Content-Type"))
	}
	for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
		if got := w.Header().Get(name); got == "" || got != first.Header().Get(name) {
			t.Errorf("304 has %s %q, the 200 had %q", name, got, first.Header().Get(name))
		}
	}
	m.add("4")
	expect(t, ask(h, "GET", "/", `If-None-Match: "3"`), 200, `{"events":[1,2,3,4],"cursor":"4","more":false,"new_messages":4}`)

	// The same two events, but now there is more: not the same answer.
	page := ask(h, "GET", "/?after=2&limit=2").Header().Get("ETag")
	m.add("5")
	expect(t, ask(h, "GET", "/?after=2&limit=2", "If-None-Match: "+page), 200, `{"events":[3,4],"cursor":"4","more":true,"new_messages":2}`)
}

func TestHeadPoll(t *testing.T) {
	w := ask(Handler(newMemory(3), Options{}), "HEAD", "/")
	if w.Code != 200 || w.Header().Get("ETag") != `"3"` || w.Header().Get("Content-Length") != "61" || w.Body.Len() != 0 {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestHint(t *testing.T) {
	h := Handler(newMemory(3), Options{Hint: 1500 * time.Millisecond, Public: true})
	w := ask(h, "GET", "/?after=3")
	if cc, ra := w.Header().Get("Cache-Control"), w.Header().Get("Retry-After"); cc != "public, max-age=2" || ra != "2" {
		t.Errorf("%q, Retry-After %q", cc, ra)
	}
	if ra := ask(h, "GET", "/?after=1&limit=1").Header().Get("Retry-After"); ra != "" {
		t.Errorf("more is there, and the client shall wait %q", ra)
	}
	if cc := ask(h, "GET", "/?after=1&wait=1s").Header().Get("Cache-Control"); cc != "public, no-cache" {
		t.Errorf("a long poll answers with %q", cc)
	}
}

func TestLongPoll(t *testing.T) {
	for name, row := range map[string]struct {
		target  string
		header  string
		arrives time.Duration // when event 4 comes; 0 is never
		took    time.Duration
		status  int
		body    string
	}{
		"something is there":     {"/?after=2&wait=25s", "", 0, 0, 200, `{"events":[3],"cursor":"3","more":false,"new_messages":1}`},
		"something comes":        {"/?after=3&wait=25s", "", 7 * time.Second, 7 * time.Second, 200, `{"events":[4],"cursor":"4","more":false,"new_messages":1}`},
		"nothing comes":          {"/?after=3&wait=25s", "", 0, 25 * time.Second, 200, `{"events":[],"cursor":"3","more":false,"new_messages":0}`},
		"too late":               {"/?after=3&wait=5s", "", 6 * time.Second, 5 * time.Second, 200, `{"events":[],"cursor":"3","more":false,"new_messages":0}`},
		"from now on":            {"/?wait=true&timeout=30", "", 9 * time.Second, 9 * time.Second, 200, `{"events":[4],"cursor":"4","more":false,"new_messages":1}`},
		"preferred":              {"/?after=3", "Prefer: wait=10", 0, 10 * time.Second, 200, ""},
		"clamped":                {"/?after=3&wait=10m", "", 0, 55 * time.Second, 200, ""},
		"held while the same":    {"/?after=2&wait=25s", `If-None-Match: "3"`, 7 * time.Second, 7 * time.Second, 200, `{"events":[3,4],"cursor":"4","more":false,"new_messages":2}`},
		"still the same":         {"/?after=2&wait=25s", `If-None-Match: "3"`, 0, 25 * time.Second, 304, ""},
		"cannot change any more": {"/?after=0&limit=2&wait=25s", `If-None-Match: "2+"`, 0, 0, 304, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(3)
			if row.arrives > 0 {
				time.AfterFunc(row.arrives, func() { m.add("4") })
			}
			start := time.Now()
			w := ask(Handler(m, Options{}), "GET", row.target, row.header)
			if took := time.Since(start); took != row.took {
				t.Errorf("%s: took %v, want %v", name, took, row.took)
			}
			if w.Code != row.status || (row.body != "" && w.Body.String() != row.body) {
				t.Errorf("%s: got %d %s\nwant %d %s", name, w.Code, w.Body, row.status, row.body)
			}
			if want := map[string]string{"preferred": "wait=10", "clamped": "wait=55"}[name]; w.Header().Get("Preference-Applied") != want {
				t.Errorf("%s: Preference-Applied %q, want %q", name, w.Header().Get("Preference-Applied"), want)
			}
			if m.reads > 3 || m.waits > 2 {
				t.Errorf("%s: %d reads and %d waits", name, m.reads, m.waits)
			}
		})
	}
}

// A source that passes over events on the way must not be read from the start
// again, and a client that waited in vain must not either.
func TestHeldRequestGoesOnFromTheLastCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		read := func(_ context.Context, after string, _ int) (Page, error) {
			asked = append(asked, after)
			return Page{Cursor: after + "x"}, nil
		}
		w := ask(Handler(Every(10*time.Second, read), Options{}), "GET", "/?after=a&wait=25s")
		expect(t, w, 200, `{"events":[],"cursor":"axxx","more":false,"new_messages":0}`)
		if got := strings.Join(asked, " "); got != "a ax axx" {
			t.Errorf("asked after %s", got)
		}
	})
}

func TestHandlerErrors(t *testing.T) {
	failing := func(err error) http.Handler {
		return HandlerFunc(func(context.Context, string, int) (Page, error) { return Page{}, err })
	}
	gone := &parley.Error{Code: parley.Trimmed, Field: "after", Detail: "no longer kept", Fix: "start from earliest"}
	for name, row := range map[string]struct {
		w      *httptest.ResponseRecorder
		status int
		has    string
	}{
		"bad field":   {ask(Handler(newMemory(1), Options{}), "GET", "/?limit=0"), 400, `"field":"limit"`},
		"bad query":   {ask(Handler(newMemory(1), Options{}), "GET", "/?after=%zz"), 400, `"field":"query"`},
		"bad cursor":  {ask(Handler(newMemory(1), Options{}), "GET", "/?after=99"), 400, `bad-cursor`},
		"method":      {ask(Handler(newMemory(1), Options{}), "POST", "/"), 405, `method-not-allowed`},
		"trimmed":     {ask(failing(gone), "GET", "/"), 410, `start from earliest`},
		"unknown":     {ask(failing(errors.New("secret")), "GET", "/"), 500, `Internal error`},
		"bad source":  {ask(HandlerFunc(func(context.Context, string, int) (Page, error) { return Page{}, nil }), "GET", "/"), 500, `Internal error`},
		"unavailable": {ask(failing(&parley.Error{Code: parley.Unavailable, RetryAfter: 1500 * time.Millisecond}), "GET", "/"), 503, `unavailable`},
	} {
		body := row.w.Body.String()
		if row.w.Code != row.status || !strings.Contains(body, row.has) || row.w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d with %s", name, row.w.Code, body, row.status, row.has)
		}
		if strings.Contains(body, "secret") {
			t.Errorf("%s shows the cause: %s", name, body)
		}
		if want := map[string]string{"unavailable": "2"}[name]; row.w.Header().Get("Retry-After") != want {
			t.Errorf("%s: Retry-After %q, want %q", name, row.w.Header().Get("Retry-After"), want)
		}
		if want := map[string]string{"method": "GET, HEAD"}[name]; row.w.Header().Get("Allow") != want {
			t.Errorf("%s: Allow %q, want %q", name, row.w.Header().Get("Allow"), want)
		}
	}
}

func TestHeldRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Handler(newMemory(1), Options{MaxHeld: 1})
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- ask(h, "GET", "/?wait=10s") }()
		synctest.Wait()
		w := ask(h, "GET", "/?wait=10s")
		expect(t, w, 503, "")
		if w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		expect(t, ask(h, "GET", "/?after=1"), 200, "") // a short poll is not held
		expect(t, <-first, 200, "")
		expect(t, ask(h, "GET", "/?wait=1s"), 200, "") // there is room again
	})
}

// The answer of a held request must get past the server's WriteTimeout, and a
// server that shuts down must not leave its clients without an answer.
func TestHeldRequestOverTheNetwork(t *testing.T) {
	for name, row := range map[string]struct {
		timeout, shutdown, took time.Duration
	}{
		"a write timeout": {5 * time.Second, 0, 25 * time.Second},
		"a shutdown":      {0, 4 * time.Second, 4 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			base, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := memnet.Listen(0)
			srv := &http.Server{
				Handler: Handler(newMemory(1), Options{}), WriteTimeout: row.timeout,
				BaseContext: func(_ net.Listener) context.Context { return base },
			}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(l) }()
			tr := &http.Transport{DialContext: l.Dial}
			if row.shutdown > 0 {
				time.AfterFunc(row.shutdown, cancel)
			}
			start := time.Now()
			resp, err := (&http.Client{Transport: tr}).Get("http://mem/?wait=25s")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := `{"events":[],"cursor":"1","more":false,"new_messages":0}`; string(body) != want || err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %d %s, %v", name, resp.StatusCode, body, err)
			}
			if took := time.Since(start); took != row.took {
				t.Errorf("%s: took %v, want %v", name, took, row.took)
			}
			tr.CloseIdleConnections()
			srv.Close()
			<-served
		})
	}
}
