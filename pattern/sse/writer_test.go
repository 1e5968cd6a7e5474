package sse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/memnet"
)

// network is a server over an in-memory listener, for use inside a bubble.
type network struct {
	l    *memnet.Listener
	srv  *http.Server
	tr   *http.Transport
	done chan error
}

func serve(h http.Handler, setup ...func(*http.Server)) *network {
	n := &network{l: memnet.Listen(0), srv: &http.Server{Handler: h}, done: make(chan error, 1)}
	for _, f := range setup {
		f(n.srv)
	}
	n.tr = &http.Transport{DialContext: n.l.Dial}
	go func() { n.done <- n.srv.Serve(n.l) }()
	return n
}

func (n *network) client() *http.Client { return &http.Client{Transport: n.tr} }

func (n *network) close() {
	n.tr.CloseIdleConnections()
	n.srv.Close()
	<-n.done
}

func (n *network) get(t *testing.T, url string) (*http.Response, *Reader) {
	t.Helper()
	resp, err := n.client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return resp, NewReader(resp.Body, 0)
}

// wrapped hides everything of a ResponseWriter but what middleware commonly keeps.
type wrapped struct {
	http.ResponseWriter
	statuses *[]int
}

func (w wrapped) WriteHeader(code int) {
	*w.statuses = append(*w.statuses, code)
	w.ResponseWriter.WriteHeader(code)
}
func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestWriterHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var statuses []int
		release := make(chan struct{})
		n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := NewWriter(wrapped{w, &statuses}, r, WriterOptions{Retry: 4 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			<-release
			if err := out.Send(Message{ID: "1", Data: []byte("a")}); err != nil {
				t.Error(err)
			}
		}))
		defer n.close()
		resp, events := n.get(t, "http://mem/") // returns while the handler waits: the head was flushed
		defer resp.Body.Close()
		want := map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform",
			"X-Accel-Buffering": "no", "Connection": "keep-alive", "Content-Length": "",
		}
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		close(release)
		if m, err := events.Next(); m.ID != "1" || string(m.Data) != "a" || err != nil {
			t.Errorf("got %+v, %v", m, err)
		}
		if wait, ok := events.Retry(); !ok || wait < 2*time.Second || wait > 6*time.Second {
			t.Errorf("retry %v, %v, want 4 s give or take half", wait, ok)
		}
		if len(statuses) != 1 || statuses[0] != 200 {
			t.Errorf("the middleware saw %v, want one 200", statuses)
		}
	})
}

// net/http would drop the field over HTTP/2, but a door that writes its own head
// would send it.
func TestConnectionIsForHTTP11(t *testing.T) {
	for proto, want := range map[string]string{"HTTP/1.0": "", "HTTP/1.1": "keep-alive", "HTTP/2.0": "", "HTTP/3.0": ""} {
		h := http.Header{}
		SetHeader(h, proto)
		if got := h.Get("Connection"); got != want {
			t.Errorf("%s: Connection %q, want %q", proto, got, want)
		}
	}
}

// Two clients of one server must not be sent back at the same moment.
func TestRetryIsJittered(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		rec := httptest.NewRecorder()
		if _, err := NewWriter(rec, httptest.NewRequest("GET", "/", nil), WriterOptions{}); err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`^retry: (\d+)\n\n$`).FindStringSubmatch(rec.Body.String())
		if m == nil {
			t.Fatalf("first block %q", rec.Body)
		}
		if ms, _ := strconv.Atoi(m[1]); ms < 1500 || ms > 4500 {
			t.Errorf("retry %d ms, want 3000 give or take half", ms)
		}
		seen[m[1]] = true
	}
	if len(seen) < 5 {
		t.Errorf("20 streams share %d values", len(seen))
	}
	rec := httptest.NewRecorder()
	if _, err := NewWriter(rec, httptest.NewRequest("GET", "/", nil), WriterOptions{Retry: -1}); err != nil || rec.Body.String() != Heartbeat {
		t.Errorf("without retry: %q, %v", rec.Body, err)
	}
}

