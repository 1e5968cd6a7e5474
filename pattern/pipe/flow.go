package pipe

import (
	"context"
	"errors"
	"io"
	"iter"
	"strconv"
)

// Source gives events. It is used by one goroutine at a time.
type Source[T any] interface {
	// Next gives the next events, at least one unless it also gives an error. The
	// slice is valid until the next call. io.EOF, alone or with the last events,
	// ends the source; any other error is tried again as Options.Retry says, and
	// then ends the run. It returns when ctx ends.
	Next(ctx context.Context) ([]T, error)
}

// Acker is a source that wants to know what is done.
type Acker interface {
	// Ack says that the first so many events that Next gave are all done: taken by
	// every sink they reach, left out by a stage, or handed to Options.Dead. The
	// number only grows. It is called by another goroutine than Next; an error ends
	// the run.
	Ack(ctx context.Context, events int64) error
}

// Sink takes events.
type Sink[T any] interface {
	// Put has taken the events for good when it returns nil. On an error all of
	// them come again, as Options.Retry says. The slice is valid until it returns.
	Put(ctx context.Context, events []T) error
}

// SinkFunc is a function as a Sink.
type SinkFunc[T any] func(ctx context.Context, events []T) error

// Put calls the function.
func (f SinkFunc[T]) Put(ctx context.Context, events []T) error { return f(ctx, events) }

// Stop is what a stage or sink returns when it wants no more events: no failure.
// The sources above it end when all that they feed has stopped. Events of the
// call that returned it are not acknowledged.
var Stop = errors.New("no more events are wanted")

// chunk is events that move together, and what is settled when they are done.
type chunk[T any] struct {
	items []T
	unit  unit
}

// port is where a stage gets its events: one goroutine calls it. Slices are the
// caller's again when push returns; a port that keeps events beyond that copies
// them and holds their unit.
type port[T any] interface {
	push(ctx context.Context, c chunk[T]) error
	end(ctx context.Context) error // once, after the last push
}

// Flow is a stream of events as it is described: nothing moves before Run. A flow
// goes to one stage or sink; Tee and Split make several of it.
type Flow[T any] struct {
	connect func(r *run, down port[T]) error
	last    *label
}

// label is the name of a stage, for errors, its place in its flow, from 1, and what
// a Catch around it says about its errors.
type label struct {
	place int
	name  string
	catch *Options
}

func (l *label) next(kind string) *label {
	n := &label{place: 1}
	if l != nil {
		n.place, n.catch = l.place+1, l.catch
	}
	n.name = strconv.Itoa(n.place) + " (" + kind + ")"
	return n
}

// Named gives the flow's last stage a name, for errors and dead letters; without
// one it is its place and kind, as in "2 (map)".
func (f Flow[T]) Named(name string) Flow[T] {
	if f.last != nil {
		f.last.name = name
	}
	return f
}

// From begins a flow at a source.
func From[T any](src Source[T]) Flow[T] {
	var l *label
	l = l.next("source")
	return Flow[T]{last: l, connect: func(r *run, down port[T]) error {
		if src == nil {
			return invalid(l, "the source is nil")
		}
		r.owns(src)
		s := &origin[T]{r: r, src: src, down: down, label: l}
		if acker, ok := src.(Acker); ok {
			var acks <-chan struct{}
			s.lane, acks = r.book.source()
			s.tracked = true
			r.ackers = append(r.ackers, func(ctx context.Context) error { return r.book.follow(ctx, s.lane, acks, acker) })
		}
		return r.task(s.run)
	}}
}

// origin is a source in a run.
type origin[T any] struct {
	r       *run
	src     Source[T]
	down    port[T]
	label   *label
	lane    int
	tracked bool
}

func (s *origin[T]) run(ctx context.Context) error {
	for {
		items, err := s.next(ctx)
		if len(items) > 0 {
			var u unit
			if s.tracked {
				u = s.r.book.open(s.lane, len(items))
			}
			e := s.down.push(ctx, chunk[T]{items, u})
			if errors.Is(e, Stop) {
				break
			}
			if e != nil {
				return e
			}
			s.r.book.drop(u)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return unlessStop(s.down.end(ctx))
}

func (s *origin[T]) next(ctx context.Context) ([]T, error) {
	for try := 1; ; try++ {
		items, err := s.src.Next(ctx)
		if err == nil || len(items) > 0 || errors.Is(err, io.EOF) {
			return items, err
		}
		if again, e := s.label.retry(s.r).again(ctx, try, err); !again {
			return nil, failed(s.label, e)
		}
	}
}

func unlessStop(err error) error {
	if errors.Is(err, Stop) {
		return nil
	}
	return err
}

// Of is a source of the given events. They are copied in slices of up to 256.
func Of[T any](events ...T) Source[T] { return &slice[T]{left: events} }

type slice[T any] struct{ left []T }

// Next implements Source.
func (s *slice[T]) Next(context.Context) ([]T, error) {
	n := min(len(s.left), seqEvents)
	part := s.left[:n]
	s.left = s.left[n:]
	if len(s.left) == 0 {
		return part, io.EOF
	}
	return part, nil
}

// seqEvents is how many events of a sequence are moved together.
const seqEvents = 256

// Seq is a source over an iterator, which is asked for one event at a time. An
// event may wait for up to 255 more: where that matters, write a Source.
func Seq[T any](seq iter.Seq2[T, error]) Source[T] { return &sequence[T]{seq: seq} }

type sequence[T any] struct {
	seq  iter.Seq2[T, error]
	next func() (T, error, bool)
	stop func()
	buf  []T
}

// Next implements Source.
func (s *sequence[T]) Next(ctx context.Context) ([]T, error) {
	if s.next == nil {
		s.next, s.stop = iter.Pull2(s.seq)
		s.buf = make([]T, 0, seqEvents)
	}
	s.buf = s.buf[:0]
	for len(s.buf) < cap(s.buf) {
		if ctx.Err() != nil {
			return s.buf, context.Cause(ctx)
		}
		v, err, ok := s.next()
		if !ok {
			return s.buf, io.EOF
		}
		if err != nil {
			return s.buf, Permanent(err)
		}
		s.buf = append(s.buf, v)
	}
	return s.buf, nil
}

// Close stops the iterator. Run calls it.
func (s *sequence[T]) Close() error {
	if s.stop != nil {
		s.stop()
	}
	return nil
}
