package overgrpc

import (
	"context"
	"strconv"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// EnqueueStream adds jobs to a queue over one stream, without a call for each Enqueue:
// for those who enqueue all the time. It is safe for concurrent use, and as many
// requests are under way at a time as there are calls of Enqueue. The stream is opened
// when it is first used, and again when it was lost; Close ends it.
type EnqueueStream struct {
	q     *Queue
	lines again[*talk[*enqueued]]
}

// EnqueueStream makes a stream. Nothing is sent yet.
func (q *Queue) EnqueueStream() *EnqueueStream {
	return &EnqueueStream{q: q, lines: again[*talk[*enqueued]]{turn: make(chan struct{}, 1)}}
}

// enqueued is an answer.
type enqueued struct {
	byHand packed.Enqueued
	other  *parleyv1.EnqueueStreamResponse // nil = it was read by hand
}

func (e *enqueued) read(b []byte) bool { return e.byHand.Read(b) }
func (e *enqueued) message() proto.Message {
	e.other = new(parleyv1.EnqueueStreamResponse)
	return e.other
}

// Enqueue is Queue.Enqueue. When the stream is lost, what was under way is answered with
// Unavailable or Unknown: it may be durable. Conflict: the stream was closed.
func (s *EnqueueStream) Enqueue(ctx context.Context, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error) {
	if err := checkTexts(jobs, o); err != nil {
		return nil, err
	}
	t, err := s.lines.open(ctx, s.dial)
	if err != nil {
		return nil, err
	}
	e := enqueues.Get().(*packed.Enqueue) //nolint:forcetypeassert // nothing else is put there
	e.Queue, e.IdempotencyKey, e.Jobs = s.q.name, o.IdempotencyKey, jobs
	res, err := t.ask(ctx, func(number uint64) any {
		e.Request = number
		if size, ok := e.Size(); ok {
			return s.q.t.codec.write(size, e.Append)
		}
		return &parleyv1.EnqueueStreamRequest{Request: number, Enqueue: s.q.enqueue(jobs, o)}
	})
	e.Jobs = nil
	enqueues.Put(e)
	switch {
	case err != nil:
		return nil, err
	case res.other == nil:
		return res.byHand.Jobs, nil
	case res.other.GetFailure() != nil:
		return nil, fromFailure(res.other.GetFailure())
	}
	return enqueuedFrom(res.other.GetEnqueued()), nil
}

// checkTexts refuses what would end the stream, with all that is under way on it.
func checkTexts(jobs []queue.Job, o queue.EnqueueOptions) error {
	if !utf8.ValidString(o.IdempotencyKey) {
		return parley.BadField("Idempotency-Key", "is not UTF-8", "send text")
	}
	for i := range jobs {
		e := &jobs[i].Event
		bad := !utf8.ValidString(jobs[i].Key) || !utf8.ValidString(jobs[i].Unique)
		for _, text := range [...]string{e.ID, e.Source, e.Type, e.Subject, e.DataContentType, e.DataSchema} {
			bad = bad || !utf8.ValidString(text)
		}
		for name, value := range e.Extensions {
			bad = bad || !utf8.ValidString(name) || !utf8.ValidString(value)
		}
		if bad || jobs[i].Retry != nil && !utf8.ValidString(string(jobs[i].Retry.Kind)) {
			return parley.BadField("jobs["+strconv.Itoa(i)+"]", "has text that is not UTF-8", "put it into the data, which may be any bytes")
		}
	}
	return nil
}

// enqueues are used again for the sizes that they keep.
var enqueues = sync.Pool{New: func() any { return new(packed.Enqueue) }}

func (s *EnqueueStream) dial(ctx context.Context) (*talk[*enqueued], error) {
	life, end := context.WithCancel(s.q.t.context(ctx))
	stream, err := s.q.t.queues.EnqueueStream(life)
	if err != nil {
		end()
		return nil, fromStatus(s.q.t.target, err)
	}
	t := newTalk[*enqueued](stream, end)
	go t.receive(s.q.t.target, func() error {
		e := new(enqueued)
		if err := stream.RecvMsg(e); err != nil {
			return err
		}
		if e.other != nil {
			e.byHand.Request = e.other.GetRequest()
		}
		t.answer(e.byHand.Request, e)
		return nil
	})
	return t, nil
}

// Close ends the stream: what is not answered yet fails with Canceled, and may be
// durable. It gives nil.
func (s *EnqueueStream) Close() error {
	s.lines.close()
	return nil
}
