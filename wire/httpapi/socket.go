package httpapi

import (
	"errors"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

// socket is one raw WebSocket. Its reader has a goroutine; it is written to by
// the pool.
type socket struct {
	api   *API
	conn  *websocket.Conn
	sub   *pubsub.Subscription
	topic string
	asks  *door.Request // of each message
	leave func()        // frees the place inside of the connection
	task  door.Task
	timer door.Timer

	opening bool // the first frame is to be sent

	mu   sync.Mutex
	busy bool // a goroutine is writing buf
	over bool // the connection has ended
	beat bool
	buf  *[]byte // while it is written
}

func (s *socket) start() {
	lives := s.api.opt.Lives
	s.task.Init(s.pump)
	s.timer.Init(s.ring)
	lives.Enter(s)
	lives.Wheel.Set(&s.timer, s.until(door.Heartbeat))
	go s.read()
	s.Wake()
}

// until is d, or what is left of the token if that is less, but at least a second.
func (s *socket) until(d time.Duration) time.Duration {
	if s.asks.Who.Expires.IsZero() {
		return d
	}
	return max(time.Second, min(d, s.asks.Who.Expires.Sub(s.api.opt.Now())))
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

// publish takes one message through the door, as a request of its own.
func (s *socket) publish(op websocket.Opcode, payload []byte) error {
	a := s.api
	if err := door.Decide(s.asks.Who, door.Action{Verb: "publish", On: s.topic}, a.opt.Now()); err != nil {
		return closing(err)
	}
	release, err := a.opt.Admission.Admit(a.opt.Context, s.asks)
	if err != nil {
		return closing(err)
	}
	defer release()
	_, _, err = a.opt.Topics.Publish(a.opt.Context, s.topic, []parley.Event{websocket.EventOf(op, payload)}, topic.PublishOptions{})
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
	case parley.NotFound: // the topic was deleted: a new handshake tells what is there now
		code = websocket.CloseGoingAway
	case parley.Invalid, parley.Unprocessable:
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
		reason = e.Detail // which is cut to what a close frame holds
	}
	return &websocket.CloseError{Code: code, Reason: reason, Err: err}
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
	case beat && !s.pulse():
		return
	}
	if err := door.Decide(s.asks.Who, door.Action{Verb: "read", On: s.topic}, s.api.opt.Now()); err != nil {
		go s.close(closing(err)) // the token has expired
		return
	}
	for s.push() {
		s.release()
	}
}

// push sends what there is, and says whether to go on.
func (s *socket) push() bool {
	if s.opening {
		s.opening = false
		return s.send(websocket.AppendOpening(s.buffer(), s.sub.Cursor(), s.sub.Streams()))
	}
	d, err := s.sub.Fetch(s.api.opt.Context, fillBytes)
	if err != nil {
		go s.close(closing(err))
		return false
	}
	if d.Empty() {
		return !s.sub.Park(s)
	}
	return s.send(s.conn.AppendDelivery(s.buffer(), &d))
}

// frames holds the buffers of writes: a socket that has nothing to send has none.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func (s *socket) buffer() []byte {
	s.buf = frames.Get().(*[]byte)
	return (*s.buf)[:0]
}

func (s *socket) release() {
	if s.buf != nil && cap(*s.buf) <= 1<<20 {
		frames.Put(s.buf)
	}
	s.buf = nil
}

// send writes b, which belongs to buf, and says whether the pump may go on.
func (s *socket) send(b []byte) bool {
	if *s.buf = b; len(b) == 0 {
		return true // notices, of which a raw socket cannot tell
	}
	s.mu.Lock()
	s.busy = true
	s.mu.Unlock()
	finished, err := s.conn.Start(b, door.TryWrite, s.sent)
	if !finished {
		return false
	}
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	if err != nil {
		s.release()
	}
	return err == nil // else the reader ends, and wakes the task
}

// sent is the end of a write that had to wait.
func (s *socket) sent(error) {
	s.release()
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.Wake()
}

// pulse keeps the connection alive, or ends it when the peer shows no life.
func (s *socket) pulse() (alive bool) {
	what, next := s.conn.Beat(s.api.opt.Now(), websocket.Pulse{})
	switch what {
	case websocket.BeatPing:
		go func() { _ = s.conn.Ping() }() // may wait for the socket; its failure ends the reader
	case websocket.BeatDead:
		go s.close(&websocket.CloseError{Code: websocket.CloseNoPong, Reason: "no sign of life"})
		return false
	case websocket.BeatLate:
		go s.close(&websocket.CloseError{Code: websocket.ClosePolicy, Reason: websocket.LateMessage})
		return false
	}
	s.api.opt.Lives.Wheel.Set(&s.timer, s.until(max(next.Sub(s.api.opt.Now()), time.Second)))
	return true
}

// close ends the connection with its closing handshake.
func (s *socket) close(err error) {
	if end, ok := errors.AsType[*websocket.CloseError](err); ok {
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
		s.leave()
	}
}
