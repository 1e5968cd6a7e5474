package httpapi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

// BatchAnswer is the answer to one batch on a socket of batches.
type BatchAnswer struct {
	// Position is that of the batch's first event; the others follow it one by one.
	Position parley.Position `json:"position"`
	// Replayed says that the key was met before, and that nothing was stored now.
	Replayed bool `json:"replayed,omitempty"`
}

func (a *API) batchRoutes() []door.Route {
	return []door.Route{{
		Method: http.MethodGet, Path: "/v1/topics/{topic}/batches", Name: "publish-batches", Pattern: "websocket",
		Summary: "A WebSocket to publish record batches through: each binary message is one, and is answered, in order, by a text message: {\"position\": N} or a problem.",
		Verb:    "publish", On: "topic", Status: http.StatusSwitchingProtocols, Answer: BatchAnswer{}, Handle: a.batches,
		Errors: []parley.Code{parley.Invalid, parley.Unsupported, parley.Overloaded},
		Params: []door.Param{
			{Name: "partition", In: "query", Type: "integer", Default: "0", Description: "the partition that all batches go to"},
			{Name: "keys", In: "query", Type: "boolean", Default: "false", Description: "16 bytes before each batch are its idempotency key: sent again, it is stored once"},
		},
		Example: `websocat -b 'ws://127.0.0.1:7275/v1/topics/orders/batches'`,
	}}
}

func (a *API) batches(c *door.Call) error {
	partition, err := partitionParam(c.Query)
	if err != nil {
		return err
	}
	keys, err := boolParam(c.Query, "keys")
	if err != nil {
		return err
	}
	name := strings.Clone(c.R.PathValue("topic")) // it outlives the request
	if err := topic.CheckName(name); err != nil {
		return err
	}
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return errNoRoom
	}
	opt := a.socketOptions(c)
	opt.Subprotocols, opt.Compression, opt.MaxMessage, opt.ReadBuffer = nil, false, parley.MaxBatchBytes+keyBytes, 4<<10
	conn, err := websocket.Upgrade(c.W, c.R, opt)
	if err != nil {
		return errAnswered
	}
	hijacked(c.W, http.StatusSwitchingProtocols)
	s := &batchSocket{api: a, conn: conn, topic: name, partition: partition, keys: keys, asks: c.Message("publish", name), trace: c.Trace, leave: c.Keep()}
	s.start()
	return nil
}

const keyBytes = 16

// partitionParam reads the number of a partition; absent is 0.
func partitionParam(q url.Values) (int, error) {
	v, err := param(q, "partition")
	if err != nil || v == "" && !q.Has("partition") {
		return 0, err
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n >= topic.MaxPartitions {
		return 0, parley.BadField("partition", strconv.Quote(v)+" is not the number of a partition", "send 0 to "+strconv.Itoa(topic.MaxPartitions-1))
	}
	return int(n), nil
}

// batchSocket is a connection that publishes batches. What it is sent it answers
// on the one goroutine that reads: a batch is stored, and its answer sent, before
// the next one is read, so that who sends faster than the log takes is slowed by
// TCP.
type batchSocket struct {
	api       *API
	conn      *websocket.Conn
	topic     string
	partition int
	keys      bool
	asks      *door.Request // of each message
	trace     door.Trace
	leave     func() // frees the place inside of the connection
	timer     door.Timer
	answer    []byte
}

func (s *batchSocket) start() {
	lives := s.api.opt.Lives
	s.timer.Init(func() { go s.ring() })
	lives.Enter(s)
	lives.Wheel.Set(&s.timer, door.Heartbeat)
	go func() {
		_ = s.conn.Run(s.api.opt.Context, s.take) // how it ended was told to the peer
		lives.Wheel.Stop(&s.timer)
		if lives.Leave(s) {
			s.leave()
		}
	}()
}

// take stores one batch and answers it.
func (s *batchSocket) take(op websocket.Opcode, message []byte) error {
	release, err := s.admit()
	if err != nil && parley.CodeOf(err) != parley.Throttled {
		return closing(err) // the token's end, not this batch's
	}
	var base parley.Position
	var replayed bool
	if err == nil {
		base, replayed, err = s.publish(op, message)
		release()
	}
	if err != nil {
		if parley.CodeOf(err) == parley.Canceled {
			return closing(err)
		}
		s.answer, _ = json.Marshal(s.refusal(err)) // strings and numbers only
	} else {
		s.answer = strconv.AppendInt(append(s.answer[:0], `{"position":`...), int64(base), 10)
		if replayed {
			s.answer = append(s.answer, `,"replayed":true`...)
		}
		s.answer = append(s.answer, '}')
	}
	return s.conn.Write(websocket.Text, s.answer)
}

// BatchRefusal is the answer to a batch that was not stored: a problem document
// (RFC 9457), and in seconds when to send again, where a limit says so.
type BatchRefusal struct {
	door.Problem
	RetryAfter float64 `json:"retry_after,omitempty"`
}

func (s *batchSocket) refusal(err error) BatchRefusal {
	out := BatchRefusal{Problem: door.ProblemOf(err, s.trace)}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		out.RetryAfter = e.RetryAfter.Seconds()
	}
	return out
}

