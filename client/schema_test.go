package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parleyhq/parley"
)

// TestSchemas has a server that says what it was asked, and answers as the API does.
func TestSchemas(t *testing.T) {
	var asked string
	one := `{"topic":"a","type":"t","version":2,"compatibility":"full","created":"2026-11-24T12:00:00Z","schema":{"type":"object"}}`
	answers := map[string]string{
		"PUT /v1/topics/a/schema":            one,
		"GET /v1/topics/a/schema":            one,
		"GET /v1/topics/a/schema/versions/1": one,
		"GET /v1/topics/a/schema/versions":   `{"versions":[` + one + `,` + one + `]}`,
		"GET /v1/topics/a/schemas":           `{"schemas":[` + one + `]}`,
		"POST /v1/topics/a/schema/check":     `{"compatible":false,"conflicts":[{"direction":"forward","version":1,"path":"/a","keyword":"a","text":"x","undecided":true}],"valid":false,"failure":{"path":"/b","text":"y"}}`,
		"DELETE /v1/topics/a/schema":         ``,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		answer, ok := answers[r.Method+" "+r.URL.EscapedPath()]
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case answer == "":
			w.WriteHeader(http.StatusNoContent)
		}
		_, _ = w.Write(Later([]byte(answer)))
	}))
	defer srv.Close()
	c, err := New(srv.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	want := func(request string, err error) {
		t.Helper()
		if err != nil || asked != request {
			t.Errorf("asked %s, %v; want %s", asked, err, request)
		}
	}
	s, err := c.PutSchema(ctx, "a", "t/x", []byte(`{"type":"object"}`), "full")
	want(`PUT /v1/topics/a/schema?type=t%2Fx {"schema":{"type":"object"},"compatibility":"full"}`, err)
	if s.Version != 2 || s.Compatibility != "full" || string(s.Schema) != `{"type":"object"}` || s.Created.IsZero() {
		t.Errorf("%+v", s)
	}
	_, err = c.Schema(ctx, "a", "", 0)
	want("GET /v1/topics/a/schema ", err)
	_, err = c.Schema(ctx, "a", "t", 1)
	want("GET /v1/topics/a/schema/versions/1?type=t ", err)
	list, err := c.SchemaVersions(ctx, "a", "")
	want("GET /v1/topics/a/schema/versions ", err)
	if len(list) != 2 {
		t.Errorf("%+v", list)
	}
	list, err = c.Schemas(ctx, "a")
	want("GET /v1/topics/a/schemas ", err)
	if len(list) != 1 || list[0].Type != "t" {
		t.Errorf("%+v", list)
	}
	got, err := c.CheckSchema(ctx, "a", "", SchemaCheck{Data: []byte(`1`)})
	want(`POST /v1/topics/a/schema/check {"data":1}`, err)
	if *got.Compatible || *got.Valid || got.Failure.Path != "/b" || len(got.Conflicts) != 1 || !got.Conflicts[0].Undecided {
		t.Errorf("%+v", got)
	}
	err = c.DeleteSchema(ctx, "a", "t")
	want("DELETE /v1/topics/a/schema?type=t ", err)
	if _, err := c.PutSchema(ctx, "a", "", []byte(`{`), ""); parley.CodeOf(err) != parley.Invalid {
		t.Error(err)
	}
}
