package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// follower reads over crash after crash: when its connection ends it comes back
// with its cursor.
type follower struct {
	name   string
	topics []string
	// connect reads until the connection ends.
	connect func(ctx context.Context, f *follower) error
	api     *api
	cursor  string // touched by connect alone

	mu    sync.Mutex
	got   []stored // since they were last taken
	total int
	conns int
	wrong error // what a reader must never be told
	news  chan struct{}
	seen  *sequence
}

func followers(a *api) []*follower {
	all := []*follower{
		{name: "server-sent events", topics: topicNames(), connect: overSSE},
		{name: "WebSocket", topics: []string{"orders"}, connect: overSocket},
		{name: "long polling", topics: []string{"metrics"}, connect: overLongPoll},
		{name: "gRPC", topics: []string{"audit", "traces", "orders"}, connect: overStream},
	}
	for _, f := range all {
		f.api, f.news, f.seen = a, make(chan struct{}, 1), newSequence(f.topics...)
	}
	return all
}

// run connects again and again.
func (f *follower) run(ctx context.Context) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		err := f.connect(ctx, f)
		var refused *refusal
		if errors.As(err, &refused) && !refused.again() {
			f.fail(err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

func (f *follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong == nil {
		f.wrong = err
	}
}

// take takes an event, and goes on behind it.
func (f *follower) take(e stored, cursor string) {
	f.mu.Lock()
	f.got = append(f.got, e)
	f.total++
	f.mu.Unlock()
	if cursor != "" {
		f.cursor = cursor
	}
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *follower) connected() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns++
}

// catchUp waits until the follower has seen all that there is, and holds what it
// was given to it.
func (f *follower) catchUp(ctx context.Context, s *shelf) error {
	want := 0
	for at, ids := range s.order {
		for _, topic := range f.topics {
			if at.topic == topic {
				want += len(ids)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		f.mu.Lock()
		got, total, wrong := f.got, f.total, f.wrong
		f.got = nil
		f.mu.Unlock()
		if wrong != nil {
			return fmt.Errorf("%s: %w", f.name, wrong)
		}
		for _, e := range got {
			if err := f.seen.next(s, e.id, e.data); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		if total == want {
			return f.seen.complete(s)
		}
		select {
		case <-f.news:
		case <-ctx.Done():
			return fmt.Errorf("%s: it was given %d events of %d within 30 s", f.name, total, want)
		}
	}
}

// overSSE is EventSource by hand, over all topics at once.
func overSSE(ctx context.Context, f *follower) error {
	q := url.Values{"topic": f.topics, "format": {"cloudevents"}}
	if f.cursor == "" {
		q.Set("after", "earliest")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/sse?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
	}
	res, err := f.api.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &refusal{res.StatusCode, "", res.Status}
	}
	f.connected()
	lines := bufio.NewReader(res.Body)
	name, data, id := "", "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err // what has no end yet is not an event
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			id = value
		case "":
			if line != "\n" {
				continue // a comment
			}
			if name != "" {
				f.fail(fmt.Errorf("an event %q: %s", name, data))
			}
			if err := f.dispatch(data, id); err != nil {
				return err
			}
			name, data = "", ""
		}
	}
}

func (f *follower) dispatch(data, id string) error {
	if data == "" {
		f.cursor = id // the priming id
		return nil
	}
	e, err := parseEvent([]byte(data))
	if err != nil {
		f.fail(err)
		return err
	}
	f.take(e, id)
	return nil
}

// overSocket reads frames with coder/websocket.
func overSocket(ctx context.Context, f *follower) error {
	after := f.cursor
	if after == "" {
		after = "earliest"
	}
	conn, res, err := websocket.Dial(ctx, base+"/v1/topics/"+f.topics[0]+"/ws?"+url.Values{"after": {after}}.Encode(),
		&websocket.DialOptions{HTTPClient: f.api.http, Subprotocols: []string{"parley.v1"}})
	if err != nil {
		if res != nil {
			return &refusal{res.StatusCode, "", res.Status}
		}
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	f.connected()
	at := vector{}
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var frame struct {
			Topic, Notice, Cursor string
			Partition             int
			Events                []json.RawMessage
		}
		if err := json.Unmarshal(message, &frame); err != nil || frame.Notice != "" {
			f.fail(fmt.Errorf("the frame %.200s (%w)", message, err))
			return err
		}
		if len(frame.Events) == 0 {
			at.open(frame.Cursor)
			f.cursor = frame.Cursor
			continue
		}
		joined := at.after(lane{frame.Topic, frame.Partition}, frame.Cursor)
		for i, raw := range frame.Events {
			e, err := parseEvent(raw)
			if err != nil {
				f.fail(err)
				return err
			}
			if i == len(frame.Events)-1 {
				f.take(e, joined)
			} else {
				f.take(e, "")
			}
		}
	}
}

// overLongPoll holds one request after the other.
func overLongPoll(ctx context.Context, f *follower) error {
	for {
		q := url.Values{"after": {f.cursor}, "limit": {"300"}, "wait": {"20s"}}
		if f.cursor == "" {
			q.Set("after", "earliest")
		}
		got, err := f.api.poll(ctx, f.topics[0], q)
		if err != nil {
			return err
		}
		f.connected()
		for _, e := range got.events {
			f.take(e, "")
		}
		f.cursor = got.cursor
	}
}

// overStream subscribes by gRPC.
func overStream(ctx context.Context, f *follower) error {
	cursor := f.cursor
	defer func() { f.cursor = cursor }()
	return subscribe(ctx, f.api, f.topics, &cursor, f.connected, func(e stored) (bool, error) {
		f.take(e, "")
		return true, nil
	})
}
