package patterntest_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strconv"

	"github.com/coder/websocket"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/patterntest"
)

// socket is a WebSocket of another implementation.
type socket struct{ conn *websocket.Conn }

func (h overHTTP) Dial(ctx context.Context, name, after string, framed bool) (patterntest.Socket, error) {
	s, err := h.dial(ctx, name, url.Values{"after": {after}}, framed)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (h overHTTP) dial(ctx context.Context, name string, q url.Values, framed bool) (*socket, error) {
	o := &websocket.DialOptions{HTTPClient: h.client, CompressionMode: websocket.CompressionNoContextTakeover}
	if framed {
		o.Subprotocols = []string{"parley.v1"}
	}
	conn, res, err := websocket.Dial(ctx, topicURL(name, "ws", q), o)
	switch {
	case err == nil:
		conn.SetReadLimit(1 << 20)
		return &socket{conn}, nil
	case res != nil && res.StatusCode >= 300:
		return nil, problem(res.Body)
	}
	return nil, broken(ctx, err)
}

// Send implements patterntest.Socket.
func (s *socket) Send(ctx context.Context, text bool, message []byte) error {
	kind := websocket.MessageBinary
	if text {
		kind = websocket.MessageText
	}
	return s.conn.Write(ctx, kind, message)
}

// Receive implements patterntest.Socket.
func (s *socket) Receive(ctx context.Context) (bool, []byte, error) {
	kind, message, err := s.conn.Read(ctx)
	return kind == websocket.MessageText, message, err
}

// Close implements patterntest.Socket.
func (s *socket) Close() { _ = s.conn.CloseNow() }

// sockets subscribes by the framed subprotocol.
type sockets struct{ overHTTP }

func (s sockets) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return func(yield func(patterntest.Received, error) bool) {
		fail := func(err error) { yield(patterntest.Received{}, err) }
		conn, err := s.dial(ctx, q.Topics[0], url.Values{"after": {q.From}, "ephemeral": {strconv.FormatBool(q.Ephemeral)}}, true)
		if err != nil {
			fail(err)
			return
		}
		defer conn.Close()
		places := places{}
		for {
			_, message, err := conn.Receive(ctx)
			if err != nil {
				fail(closed(ctx, err))
				return
			}
			got, err := places.read(message)
			if err != nil {
				fail(err)
				return
			}
			if !yield(got, nil) {
				return
			}
		}
	}
}

// closed tells a close that is for good from a connection that was lost.
func closed(ctx context.Context, err error) error {
	if code := int(websocket.CloseStatus(err)); code >= 3500 && code < 4000 {
		return parley.Errorf(parley.Invalid, "closed with %d: %w", code, err)
	}
	return broken(ctx, err)
}

// places keeps the opening's cursor and the newest of each stream: together they
// are where the reader is.
type places struct {
	opening string
	newest  map[string]string
}

func (p *places) open(cursor string) patterntest.Received {
	p.opening, p.newest = cursor, map[string]string{}
	return patterntest.Received{Place: true, Cursor: cursor}
}

func (p *places) behind(name string, partition int, cursor string) string {
	if cursor == "" {
		return "" // not stored
	}
	p.newest[name+"/"+strconv.Itoa(partition)] = cursor
	joined := p.opening
	for _, cursor := range p.newest {
		joined += "," + cursor
	}
	return joined
}

func (p *places) read(message []byte) (got patterntest.Received, err error) {
	var f struct {
		Topic          string
		Partition      int
		Events         []json.RawMessage
		Cursor, Notice string
	}
	if err := json.Unmarshal(message, &f); err != nil {
		// The other implementation takes a connection that breaks inside of a frame
		// for the frame's end.
		return got, parley.Errorf(parley.Unavailable, "a frame: %w", err)
	}
	switch {
	case f.Notice != "":
		got.Notice = f.Notice
		return got, nil
	case len(f.Events) == 0:
		return p.open(f.Cursor), nil
	}
	got.Event, err = parley.ParseJSON(f.Events[0])
	got.Cursor = p.behind(f.Topic, f.Partition, f.Cursor)
	return got, err
}
