package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parleyhq/parley"
)

// BatchWriter publishes batches that its user encoded, with a parley.Builder, to
// one partition of a topic: what costs least for both sides. One batch is under
// way at a time; for more, use several writers. It may be used from any goroutine.
type BatchWriter struct {
	c    *Client
	url  string
	name [8]byte // the first half of every key

	turn chan struct{} // capacity 1: full while somebody publishes
	conn *websocket.Conn
	next uint64 // the second half of the next key
	buf  []byte

	closing sync.Once
	closed  chan struct{}
}

// Batches gives a writer. It connects with its first batch. Close it in the end.
func (c *Client) Batches(topic string, partition int) *BatchWriter {
	q := url.Values{"keys": {"true"}, "partition": {strconv.Itoa(partition)}}
	w := &BatchWriter{c: c, url: c.url(q, "v1", "topics", topic, "batches"), turn: make(chan struct{}, 1), closed: make(chan struct{})}
	_, _ = rand.Read(w.name[:]) // never fails
	return w
}

// Publish publishes a batch and gives the position of its first event, once it is
// durable. A batch whose answer was lost with the connection is sent again, under
// the same key, and is stored once. Errors are those of the server: Invalid,
// TooLarge, NotFound, Forbidden, Full, …; Unknown and Unavailable after
// Options.Retries tries; those of ctx.
func (w *BatchWriter) Publish(ctx context.Context, b parley.Batch) (parley.Position, error) {
	select {
	case w.turn <- struct{}{}:
	case <-w.closed:
		return 0, errWriterClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-w.turn }()
	w.buf = append(append(w.buf[:0], w.name[:]...), make([]byte, 8)...)
	binary.BigEndian.PutUint64(w.buf[8:], w.next)
	w.next++
	w.buf = append(w.buf, b.Bytes()...)
	for try := 0; ; try++ {
		at, err := w.once(ctx)
		if err == nil {
			return at, nil
		}
		if !w.c.rest(ctx, try, err) {
			return 0, err
		}
	}
}

var errWriterClosed = &parley.Error{Code: parley.Unavailable, Detail: "the writer is closed"}

// once sends what is in buf and reads its answer. A connection on which that did
// not end well is not used again.
func (w *BatchWriter) once(ctx context.Context) (parley.Position, error) {
	select {
	case <-w.closed:
		return 0, errWriterClosed
	default:
	}
	if w.conn == nil {
		conn, err := w.c.upgrade(ctx, w.url)
		if err != nil {
			return 0, err
		}
		w.conn = conn
	}
	err := w.conn.Write(ctx, websocket.MessageBinary, w.buf)
	var data []byte
	if err == nil {
		_, data, err = w.conn.Read(ctx)
	}
	if err != nil {
		_ = w.conn.CloseNow()
		w.conn = nil
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, closed(err)
	}
	return placedAt(data)
}

// placedAt reads an answer.
func placedAt(data []byte) (parley.Position, error) {
	var in struct {
		Position                 parley.Position
		Type, Detail, Field, Fix string
		RetryAfter               float64 `json:"retry_after"`
	}
	if err := json.Unmarshal(data, &in); err != nil || in.Position == 0 && in.Type == "" {
		return 0, &parley.Error{Code: parley.Internal, Detail: "the server's answer is not understood", Err: err}
	}
	if in.Type == "" {
		return in.Position, nil
	}
	e := &parley.Error{Code: parley.Internal, Detail: in.Detail, Field: in.Field, Fix: in.Fix, RetryAfter: time.Duration(in.RetryAfter * float64(time.Second))}
	if code, ok := codeOf(in.Type); ok {
		e.Code = code
	}
	return 0, e
}

// Close ends the connection. A Publish under way ends first.
func (w *BatchWriter) Close() error {
	w.closing.Do(func() {
		close(w.closed)
		w.turn <- struct{}{}
		if w.conn != nil {
			_ = w.conn.Close(websocket.StatusNormalClosure, "") // the server may be gone first
			w.conn = nil
		}
		<-w.turn
	})
	return nil
}
