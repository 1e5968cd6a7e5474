package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
)

// served runs `serve` in memory, and gives its URL and what
// runs other commands against it.
func served(t *testing.T) (url string, command func(args ...string) result) {
	t.Helper()
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(context.Background()) // ended by Cleanup, before the program is waited for
	out := &announcing{wrote: make(chan string, 8)}
	server := &app{in: strings.NewReader(""), out: out, err: &bytes.Buffer{}}
	code := make(chan int, 1)
	go func() {
		code <- server.run(ctx, []string{"serve", "--data", ":memory:", "--listen", "127.0.0.1:0", "--grpc", "off", "--drain", "0s", "--json"})
	}()
	at, _ := parse(t, <-out.wrote).Result.(map[string]any)
	url, _ = at["http"].(string)
	t.Cleanup(func() {
		stop()
		if c := <-code; c != exitOK {
			t.Errorf("serve ends with %d", c)
		}
	})
	return url, func(args ...string) result {
		t.Helper()
		var out, err bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &err, env: []string{"PARLEY_URL=" + url, "PATH=/usr/bin:/bin"}}
		c := a.run(t.Context(), args)
		return result{c, out.String(), err.String()}
	}
}

// put puts a resource of the API.
func put(t *testing.T, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= 300 {
		t.Fatalf("PUT %s: %s", url, res.Status)
	}
}
