package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// TestLimits has a server that says what it was asked, and answers as the API does.
func TestLimits(t *testing.T) {
	var asked string
	answers := map[string]string{
		"GET /v1/limits":              `{"limits":[{"name":"api","limit":"3/1s","key":"ip","origin":"config","keys":2,"waiting":1}]}`,
		"GET /v1/limits/api/keys":     `{"name":"api","counts":{"allowed":7,"rejected":2},"since":"2026-11-24T12:00:00Z","top":[{"key":"ann","spent":3,"remaining":0,"reset":0.5,"free":1.5,"waiting":1,"counts":{"rejected":2}}]}`,
		"PUT /v1/limits/api":          `{"name":"api","limit":"5/1s","origin":"api","changed":"2026-11-24T12:00:00Z"}`,
		"POST /v1/limits/api/check":   `{"allowed":false,"limit":3,"remaining":0,"retry_after":0.25,"reset":1.5,"reason":"limited"}`,
		"POST /v1/limits/free/check":  `{"allowed":true,"retry_after":0,"reset":0}`,
		"POST /v1/limits/a%2Fb/check": `{"allowed":true}`,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		answer, ok := answers[r.Method+" "+r.URL.EscapedPath()]
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(Later([]byte(answer)))
	}))
	defer srv.Close()
	c, err := New(srv.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Limits(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "api" || list[0].Limit != "3/1s" || list[0].Keys != 2 || list[0].Origin != "config" {
		t.Errorf("%+v %v", list, err)
	}
	keys, err := c.LimitKeys(t.Context(), "api", 3, "spent")
	if err != nil || keys.Counts.Allowed != 7 || keys.Since.IsZero() || len(keys.Top) != 1 || *keys.Top[0].Spent != 3 || keys.Top[0].Counts.Rejected != 2 || asked != "GET /v1/limits/api/keys?by=spent&top=3 " {
		t.Errorf("%+v %v, asked %s", keys, err, asked)
	}
	if _, err := c.LimitKeys(t.Context(), "api", 0, ""); err != nil || asked != "GET /v1/limits/api/keys " {
		t.Errorf("%v, asked %s", err, asked)
	}
	l, err := c.PutLimit(t.Context(), "api", LimitDefinition{Limit: "5/s", On: []string{"poll"}})
	if err != nil || l.Limit != "5/1s" || l.Changed.IsZero() || asked != `PUT /v1/limits/api {"limit":"5/s","on":["poll"]}` {
		t.Errorf("%+v %v, asked %s", l, err, asked)
	}
	got, err := c.CheckLimit(t.Context(), "api", Check{Key: "u", Cost: 2, Peek: true})
	if want := (Checked{Limit: 3, RetryAfter: 250 * time.Millisecond, Reset: 1500 * time.Millisecond, Reason: "limited"}); err != nil || got != want || asked != `POST /v1/limits/api/check {"key":"u","cost":2,"peek":true}` {
		t.Errorf("%+v %v, asked %s", got, err, asked)
	}
	if got, err := c.CheckLimit(t.Context(), "free", Check{}); err != nil || got != (Checked{Allowed: true, Limit: -1, Remaining: -1}) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.CheckLimit(t.Context(), "a/b", Check{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.CheckLimit(ctx, "none", Check{}); parley.CodeOf(err) != parley.Unavailable || ctx.Err() != nil {
		t.Errorf("%v: a check is sent once", err)
	}
	if err := c.DeleteLimit(ctx, "api"); err == nil {
		t.Error("no error of a deletion that failed")
	}
}
