// Package interop holds the server against other people's clients: whatever a
// publisher sends comes out of each of them byte for byte and in order, and a
// cursor that one of them got lets any other go on.
package interop

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// received is one event as a client got it.
type received struct {
	data   string
	cursor string // after this event; "" where the client does not learn it
}

// client is one way to read: at least count events of a topic after a cursor.
type client struct {
	name    string
	read    func(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error)
	cursors bool // it learns the cursor after its last event
	held    bool // it waits on one connection for what comes
	framed  bool // it gets whole events, whatever their data
}

// item is what arrived at a peer, before anything was made of it.
type item struct {
	Body   []byte // base64 in JSON
	Text   bool
	Cursor string
}

// clients gives all that are compared.
func clients(t *testing.T) []client {
	t.Helper()
	python := startPeer(t, rig.Python(t), "peer.py")
	node := startPeer(t, rig.Node(t), "--no-warnings", "peer.mjs")
	all := []client{
		{name: "coder/websocket", read: readSocket, held: true},
		{name: "coder/websocket framed", read: readFrames, cursors: true, held: true, framed: true},
		{name: "curl", read: readCurl, cursors: true, held: true},
		{name: "grpc", read: readGRPC, cursors: true, held: true, framed: true},
	}
	for _, p := range []struct {
		peer   *peer
		name   string
		decode func([]item) ([]received, error)
		held   bool
	}{
		{python, "requests", pages, false},
		{python, "requests held", pages, true},
		{python, "websockets", messages, true},
		{python, "websockets framed", frames, true},
		{node, "fetch held", pages, true},
		{node, "eventsource", messages, true},
		{node, "undici eventsource", messages, true},
		{node, "ws", messages, true},
		{node, "ws framed", frames, true},
		{node, "undici websocket", messages, true},
		{node, "undici websocket framed", frames, true},
	} {
		raw := p.name == "websockets" || p.name == "ws" || p.name == "undici websocket"
		all = append(all, client{
			name: p.name, cursors: !raw, held: p.held, framed: !raw && !strings.Contains(p.name, "eventsource"),
			read: func(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error) {
				items, err := p.peer.ask(ctx, map[string]any{"client": p.name, "url": s.URL, "topic": topic, "after": after, "count": count})
				if err != nil {
					return nil, err
				}
				return p.decode(items)
			},
		})
	}
	return all
}

// messages takes each item for the data of an event.
func messages(items []item) ([]received, error) {
	var all []received
	for _, i := range items {
		all = append(all, received{string(i.Body), i.Cursor})
	}
	return all, nil
}

// pages takes each item for the answer to a poll.
func pages(items []item) ([]received, error) { return several(items) }

// frames takes each item for a message of parley.v1; the first is the opening.
func frames(items []item) ([]received, error) { return several(items) }

func several(items []item) ([]received, error) {
	var all []received
	for _, i := range items {
		more, err := unpack(i.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// unpack reads the events of a page or of a frame. Its cursor is behind the last.
func unpack(body []byte) ([]received, error) {
	var page struct {
		Events []json.RawMessage
		Cursor string
		Notice string
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("%.200s: %w", body, err)
	}
	if page.Notice != "" {
		return nil, errors.New("the server says " + page.Notice)
	}
	var all []received
	for _, raw := range page.Events {
		data, err := dataOf(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, received{data: data})
	}
	if len(all) > 0 {
		all[len(all)-1].cursor = page.Cursor
	}
	return all, nil
}

// dataOf gives the bytes of an event's data (CloudEvents JSON format §3.1).
func dataOf(event []byte) (string, error) {
	var e struct {
		DataContentType string
		Data            json.RawMessage
		DataBase64      string `json:"data_base64"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return "", fmt.Errorf("%.200s: %w", event, err)
	}
	if e.DataBase64 != "" {
		b, err := base64.StdEncoding.DecodeString(e.DataBase64)
		return string(b), err
	}
	if strings.HasSuffix(e.DataContentType, "json") || e.DataContentType == "" {
		return string(e.Data), nil
	}
	var text string
	err := json.Unmarshal(e.Data, &text)
	return text, err
}

// peer is a process that reads as it is asked to.
type peer struct {
	in io.WriteCloser

	mu   sync.Mutex
	next int
	open map[int]chan<- reply
	end  error
}

type reply struct {
	ID    int
	Items []item
	Error string
}

// startPeer starts one, and stops it when the test ends.
func startPeer(t *testing.T, name string, args ...string) *peer {
	t.Helper()
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{in: in, open: map[int]chan<- reply{}}
	read := make(chan struct{})
	go func() { defer close(read); p.listen(out) }()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it may hold connections that were given up
		<-read
		_ = cmd.Wait() // it was killed
		if t.Failed() && errs.Len() > 0 {
			t.Logf("%s %v: %s", name, args, &errs)
		}
	})
	return p
}

// listen hands out the replies until the process ends.
func (p *peer) listen(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		var a reply
		line, err := r.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &a)
		}
		p.mu.Lock()
		if err != nil {
			p.end = fmt.Errorf("the peer ended: %w", err)
			for _, c := range p.open {
				close(c)
			}
			clear(p.open)
			p.mu.Unlock()
			return
		}
		if c := p.open[a.ID]; c != nil {
			c <- a
			delete(p.open, a.ID)
		}
		p.mu.Unlock()
	}
}

// ask sends a request and waits for the answer to it.
func (p *peer) ask(ctx context.Context, request map[string]any) ([]item, error) {
	c := make(chan reply, 1)
	p.mu.Lock()
	if p.end != nil {
		p.mu.Unlock()
		return nil, p.end
	}
	p.next++
	request["id"] = p.next
	p.open[p.next] = c
	line, err := json.Marshal(request)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a, ok := <-c:
		if !ok {
			return nil, errors.New("the peer ended before it answered")
		}
		if a.Error != "" {
			return nil, errors.New(a.Error)
		}
		return a.Items, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
