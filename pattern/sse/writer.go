package sse

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
)

// ErrHead is what NewWriter returns for a HEAD request: the head was sent and
// there is nothing more to send.
var ErrHead = errors.New("sse: a HEAD request has no stream")

// WriterOptions steers a Writer. The zero value is good.
type WriterOptions struct {
	// WriteTimeout bounds each write; a client that does not read for so long
	// loses its stream and resumes later. 0 means 5 s, below 0 no bound.
	WriteTimeout time.Duration
	// Heartbeat is how long Pump stays silent at most. 0 means 25 s, below the
	// 60 s after which common proxies cut an idle stream; below 0 none is sent.
	Heartbeat time.Duration
	// Retry is how long the client shall wait before it reconnects, on average:
	// each stream gets its own value between half of it and one and a half of it,
	// so that clients that lost a server together do not return together. 0 means
	// 3 s, below 0 none is sent.
	Retry time.Duration
}

func (o WriterOptions) withDefaults() WriterOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.WriteTimeout, 5 * time.Second}, {&o.Heartbeat, 25 * time.Second}, {&o.Retry, 3 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Writer sends one stream of events as the response to one request. Each call
// is one write, flushed before it returns. A Writer serves one goroutine, that of
// the handler; after an error the stream is over and the handler should return.
type Writer struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	o    WriterOptions
	buf  []byte
	err  error
	stop <-chan struct{} // the request's end
}

// NewWriter answers 200 with the head of a stream and flushes it, so that the
// client knows at once that it is connected. It works under any middleware whose
// ResponseWriter has Unwrap (see http.ResponseController), over HTTP/1 and HTTP/2.
//
// It lifts the server's WriteTimeout from this response, as it would cut a stream
// that is well; every write has its own deadline instead. When w cannot flush it
// returns an Unsupported error, having sent nothing. A HEAD request is answered and
// gives ErrHead.
func NewWriter(w http.ResponseWriter, r *http.Request, o WriterOptions) (*Writer, error) {
	if !canFlush(w) {
		return nil, parley.Errorf(parley.Unsupported,
			"sse: %T can neither flush nor be unwrapped; give the middleware's writer an Unwrap method", w)
	}
	out := &Writer{w: w, rc: http.NewResponseController(w), o: o.withDefaults(), stop: r.Context().Done()}
	SetHeader(w.Header(), r.Proto)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil, ErrHead
	}
	first := []byte(Heartbeat)
	if o := out.o; o.Retry > 0 {
		first = AppendEnd(AppendRetry(nil, o.Retry/2+rand.N(o.Retry)))
	}
	if err := out.SendBlocks(first); err != nil {
		return nil, err
	}
	return out, nil
}

// Send sends one event. An event that the format cannot carry is an Invalid error
// that sends nothing and leaves the stream well.
func (w *Writer) Send(m Message) error {
	buf, err := AppendEvent(w.buf[:0], m)
	w.buf = buf
	if err != nil {
		return err
	}
	return w.SendBlocks(buf)
}

// Checkpoint makes the client remember id without an event.
func (w *Writer) Checkpoint(id string) error {
	buf, err := AppendCheckpoint(w.buf[:0], id)
	w.buf = buf
	if err != nil {
		return err
	}
	return w.SendBlocks(buf)
}

// Heartbeat keeps an idle stream alive; see the constant of the same name. A
// handler that uses Pump needs no heartbeats of its own.
func (w *Writer) Heartbeat() error { return w.SendBlocks([]byte(Heartbeat)) }

// SendBlocks sends blocks that the Append functions made, as they are, and flushes.
// It is how several events, or a frame shared by many streams, go out in one
// write.
func (w *Writer) SendBlocks(blocks []byte) error {
	if w.err != nil {
		return w.err
	}
	w.err = w.write(blocks)
	if cap(w.buf) > 2*batchBytes {
		w.buf = nil // one big event must not stay for the life of the stream
	}
	return w.err
}

func (w *Writer) write(blocks []byte) error {
	var by time.Time
	if w.o.WriteTimeout > 0 {
		by = time.Now().Add(w.o.WriteTimeout)
	}
	if err := w.deadline(by); err != nil {
		return err
	}
	if _, err := w.w.Write(blocks); err != nil {
		return err
	}
	if err := w.rc.Flush(); err != nil {
		return err
	}
	// A deadline left standing would pass while the stream is idle, and end an
	// HTTP/2 stream then and there.
	return w.deadline(time.Time{})
}

// deadline sets the time by which a write must be done; a ResponseWriter that
// knows no deadlines is left as it is.
func (w *Writer) deadline(t time.Time) error {
	if err := w.rc.SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// Pump sends what comes from messages until the channel is closed (nil), ctx or
// the request ends (the error of ctx, or Canceled), or a write fails. Messages
// that wait together leave in one write; in silence a heartbeat is sent.
func (w *Writer) Pump(ctx context.Context, messages <-chan Message) error {
	var beat <-chan time.Time
	var timer *time.Timer
	if w.o.Heartbeat > 0 {
		timer = time.NewTimer(w.o.Heartbeat)
		defer timer.Stop()
		beat = timer.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.stop:
			return parley.Errorf(parley.Canceled, "sse: the client went away")
		case <-beat:
			err = w.Heartbeat()
		case m, ok := <-messages:
			if !ok {
				return nil
			}
			err = w.sendBatch(m, messages)
		}
		if err != nil {
			return err
		}
		if timer != nil {
			timer.Reset(w.o.Heartbeat)
		}
	}
}

// batchBytes is the size from which on sendBatch takes no further message.
const batchBytes = 32 << 10

func (w *Writer) sendBatch(m Message, messages <-chan Message) error {
	buf := w.buf[:0]
	for {
		var err error
		if buf, err = AppendEvent(buf, m); err != nil {
			return errors.Join(err, w.SendBlocks(buf)) // what came before it is still good
		}
		w.buf = buf
		if len(buf) >= batchBytes {
			return w.SendBlocks(buf)
		}
		select {
		case next, ok := <-messages:
			if !ok { // the channel stays closed: Pump sees it next
				return w.SendBlocks(buf)
			}
			m = next
		default:
			return w.SendBlocks(buf)
		}
	}
}

// canFlush looks for a Flush below the wrappers before anything is sent, so that
// the caller can still answer with an error.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }:
			return true
		case http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}