// A server with timeouts must not end a stream that is well, whether the writer
// has deadlines of its own or none.
func TestWriterOutlivesServerTimeouts(t *testing.T) {
	for _, own := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) { outlive(t, WriterOptions{WriteTimeout: own}) })
	}
}

func outlive(t *testing.T, o WriterOptions) {
	n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := NewWriter(w, r, o)
		if err != nil {
			t.Error(err)
			return
		}
		timer := time.NewTimer(time.Minute)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			t.Error("the server ended an idle stream")
		}
		if err := out.Send(Message{Data: []byte("late")}); err != nil {
			t.Error(err)
		}
	}), func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 5*time.Second, 5*time.Second })
	defer n.close()
	resp, events := n.get(t, "http://mem/")
	defer resp.Body.Close()
	if m, err := events.Next(); string(m.Data) != "late" || err != nil {
		t.Errorf("got %q, %v", m.Data, err)
	}
}

func TestSlowReaderLosesItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		var took time.Duration
		n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := NewWriter(w, r, WriterOptions{WriteTimeout: 2 * time.Second})
			for err == nil {
				began := time.Now()
				err = out.Send(Message{Data: make([]byte, 8<<10)})
				took = time.Since(began)
			}
			if again := out.Heartbeat(); again != err {
				t.Errorf("after %v: %v, want the same error", err, again)
			}
			ended <- err
		}))
		defer n.close()
		conn, err := n.l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: mem\r\n\r\n") // and reads nothing
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || took != 2*time.Second {
			t.Errorf("ended with %v after %v", err, took)
		}
	})
}

func TestPump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages := make(chan Message, 8)
		pumped := make(chan error, 1)
		n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := NewWriter(w, r, WriterOptions{Retry: -1})
			if err == nil {
				err = out.Pump(r.Context(), messages)
			}
			pumped <- err
		}))
		defer n.close()
		resp, _ := n.get(t, "http://mem/")
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		expect := func(want string) {
			t.Helper()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(lines, got); err != nil || string(got) != want {
				t.Fatalf("got %q, %v, want %q", got, err, want)
			}
		}
		start := time.Now()
		expect(Heartbeat)             // the first block
		expect(Heartbeat + Heartbeat) // silence
		if time.Since(start) != 50*time.Second {
			t.Errorf("two heartbeats after %v, want 50 s", time.Since(start))
		}
		messages <- Message{Data: []byte("a")}
		messages <- Message{Data: []byte("b")}
		expect("data: a\n\ndata: b\n\n")
		start = time.Now()
		expect(Heartbeat)
		if time.Since(start) != 25*time.Second {
			t.Errorf("a heartbeat %v after an event, want 25 s", time.Since(start))
		}
		messages <- Message{Data: []byte("last")}
		close(messages)
		expect("data: last\n\n")
		if err := <-pumped; err != nil {
			t.Error(err)
		}
		if _, err := lines.ReadByte(); err != io.EOF {
			t.Errorf("the stream goes on: %v", err)
		}
	})
}

func TestPumpEnds(t *testing.T) {
	for name, end := range map[string]func(cancel context.CancelFunc, resp *http.Response, messages chan Message){
		"context": func(cancel context.CancelFunc, _ *http.Response, _ chan Message) { cancel() },
		"client":  func(_ context.CancelFunc, resp *http.Response, _ chan Message) { resp.Body.Close() },
		"bad message": func(_ context.CancelFunc, _ *http.Response, messages chan Message) {
			messages <- Message{Data: []byte("\r")}
		},
	} {
		want := map[string]parley.Code{"context": parley.Canceled, "client": parley.Canceled, "bad message": parley.Invalid}[name]
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			messages, pumped := make(chan Message), make(chan error, 1)
			n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				out, err := NewWriter(w, r, WriterOptions{Heartbeat: -1})
				if err == nil {
					err = out.Pump(ctx, messages)
				}
				pumped <- err
			}))
			defer n.close()
			resp, _ := n.get(t, "http://mem/")
			defer resp.Body.Close()
			end(cancel, resp, messages)
			if err := <-pumped; parley.CodeOf(err) != want {
				t.Errorf("%s: %v, want code %v", name, err, want)
			}
		})
	}
}

func TestWriterOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := new(http.Protocols)
		both.SetUnencryptedHTTP2(true)
		n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := NewWriter(w, r, WriterOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			timer := time.NewTimer(time.Minute) // longer than the write deadline: it must not linger
			defer timer.Stop()
			<-timer.C
			if err := out.Send(Message{Data: []byte("a")}); err != nil {
				t.Error(err)
			}
		}), func(s *http.Server) { s.Protocols = both; s.WriteTimeout = 5 * time.Second })
		defer n.close()
		n.tr.Protocols = both
		resp, events := n.get(t, "http://mem/")
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.Header.Get("Connection") != "" {
			t.Errorf("%s with Connection %q", resp.Proto, resp.Header.Get("Connection"))
		}
		if m, err := events.Next(); string(m.Data) != "a" || err != nil {
			t.Errorf("got %q, %v", m.Data, err)
		}
	})
}

type deaf struct{ http.ResponseWriter }

func TestWriterWithoutFlush(t *testing.T) {
	rec := httptest.NewRecorder()
	_, err := NewWriter(deaf{rec}, httptest.NewRequest("GET", "/", nil), WriterOptions{})
	if parley.CodeOf(err) != parley.Unsupported || len(rec.Header()) != 0 || rec.Body.Len() != 0 {
		t.Errorf("%v, having sent %v %q", err, rec.Header(), rec.Body)
	}
}

func TestHeadRequestHasNoStream(t *testing.T) {
	rec := httptest.NewRecorder()
	_, err := NewWriter(rec, httptest.NewRequest("HEAD", "/", nil), WriterOptions{})
	if err != ErrHead || rec.Code != 200 || rec.Header().Get("Content-Type") != ContentType || rec.Body.Len() != 0 {
		t.Errorf("%v, %d %v %q", err, rec.Code, rec.Header(), rec.Body)
	}
}

func TestBadMessageLeavesTheStreamWell(t *testing.T) {
	rec := httptest.NewRecorder()
	out, err := NewWriter(rec, httptest.NewRequest("GET", "/", nil), WriterOptions{Retry: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Send(Message{ID: "1", Data: []byte("a\rdata: forged")}); parley.CodeOf(err) != parley.Invalid {
		t.Error(err)
	}
	if err := out.Checkpoint("a\nb"); parley.CodeOf(err) != parley.Invalid {
		t.Error(err)
	}
	if err := errors.Join(out.Send(Message{Data: []byte("b")}), out.Checkpoint("2")); err != nil {
		t.Error(err)
	}
	if got := rec.Body.String(); got != Heartbeat+"data: b\n\nid: 2\n\n" {
		t.Errorf("sent %q", got)
	}
}

// failing fails one write, as a middleware might, and then works again.
type failing struct {
	*httptest.ResponseRecorder
	fail bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.fail {
		f.fail = false
		f.ResponseRecorder.Write(p[:1])
		return 1, io.ErrShortWrite
	}
	return f.ResponseRecorder.Write(p)
}

func TestNothingFollowsABrokenWrite(t *testing.T) {
	w := &failing{ResponseRecorder: httptest.NewRecorder()}
	out, err := NewWriter(w, httptest.NewRequest("GET", "/", nil), WriterOptions{Retry: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.fail = true
	for range 2 {
		if err := out.Send(Message{Data: []byte("a")}); err != io.ErrShortWrite {
			t.Errorf("got %v", err)
		}
	}
	if got := w.Body.String(); got != Heartbeat+"d" {
		t.Errorf("sent %q: the second event followed half of the first", got)
	}
}

func TestLastEventID(t *testing.T) {
	for _, row := range []struct{ header, query, want string }{
		{"", "", ""},
		{"h", "", "h"},
		{"h", "last_event_id=q", "h"},
		{"", "last_event_id=q", "q"},
		{"", "lastEventId=q", "q"},
		{"", "last_event_id=a&lastEventId=b", "a"},
	} {
		r := httptest.NewRequest("GET", "/?"+row.query, nil)
		if row.header != "" {
			r.Header.Set("Last-Event-ID", row.header)
		}
		if got := LastEventID(r); got != row.want {
			t.Errorf("%+v: got %q", row, got)
		}
	}
}
