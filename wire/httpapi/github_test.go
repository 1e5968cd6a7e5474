package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/websocket"
)

// payloads are webhook payloads as GitHub sends them, one a line: those of a file
// beside the repository if there is one, else some that look alike.
func payloads(t *testing.T) [][]byte {
	t.Helper()
	raw, err := os.ReadFile("../../../shared/data/github-events.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		var b bytes.Buffer
		for i := range 329 {
			fmt.Fprintf(&b, `{"action":"opened","number":%d,"nested":{"url":"https:\/\/api.github.com\/repos\/o\/r","text":"caf\u00e9 \ud83d\ude00 é 😀 <b>&amp;</b>","list":[1e3,-0.5,null,true,{}],"long":%q},"empty":"" }`+"\n", i, strings.Repeat("Hello, \r\n\t world. ", i))
		}
		raw = b.Bytes()
	} else if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
	if len(lines) != 329 {
		t.Fatalf("%d payloads", len(lines))
	}
	return lines
}

// TestPayloadsComeOutAsTheyWentIn publishes real payloads and reads them by every
// pattern of the door: byte for byte, and in order.
func TestPayloadsComeOutAsTheyWentIn(t *testing.T) {
	want := payloads(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		live := r.socket("", "") // is there before, and gets them live
		longPolled := make(chan [][]byte)
		go func() { longPolled <- r.pollAll(len(want), "latest", "&wait=50s") }()
		synctest.Wait()
		r.publishLines(want)

		same := func(how string, got [][]byte) {
			t.Helper()
			if len(got) != len(want) {
				t.Errorf("%s: %d of %d", how, len(got), len(want))
				return
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("%s: %d is %.200q, want %.200q", how, i, got[i], want[i])
					return
				}
			}
		}
		same("short poll", r.pollAll(len(want), "earliest", ""))
		same("long poll", <-longPolled)
		same("SSE", r.streamAll(len(want), "", func(data []byte) []byte { return data }))
		same("SSE of whole events", r.streamAll(len(want), "&format=cloudevents", func(data []byte) []byte { return dataOf(t, data) }))
		same("live raw WebSocket", rawAll(live, len(want)))
		same("raw WebSocket", rawAll(r.socket("?after=earliest", ""), len(want)))
		framed := r.socket("?after=earliest", "Sec-WebSocket-Protocol: parley.v1\r\n")
		framed.frame()
		var got [][]byte
		for range want {
			_, text := framed.frame()
			var f struct{ Events []json.RawMessage }
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				t.Fatal(err)
			}
			for _, e := range f.Events {
				got = append(got, dataOf(t, e))
			}
		}
		same("framed WebSocket", got)
	})
}

func (r *rig) publishLines(lines [][]byte) {
	r.t.Helper()
	const step = 50 // requests of many events, within the limit of a body
	for len(lines) > 0 {
		n := min(step, len(lines))
		body := string(bytes.Join(lines[:n], []byte("\n")))
		if res, answer := r.do("POST", events, body, "Content-Type", "application/x-ndjson"); res.StatusCode != 201 {
			r.t.Fatalf("%d %s", res.StatusCode, answer)
		}
		lines = lines[n:]
	}
}

func dataOf(t *testing.T, event []byte) []byte {
	t.Helper()
	e, err := parley.ParseJSON(event)
	if err != nil {
		t.Fatal(err)
	}
	return e.Data
}

func (r *rig) pollAll(n int, after, query string) (got [][]byte) {
	for len(got) < n {
		_, body := r.do("GET", events+"?limit=70&after="+after+query, "")
		var p struct {
			Events []json.RawMessage
			Cursor string
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || len(p.Events) == 0 {
			r.t.Errorf("after %d: %v in %.200s", len(got), err, body)
			return got
		}
		for _, e := range p.Events {
			event, err := parley.ParseJSON(e)
			if err != nil {
				r.t.Error(err)
				return got
			}
			got = append(got, event.Data)
		}
		after = p.Cursor
	}
	return got
}

func (r *rig) streamAll(n int, query string, data func([]byte) []byte) (got [][]byte) {
	r.t.Helper()
	res, br := r.open(r.client, events+"?after=earliest"+query, "Accept", asStream)
	defer res.Body.Close()
	block(r.t, br)
	for range n {
		_, text, ok := strings.Cut(block(r.t, br), "\ndata: ")
		if !ok {
			r.t.Fatalf("%d has no data", len(got))
		}
		got = append(got, data([]byte(strings.TrimSuffix(text, "\n"))))
	}
	return got
}

func rawAll(p *peer, n int) (got [][]byte) {
	for range n {
		op, text := p.frame()
		if op != websocket.Text {
			p.t.Errorf("%d is a frame of kind %v", len(got), op)
		}
		got = append(got, []byte(text))
	}
	return got
}
