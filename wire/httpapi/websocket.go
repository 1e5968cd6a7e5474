package httpapi

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

func (a *API) websocketRoutes() []door.Route {
	return []door.Route{{
		Method: http.MethodGet, Path: "/v1/topics/{topic}/ws", Name: "websocket", Pattern: "websocket",
		Summary: "A WebSocket on a topic: each message sent is published, each event's data arrives as a message. With the subprotocol parley.v1, whole events arrive with their cursor.",
		Verb:    "read", On: "topic", Status: http.StatusSwitchingProtocols, Handle: a.websocket,
		Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Overloaded},
		Params: []door.Param{
			{Name: "after", In: "query", Type: "string", Default: "latest", Description: "a cursor, earliest, latest, or @ and an RFC 3339 time"},
			{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "also what is published to ~TOPIC"},
		},
		Example: `websocat 'ws://127.0.0.1:7275/v1/topics/chat/ws?after=earliest'`,
	}}
}

func (a *API) websocket(c *door.Call) error {
	name := c.R.PathValue("topic")
	from, err := pubsub.ParseFrom(c.R.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	ephemeral, err := boolParam(c.R, "ephemeral")
	if err != nil {
		return err
	}
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return errNoRoom
	}
	sub, err := a.opt.Hub.Subscribe(c.Context(), pubsub.Request{Topics: []string{name}, From: from, Ephemeral: ephemeral})
	if err != nil {
		return err
	}
	conn, err := websocket.Upgrade(c.W, c.R, a.socketOptions(c))
	if err != nil {
		sub.Close()
		return errAnswered
	}
	hijacked(c.W, http.StatusSwitchingProtocols)
	s := &socket{api: a, conn: conn, sub: sub, topic: name, who: c.Who, opening: conn.Subprotocol() == websocket.Framed}
	s.start()
	return nil
}

// errAnswered says that the request was refused already.
var errAnswered = &parley.Error{Code: parley.Invalid, Detail: "refused"}

func (a *API) socketOptions(c *door.Call) websocket.Options {
	trace := c.Trace
	return websocket.Options{
		Origins:      []string{"*"}, // Access has checked the origin
		Subprotocols: []string{websocket.Framed},
		Compression:  true,
		MaxMessage:   int(min(a.opt.Limits.Body, topic.LargestMaxEvent)),
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			door.WriteProblem(w, &door.StatusError{Status: status, Err: err}, trace)
		},
	}
}

// socket is one raw WebSocket. Its reader has a goroutine; it is written to by
// the pool.
type socket struct {
	api   *API
	conn  *websocket.Conn
	sub   *pubsub.Subscription
	topic string
	who   door.Identity
	task  door.Task
	timer door.Timer

	opening bool // the first frame is to be sent

	mu   sync.Mutex
	busy bool // a goroutine is writing buf
	over bool // the connection has ended
	beat bool
	buf  []byte
}

func (s *socket) start() {
	lives := s.api.opt.Lives
	s.task.Init(s.pump)
	s.timer.Init(s.ring)
	lives.Enter(s)
	lives.Wheel.Set(&s.timer, door.Heartbeat)
	go s.read()
	s.Wake()
}

// Wake implements pubsub.Waker.
func (s *socket) Wake() { s.api.opt.Lives.Pool.Wake(&s.task) }

func (s *socket) ring() {
	s.mu.Lock()
	s.beat = true
	s.mu.Unlock()
	s.Wake()
}

// read publishes what the peer sends, message by message, until it goes.
func (s *socket) read() {
	_ = s.conn.Run(s.api.opt.Context, s.publish) // how it ended was told to the peer
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.Wake()
}

func (s *socket) publish(op websocket.Opcode, payload []byte) error {
	now := s.api.opt.Now()
	if err := door.Decide(s.who, door.Action{Verb: "publish", On: s.topic}, now); err != nil {
		return closing(err)
	}
	_, _, err := s.api.opt.Topics.Publish(s.api.opt.Context, s.topic, []parley.Event{websocket.EventOf(op, payload)}, topic.PublishOptions{})
	return closing(err)
}

