package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// answering is a network whose server answers by a function of the request's number.
type answering struct {
	answer func(w http.ResponseWriter, r *http.Request, n int)
	n      int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.n++
	w := httptest.NewRecorder()
	a.answer(w, r, a.n)
	res := w.Result()
	res.Request = r
	return res, nil
}

// refusing refuses the first so many requests, as a limit does.
func refusing(times int, err *throttle.Error) *answering {
	return &answering{answer: func(w http.ResponseWriter, r *http.Request, n int) {
		if n <= times {
			httpthrottle.Refuse(w, r, err)
			return
		}
		_, _ = w.Write([]byte(`{"topics":[],"events":[{"specversion":"1.0","id":"e","source":"/s","type":"t"}],"cursor":"c"}`))
	}}
}

// TestRefusalsOfLimits: the error tells of the limit, and what to do.
func TestRefusalsOfLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		why  throttle.Error
		want parley.Error
	}{
		{"limited", throttle.Error{Name: "api", Reason: throttle.Limited, RetryAfter: time.Hour}, parley.Error{
			Code: parley.Throttled, RetryAfter: time.Hour, Fix: "try again in 1h0m0s, or have the limit api raised",
			Detail: "the limit api refuses it: More requests came than the limit admits. Try again in 3600 seconds.",
		}},
		{"closed", throttle.Error{Name: "api", Reason: throttle.Closed}, parley.Error{
			Code: parley.Forbidden, Fix: "have the limit api raised",
			Detail: "the limit api refuses it: The limit here is zero: nothing is admitted.",
		}},
		{"impossible", throttle.Error{Name: "api", Reason: throttle.Impossible}, parley.Error{
			Code: parley.TooLarge, Fix: "ask for less at once, or have the limit api raised",
			Detail: "the limit api refuses it: The request costs more than the limit can ever admit at once. Make it smaller.",
		}},
		{"held", throttle.Error{Reason: throttle.Limited, Held: true, RetryAfter: 2 * time.Minute}, parley.Error{
			Code: parley.Overloaded, RetryAfter: 2 * time.Minute, Fix: "try again in 2m0s, or have the limit raised",
			Detail: "Every place is taken. Try again in 120 seconds.",
		}},
	} {
		for _, accept := range []string{"", "application/problem+json"} {
			t.Run(c.name+accept, func(t *testing.T) {
				r := httptest.NewRequest(http.MethodGet, "http://parley.test/v1/topics", nil)
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				httpthrottle.Refuse(w, r, &c.why)
				res := w.Result()
				res.Request = r
				if e, ok := problem(res, w.Body.Bytes()).(*parley.Error); !ok || *e != c.want {
					t.Errorf("it is %+v", e)
				}
			})
		}
	}
}

// TestOtherRefusals: what is no refusal of a limit is told of by its status.
func TestOtherRefusals(t *testing.T) {
	for body, media := range map[string]string{
		"":                 "application/json",
		"null":             "application/json",
		`{"status":"403"}`: "application/json",
		`{"status":200,"error":"x","detail":"y"}`: "application/json",
		`{"status":403,"error":"x","detail":"y"}`: "text/html",
	} {
		res := &http.Response{StatusCode: 403, Status: "403 Forbidden", Header: http.Header{"Content-Type": {media}, "Retry-After": {"99999999999999999999"}}}
		res.Request = httptest.NewRequest(http.MethodGet, "http://parley.test/v1/topics", nil)
		e, ok := problem(res, []byte(body)).(*parley.Error)
		if !ok || e.Code != parley.Forbidden || e.Detail != "403 Forbidden from parley.test" || e.RetryAfter < MaxPause {
			t.Errorf("%s is %+v", body, e)
		}
	}
}

// TestPauses: one of a minute is sat out, and told of; a longer one is the error.
func TestPauses(t *testing.T) {
	for _, c := range []struct {
		wait     time.Duration
		requests int
		code     parley.Code
	}{
		{MaxPause, 2, parley.Internal},
		{MaxPause + time.Second, 1, parley.Throttled},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := refusing(1, &throttle.Error{Name: "api", Reason: throttle.Limited, RetryAfter: c.wait})
			told := time.Duration(0)
			cl, err := New("http://parley.test", Options{HTTP: &http.Client{Transport: net}, OnRetry: func(_ error, wait time.Duration) { told += wait }})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err = cl.Topics(t.Context())
			if took := time.Since(begun); net.n != c.requests || took != told || (err == nil) != (c.code == parley.Internal) || err != nil && parley.CodeOf(err) != c.code {
				t.Errorf("%v: %d requests, %v, told of %v: %v", c.wait, net.n, took, told, err)
			}
		})
	}
}

// TestSubscriptionsSitOutPauses: it runs for long, so it waits, and tells.
func TestSubscriptionsSitOutPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := refusing(1, &throttle.Error{Name: "api", Reason: throttle.Limited, RetryAfter: time.Hour})
		var told []string
		cl, err := New("http://parley.test", Options{HTTP: &http.Client{Transport: net}, OnReconnect: func(cause error, wait time.Duration) {
			told = append(told, wait.String()+" "+cause.Error())
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithTimeout(t.Context(), 2*time.Hour)
		defer end()
		for got, err := range cl.Subscribe(ctx, Subscription{Topics: []string{"a"}, From: "earliest", Over: LongPoll}) {
			if err != nil || got.ID != "e" {
				t.Fatal(got, err)
			}
			break
		}
		if net.n != 2 || len(told) != 1 || !strings.HasPrefix(told[0], "1h0m0s throttled: the limit api refuses it") {
			t.Errorf("%d requests, told %q", net.n, told)
		}
	})
}
