package client

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// Later gives an answer as a later server might: with a member in each object that no
// client knows of. Events, and what users wrote, are theirs.
func Later(answer []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return answer // it is no JSON
	}
	b, err := json.Marshal(extended(v))
	if err != nil {
		panic(err)
	}
	return b
}

func extended(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = extended(v[i])
		}
	case map[string]any:
		if v["specversion"] != nil {
			return v
		}
		for name, member := range v {
			if name != "data" && name != "schema" {
				v[name] = extended(member)
			}
		}
		v["x_later"] = map[string]any{"a": []any{1, nil}}
	}
	return v
}

// LaterTransport makes the server behind a transport a later one.
func LaterTransport(t http.RoundTripper) http.RoundTripper { return laterTransport{t} }

type laterTransport struct{ http.RoundTripper }

func (t laterTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(req)
	if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	body = Later(body)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return res, err
}

func TestLaterIsAnotherAnswer(t *testing.T) {
	const in, want = `{"list":[{"n":1}],"event":{"specversion":"1.0"}}`, `{"event":{"specversion":"1.0"},"list":[{"n":1,"x_later":{"a":[1,null]}}],"x_later":{"a":[1,null]}}`
	if got := string(Later([]byte(in))); got != want {
		t.Error(got)
	}
}

// A frame of a kind that this client does not know leaves its place alone.
func TestFramesOfALaterServer(t *testing.T) {
	s := &session{cursor: "here"}
	if err := s.take(frame{}, new(Places)); err != nil || s.cursor != "here" {
		t.Errorf("it goes on from %q, %v", s.cursor, err)
	}
}