// admit asks whether one more message may be published.
func (s *batchSocket) admit() (release func(), err error) {
	if err := door.Decide(s.asks.Who, door.Action{Verb: "publish", On: s.topic}, s.api.opt.Now()); err != nil {
		return nil, err
	}
	return s.api.opt.Admission.Admit(s.api.opt.Context, s.asks)
}

func (s *batchSocket) publish(op websocket.Opcode, message []byte) (base parley.Position, replayed bool, err error) {
	if op != websocket.Binary {
		return 0, false, parley.BadField("message", "is text", "send each record batch as a binary message")
	}
	var o topic.PublishOptions
	if s.keys {
		if len(message) < keyBytes {
			return 0, false, parley.BadField("message", "is shorter than the key before its batch", "send 16 bytes of key and then the batch, or leave keys away")
		}
		o.IdempotencyKey = hex.EncodeToString(message[:keyBytes])
		message = message[keyBytes:]
	}
	batch, err := parley.ParseBatch(message)
	if err != nil {
		return 0, false, &parley.Error{Code: parley.Invalid, Field: "message", Detail: err.Error(), Fix: "send one record batch v2 with its CRC"}
	}
	return s.api.opt.Topics.PublishBatch(s.api.opt.Context, s.topic, s.partition, batch, o)
}

func (s *batchSocket) close(err error) {
	if end, ok := errors.AsType[*websocket.CloseError](err); ok {
		_ = s.conn.Close(end.Code, end.Reason) // the reader sees how it went
	}
}

// Drain implements door.Farewell.
func (s *batchSocket) Drain() {
	go s.close(&websocket.CloseError{Code: websocket.CloseShutdown, Reason: "the server is stopping; come back"})
}

// ring pings a peer that is silent, and ends a connection whose peer is gone or
// whose token has expired.
func (s *batchSocket) ring() {
	if err := door.Decide(s.asks.Who, door.Action{Verb: "publish", On: s.topic}, s.api.opt.Now()); err != nil {
		s.close(closing(err))
		return
	}
	select {
	case <-s.conn.Done():
		return
	default:
	}
	what, next := s.conn.Beat(s.api.opt.Now(), websocket.Pulse{})
	switch what {
	case websocket.BeatPing:
		_ = s.conn.Ping() // its failure ends the reader
	case websocket.BeatDead:
		s.close(&websocket.CloseError{Code: websocket.CloseNoPong, Reason: "no sign of life"})
		return
	case websocket.BeatLate:
		s.close(&websocket.CloseError{Code: websocket.ClosePolicy, Reason: websocket.LateMessage})
		return
	}
	s.api.opt.Lives.Wheel.Set(&s.timer, next.Sub(s.api.opt.Now()))
}
