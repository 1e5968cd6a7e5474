package httpapi

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func TestOneCursorForPollAndSSE(t *testing.T) {
	r := newRig(t, nil)
	for _, data := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
		if res, body := r.do("POST", "/v1/topics/orders/events", data, "Content-Type", "application/json"); res.StatusCode != 201 {
			t.Fatalf("publish: %d %s", res.StatusCode, body)
		}
	}
	_, body := r.do("GET", "/v1/topics/orders/events?after=earliest&limit=1", "")
	p := parsePage(t, body)
	if len(p.Events) != 1 || string(p.Events[0].Data) != `{"n":1}` || !p.More {
		t.Fatalf("first page: %s", body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://localhost/v1/topics/orders/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", p.Cursor)
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got []string
	var last string
	lines := bufio.NewScanner(res.Body)
	for len(got) < 2 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			got = append(got, data)
		}
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			last = id
		}
	}
	if len(got) != 2 || got[0] != `{"n":2}` || got[1] != `{"n":3}` {
		t.Fatalf("stream: %v", got)
	}
	_, body = r.do("GET", "/v1/topics/orders/events?after="+last, "")
	if p = parsePage(t, body); len(p.Events) != 0 || p.Cursor != last {
		t.Fatalf("after the stream's last id: %s, want an empty page at %s", body, last)
	}
}

func TestLongPollIsAnsweredByAPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("POST", "/v1/topics/a/events", "x")
		_, br := r.raw("GET /v1/topics/a/events?wait=50s HTTP/1.1\r\nHost: parley.test\r\n\r\n")
		synctest.Wait()
		if r.lives.Count() != 1 {
			t.Fatal("not held")
		}
		r.do("POST", "/v1/topics/a/events", `{"hello":"you"}`, "Content-Type", "application/json")
		res, body := r.response(br, "GET")
		if p := parsePage(t, body); p.data() != `{"hello":"you"}` || p.New != 1 || res.Header.Get("Connection") != "keep-alive" {
			t.Fatalf("%v %+v", res.Header, p)
		}
	})
}
