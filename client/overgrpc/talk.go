package overgrpc

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/parleyhq/parley"
)

// talk is one stream, whose requests are answered by their numbers in any order.
type talk[A any] struct {
	stream grpc.ClientStream
	end    context.CancelFunc
	turn   chan struct{} // a place for one who sends
	done   chan struct{} // closed when nothing more comes; err says why

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan A
	err     error
}

func newTalk[A any](stream grpc.ClientStream, end context.CancelFunc) *talk[A] {
	return &talk[A]{stream: stream, end: end, turn: make(chan struct{}, 1), done: make(chan struct{}), waiting: make(map[uint64]chan A)}
}

// send sends what write makes, when it is its turn. That the stream has ended, done
// tells.
func (t *talk[A]) send(ctx context.Context, write func() any) error {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.turn }()
	_ = t.stream.SendMsg(write()) // whoever receives is told how the stream ended
	return nil
}

// ask sends a request, which write makes with its number, and waits for the answer.
func (t *talk[A]) ask(ctx context.Context, write func(number uint64) any) (none A, err error) {
	answer := make(chan A, 1)
	t.mu.Lock()
	t.last++
	number := t.last
	t.waiting[number] = answer
	t.mu.Unlock()
	defer t.take(number)
	if err := t.send(ctx, func() any { return write(number) }); err != nil {
		return none, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-t.done:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	select {
	case a := <-answer: // it came before the end
		return a, nil
	default:
		return none, t.err
	}
}

// take takes a request out of those that wait.
func (t *talk[A]) take(number uint64) chan A {
	t.mu.Lock()
	defer t.mu.Unlock()
	answer := t.waiting[number]
	delete(t.waiting, number)
	return answer
}

// receive hands on what comes until the stream ends: it is a goroutine of its own. next
// receives one message.
func (t *talk[A]) receive(target string, next func() error) {
	defer t.end()
	defer close(t.done)
	for {
		if err := next(); err != nil {
			t.err = fromStatus(target, err)
			return
		}
	}
}

// answer gives the answer to a request, if anybody waits for it.
func (t *talk[A]) answer(number uint64, a A) {
	if to := t.take(number); to != nil {
		to <- a // there is a place for it
	}
}

// over says that the stream has ended.
func (t *talk[A]) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// close ends the stream, and waits until it has.
func (t *talk[A]) close() {
	t.end()
	<-t.done
}

// again is a stream that is opened when it is first used, and when it was lost.
type again[T interface {
	comparable
	over() bool
	close()
}] struct {
	turn chan struct{} // a place for one who opens

	mu     sync.Mutex // never held over a call that can wait
	now    T          // the zero value: there is none
	closed bool
}

func (a *again[T]) current() (T, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var none T
	if a.closed {
		return none, false, &parley.Error{Code: parley.Conflict, Detail: "the stream was closed", Fix: "make another"}
	}
	return a.now, a.now != none && !a.now.over(), nil
}

// open gives the stream that is open, or opens one.
func (a *again[T]) open(ctx context.Context, open func(context.Context) (T, error)) (T, error) {
	if t, there, err := a.current(); there || err != nil {
		return t, err
	}
	var none T
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	defer func() { <-a.turn }()
	if t, there, err := a.current(); there || err != nil {
		return t, err
	}
	t, err := open(context.WithoutCancel(ctx))
	if err != nil {
		return none, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = t
	return t, nil
}

// close ends the stream for good.
func (a *again[T]) close() {
	a.turn <- struct{}{} // nobody opens now
	defer func() { <-a.turn }()
	a.mu.Lock()
	now := a.now
	var none T
	a.now, a.closed = none, true
	a.mu.Unlock()
	if now != none {
		now.close()
	}
}