// closing says with which code and reason an error ends the socket: a raw socket
// has no other way to tell.
func closing(err error) error {
	if err == nil {
		return nil
	}
	code := websocket.CloseInternal
	switch parley.CodeOf(err) {
	case parley.Unauthenticated:
		code = websocket.CloseExpired
	case parley.Forbidden:
		code = websocket.ClosePermission
	case parley.TooLarge:
		code = websocket.CloseTooBig
	case parley.Invalid, parley.NotFound, parley.Unprocessable:
		code = websocket.CloseBadRequest
	case parley.Throttled:
		code = websocket.CloseTooMany
	case parley.Full, parley.Unavailable, parley.Overloaded, parley.Unknown:
		code = websocket.CloseTryLater
	case parley.Canceled:
		code = websocket.CloseShutdown
	}
	reason := ""
	var e *parley.Error
	if errors.As(err, &e) && code != websocket.CloseInternal {
		reason = e.Detail
	}
	return &websocket.CloseError{Code: code, Reason: reason[:min(len(reason), 120)], Err: err}
}

// pump is the task: it sends all that waits in one write.
func (s *socket) pump() {
	s.mu.Lock()
	busy, over, beat := s.busy, s.over, s.beat
	s.beat = s.beat && busy
	s.mu.Unlock()
	switch {
	case busy: // whoever writes wakes the task afterwards
		return
	case over:
		s.finish()
		return
	case beat:
		s.pulse()
	}
	if s.opening {
		s.opening = false
		if s.buf = websocket.AppendOpening(s.buf[:0], s.sub.Cursor(), s.sub.Streams()); !s.send() {
			return
		}
	}
	for {
		d, err := s.sub.Fetch(s.api.opt.Context, fillBytes)
		if err != nil {
			go s.close(closing(err))
			return
		}
		if d.Empty() {
			if s.sub.Park(s) {
				return
			}
			continue
		}
		if s.buf = s.conn.AppendDelivery(s.buf[:0], &d); !s.send() {
			return
		}
	}
}

// send writes buf, and says whether the pump may go on at once.
func (s *socket) send() bool {
	s.mu.Lock()
	s.busy = true
	s.mu.Unlock()
	finished, err := s.conn.Start(s.buf, door.TryWrite, s.sent)
	if !finished {
		return false
	}
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	return err == nil // else the reader ends, and wakes the task
}

// sent is the end of a write that had to wait.
func (s *socket) sent(error) {
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.Wake()
}

// pulse keeps the connection alive, or ends it when the peer shows no life.
func (s *socket) pulse() {
	what, next := s.conn.Beat(s.api.opt.Now(), websocket.Pulse{})
	switch what {
	case websocket.BeatPing:
		go func() { _ = s.conn.Ping() }() // may wait for the socket; its failure ends the reader
	case websocket.BeatDead:
		go s.close(&websocket.CloseError{Code: websocket.CloseNoPong, Reason: "no sign of life"})
		return
	}
	s.api.opt.Lives.Wheel.Set(&s.timer, max(time.Until(next), time.Second))
}

// close ends the connection with its closing handshake.
func (s *socket) close(err error) {
	var end *websocket.CloseError
	if errors.As(err, &end) {
		_ = s.conn.Close(end.Code, end.Reason) // the reader sees how it went
	}
}

// Drain implements door.Farewell.
func (s *socket) Drain() {
	go s.close(&websocket.CloseError{Code: websocket.CloseShutdown, Reason: "the server is stopping; come back"})
}

func (s *socket) finish() {
	s.api.opt.Lives.Wheel.Stop(&s.timer)
	if s.api.opt.Lives.Leave(s) {
		s.sub.Close()
	}
}
