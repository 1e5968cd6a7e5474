package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// A copy that ends before its end is an error, whoever cut it.
func TestSnapshot(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "Bearer whole":
			_, _ = io.WriteString(w, r.URL.Path)
		case "Bearer cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "a beginning")
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"type":"urn:parley:error:forbidden","field":"Authorization","fix":"ask"}`)
		}
	}))
	defer server.Close()
	get := func(token string) (string, error) {
		c, err := client.New(server.URL, client.Options{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.Snapshot(t.Context())
		if err != nil {
			return "", err
		}
		defer body.Close()
		all, err := io.ReadAll(body)
		return string(all), err
	}
	if got, err := get("whole"); got != "/v1/snapshot" || err != nil {
		t.Errorf("gives %q, %v", got, err)
	}
	if got, err := get("cut"); err == nil {
		t.Errorf("a cut one gives %q", got)
	}
	if _, err := get(""); parley.CodeOf(err) != parley.Forbidden {
		t.Errorf("without a token: %v", err)
	}
	server.Close()
	if _, err := get("whole"); parley.CodeOf(err) != parley.Unavailable {
		t.Errorf("without a server: %v", err)
	}
}
