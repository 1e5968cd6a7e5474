package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// maxAnswer bounds what is read of an answer: a page of events, and more than one.
const maxAnswer = 16 << 20

// member reads in a group as a plain HTTP client does, with the three things that such
// a client keeps.
type member struct {
	http  *http.Client
	group string // its URL
	token string

	id         string
	generation uint64
	cursor     string
}

// fetched is an answer with events.
type fetched struct {
	Events []struct {
		ID string `json:"id"`
	} `json:"events"`
	Cursor     string `json:"cursor"`
	Generation uint64 `json:"generation"`
	Rebalance  bool   `json:"rebalance"`
}

// join makes it a member of its group, from the earliest event on.
func (m *member) join(ctx context.Context, topic string) error {
	var a struct {
		Member     string `json:"member"`
		Generation uint64 `json:"generation"`
	}
	in := map[string]any{"topics": []string{topic}, "client": "lab"}
	if err := m.do(ctx, http.MethodPost, "/join", in, &a); err != nil {
		return err
	}
	m.id, m.generation = a.Member, a.Generation
	return nil
}

// events waits for events, or for another generation.
func (m *member) events(ctx context.Context) (fetched, error) {
	v := url.Values{"member": {m.id}, "generation": {strconv.FormatUint(m.generation, 10)}, "wait": {"20s"}}
	if m.cursor != "" {
		v.Set("after", m.cursor)
	}
	var a fetched
	if err := m.do(ctx, http.MethodGet, "/events?"+v.Encode(), nil, &a); err != nil {
		return a, err
	}
	m.generation = a.Generation
	if a.Cursor != "" {
		m.cursor = a.Cursor
	}
	return a, nil
}

// commit makes durable how far it is. Error: Conflict, when the group has been moved
// meanwhile.
func (m *member) commit(ctx context.Context) error {
	return m.do(ctx, http.MethodPost, "/commit", map[string]any{"member": m.id, "generation": m.generation, "cursor": m.cursor}, nil)
}

// back moves the group to the beginning.
func (m *member) back(ctx context.Context) error {
	return m.do(ctx, http.MethodPost, "/seek", map[string]any{"to": "earliest"}, nil)
}

// do sends a request and decodes the answer into out, unless that is nil.
func (m *member) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, m.group+path, body)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if m.token != "" {
		req.Header.Set("Authorization", "Bearer "+m.token)
	}
	res, err := m.http.Do(req)
	if err != nil {
		return parley.Errorf(parley.Unavailable, "the server cannot be reached: %w", err)
	}
	defer res.Body.Close() // what was read counts
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return parley.Errorf(parley.Unavailable, "an answer breaks off: %w", err)
	case res.StatusCode >= 300:
		return refusal(res.StatusCode, text)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return parley.Errorf(parley.Internal, "an answer is not what it should be: %w", err)
	}
	return nil
}

// refusal is the error in a problem document (RFC 9457).
func refusal(status int, body []byte) error {
	var p struct{ Type, Detail, Field, Fix string }
	if err := json.Unmarshal(body, &p); err != nil {
		p.Detail = "the server answers " + strconv.Itoa(status)
	}
	code, _ := parley.CodeNamed(p.Type[strings.LastIndexByte(p.Type, ':')+1:])
	return &parley.Error{Code: code, Field: p.Field, Detail: p.Detail, Fix: p.Fix}
}
