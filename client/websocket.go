package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/parleyhq/parley"
	ws "github.com/parleyhq/parley/pattern/websocket"
)

// pingEvery finds a connection that died without a word; it is above the server's
// own interval, so that a healthy connection has seldom need of it.
const pingEvery = 40 * time.Second

// overWebSocket is one connection.
func (c *Client) overWebSocket(ctx context.Context, s *session) error {
	conn, err := c.dial(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxAnswer)
	stop := keepAlive(ctx, conn)
	defer stop()
	var places Places
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return closed(err)
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			return misread(err, len(data))
		}
		if err := s.take(f, &places); err != nil {
			if errors.Is(err, stopped) {
				_ = conn.Close(websocket.StatusNormalClosure, "") // the server may be gone first
			}
			return err
		}
	}
}

// misread tells a frame that is none from one of which the end is missing:
// coder/websocket takes a connection that breaks inside of a frame for the
// frame's end.
func misread(err error, size int) error {
	var bad *json.SyntaxError
	if errors.As(err, &bad) && bad.Offset >= int64(size) {
		return &parley.Error{Code: parley.Unavailable, Detail: "the connection was lost within a frame", Err: err}
	}
	return parley.Errorf(parley.Internal, "a frame of the server: %w", err)
}

func (c *Client) dial(ctx context.Context, s *session) (*websocket.Conn, error) {
	q := url.Values{}
	if s.cursor != "" {
		q.Set("after", s.cursor)
	}
	if s.Ephemeral {
		q.Set("ephemeral", "true")
	}
	conn, err := c.upgrade(ctx, c.url(q, "v1", "topics", s.Topics[0], "ws"), ws.Framed)
	if err == nil && conn.Subprotocol() != ws.Framed {
		_ = conn.CloseNow()
		return nil, &parley.Error{Code: parley.Unsupported, Detail: "the server does not speak " + ws.Framed, Fix: "is this a Parley server of this version?"}
	}
	return conn, err
}

// upgrade makes a WebSocket.
func (c *Client) upgrade(ctx context.Context, url string, subprotocols ...string) (*websocket.Conn, error) {
	o := &websocket.DialOptions{HTTPClient: c.opt.HTTP, HTTPHeader: http.Header{}, Subprotocols: subprotocols}
	c.authorize(o.HTTPHeader)
	conn, res, err := websocket.Dial(ctx, url, o)
	switch {
	case err == nil:
		return conn, nil
	case res != nil && res.StatusCode != http.StatusSwitchingProtocols:
		body := make([]byte, 4096) // coder/websocket keeps the first KiB of a refusal
		n, _ := res.Body.Read(body)
		return nil, problem(res, body[:n])
	}
	return nil, noStream(c.base.Host, err)
}

// take hands a frame's events to the loop.
func (s *session) take(f frame, places *Places) error {
	if f.Notice != "" {
		return s.give(Received{Notice: f.Notice})
	}
	if len(f.Events) == 0 && f.Cursor == "" {
		return nil // of a kind that a later server has
	}
	if len(f.Events) == 0 { // the opening: the place before any event
		s.cursor, s.alive = f.Cursor, true
		places.Open(f.Cursor, f.Streams, s.Topics)
		return nil
	}
	for i, raw := range f.Events {
		e, err := parley.ParseJSON(raw)
		if err != nil {
			return parley.Errorf(parley.Internal, "an event of the server: %w", err)
		}
		r := Received{Event: e}
		if i == len(f.Events)-1 && f.Cursor != "" {
			r.Cursor = places.After(f.Topic, f.Partition, f.Cursor)
		}
		if err := s.give(r); err != nil {
			return err
		}
	}
	return nil
}

// keepAlive pings while the connection is quiet; coder/websocket closes it when no
// pong comes.
func keepAlive(ctx context.Context, conn *websocket.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, pingEvery) {
			ping, cancel := context.WithTimeout(ctx, pingEvery/4)
			err := conn.Ping(ping)
			cancel()
			if err != nil && ctx.Err() == nil {
				_ = conn.CloseNow() // the reader ends
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// closed says what the end of a connection means: its code says by its range
// whether coming back helps.
func closed(err error) error {
	var end websocket.CloseError
	if !errors.As(err, &end) {
		return &parley.Error{Code: parley.Unavailable, Detail: "the connection was lost", Err: err}
	}
	code := parley.Unavailable
	if !ws.Reconnect(ws.CloseCode(end.Code)) {
		if code = parley.Invalid; ws.CloseCode(end.Code) == ws.ClosePermission {
			code = parley.Forbidden
		}
	}
	return &parley.Error{Code: code, Detail: "the server closed the connection: " + end.Error()}
}
