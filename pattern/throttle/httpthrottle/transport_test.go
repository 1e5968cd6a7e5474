package httpthrottle

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// server answers in memory and notes when it was asked.
type server struct {
	begin   time.Time
	asked   []string
	answers []answer
}

type answer struct {
	status int
	header string // NAME: VALUE
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	s.asked = append(s.asked, fmt.Sprint(r.Method, body, "@", time.Since(s.begin)))
	a := answer{status: http.StatusOK}
	if len(s.answers) > 0 {
		a, s.answers = s.answers[0], s.answers[1:]
	}
	h := http.Header{}
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		h.Set(name, value)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader("body")), Request: r}, nil
}

func newServer(answers ...answer) *server { return &server{begin: time.Now(), answers: answers} }

func send(t *testing.T, tr *Transport, method, url, body string) (int, error) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestTransportObeys(t *testing.T) {
	for _, c := range []struct {
		name, method, body string
		answers            []answer
		status             int
		asked              string
	}{
		{"plain", "GET", "", nil, 200, "[GET@0s]"},
		{"429 with seconds", "GET", "", []answer{{429, "Retry-After: 7"}}, 200, "[GET@0s GET@7s]"},
		{"503 with a date", "GET", "", []answer{{503, "Retry-After: Sat, 01 Jan 2000 00:00:09 GMT"}}, 200, "[GET@0s GET@9s]"},
		{"429 with a RateLimit field", "GET", "", []answer{{429, `RateLimit: "x";r=0;t=4`}}, 200, "[GET@0s GET@4s]"},
		{"429 with nothing", "GET", "", []answer{{429, ""}, {429, ""}}, 200, "[GET@0s GET@1s GET@3s]"},
		{"429 for ever", "GET", "", []answer{{429, "Retry-After: 1"}, {429, "Retry-After: 1"}, {429, "Retry-After: 1"}}, 429, "[GET@0s GET@1s GET@2s]"},
		{"429 of a POST is sent again with its body", "POST", "b", []answer{{429, "Retry-After: 2"}}, 200, "[POSTb@0s POSTb@2s]"},
		{"503 of a POST may have been processed", "POST", "b", []answer{{503, "Retry-After: 2"}}, 503, "[POSTb@0s]"},
		{"too long a pause", "GET", "", []answer{{429, "Retry-After: 3600"}}, 429, "[GET@0s]"},
		{"500 is not a refusal", "GET", "", []answer{{500, "Retry-After: 2"}}, 500, "[GET@0s]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(c.answers...)
			status, err := send(t, &Transport{Base: s}, c.method, "http://a/", c.body)
			if got := fmt.Sprint(s.asked); err != nil || status != c.status || got != c.asked {
				t.Errorf("%s: %d %v %s, want %d %s", c.name, status, err, got, c.status, c.asked)
			}
		})
	}
}

func TestTransportPausesTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(answer{200, `RateLimit: "x";r=0;t=5`})
		tr := &Transport{Base: s}
		for _, url := range []string{"http://a/", "http://b/", "http://a/"} {
			if _, err := send(t, tr, "GET", url, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(s.asked); got != "[GET@0s GET@0s GET@5s]" {
			t.Error(got)
		}
		s.answers = []answer{{503, "Retry-After: 7200"}}
		if status, _ := send(t, tr, "GET", "http://a/", ""); status != 503 {
			t.Errorf("status %d", status)
		}
		var e *throttle.Error
		if _, err := send(t, tr, "GET", "http://a/", ""); !errors.As(err, &e) || e.RetryAfter != 2*time.Hour {
			t.Errorf("%v: want a refusal for two hours", err)
		}
		if status, err := send(t, tr, "GET", "http://b/", ""); status != 200 {
			t.Errorf("another host: %d %v", status, err)
		}
	})
}

func TestTransportPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		tr := &Transport{Base: s, Limiter: mustLimiter(t, "crawl", "leaky-queue 1/s", throttle.Options{})}
		for _, url := range []string{"http://a/1", "http://a/2", "http://b/1", "http://a/3"} {
			if _, err := send(t, tr, "GET", url, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(s.asked); got != "[GET@0s GET@1s GET@1s GET@2s]" {
			t.Error(got)
		}
	})
}

func TestTransportLeavesPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := mustLimiter(t, "in", "concurrency 1", throttle.Options{MaxWait: time.Second})
		s := newServer(answer{429, "Retry-After: 1"})
		tr := &Transport{Base: s, Limiter: limiter}
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://a/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := send(t, tr, "GET", "http://a/", ""); !errors.Is(err, throttle.TooLate) {
			t.Errorf("%v: want no place while the first body is open", err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if status, err := send(t, tr, "GET", "http://a/", ""); status != 200 || limiter.Stats().Waiting != 0 {
			t.Errorf("%d %v", status, err)
		}
		// A protocol switch keeps its own body.
		s.answers = []answer{{101, ""}}
		if resp, err = tr.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
		if _, wrapped := resp.Body.(*leavingBody); wrapped {
			t.Error("the body of a protocol switch was wrapped")
		}
	})
}

func TestTransportForgetsTheShortest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{}
		refusal := func(host string, seconds int) {
			resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {fmt.Sprint(seconds)}}}
			tr.learn(host, resp, 0)
		}
		for i := range maxPauses {
			refusal(fmt.Sprint("host", i), 10+i)
		}
		refusal("new", 5)
		if _, kept := tr.pauses["host0"]; kept || len(tr.pauses) != maxPauses {
			t.Errorf("%d pauses", len(tr.pauses))
		}
		<-time.After(time.Hour)
		refusal("newer", 5)
		if len(tr.pauses) > maxPauses/2 {
			t.Errorf("%d pauses, most of them over", len(tr.pauses))
		}
	})
}
