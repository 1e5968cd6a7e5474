package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPushRepeated: a command that added nothing does not say that it did.
func TestPushRepeated(t *testing.T) {
	keys := map[string]bool{} // of one command at a time
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		key := r.Header.Get("Idempotency-Key")
		if keys[key] {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		keys[key] = true
		_, _ = w.Write([]byte(`{"jobs":[{"id":"7"},{"id":"8","duplicate":"3"}]}`))
	}))
	defer srv.Close()
	push := []string{"queue", "push", "work", "a", "--server", srv.URL}
	for _, c := range []struct{ key, want string }{
		{"", "1 job added to work; 1 dropped, since such a job is there already\n"},
		{"monday", "1 job added to work, once under this key; 1 dropped, since such a job is there already\n"},
		{"monday", "0 jobs added to work; 2 were there already: the same command had been run under this key\n"},
	} {
		r := invoke(t, append(push, "--idempotency-key", c.key)...)
		if r.code != exitOK || r.err != c.want || r.out != "7\n3\n" {
			t.Errorf("%q: code %d, %s%s", c.key, r.code, r.out, r.err)
		}
	}
	if r := invoke(t, append(push, "--idempotency-key", "monday", "--json")...); !strings.Contains(r.out, `"replayed":2`) {
		t.Errorf("--json gives %s", r.out)
	}
}
