package pipe

import (
	"context"
	"sync"
)

// Limit bounds what waits between two goroutines. One event always fits.
type Limit[T any] struct {
	Events int         // 0 is 4,096
	Bytes  int         // 0 is 16 MiB; counts only with Size
	Size   func(T) int // bytes of an event; nil = events alone are counted
}

func (l Limit[T]) orDefault() Limit[T] {
	if l.Events <= 0 {
		l.Events = 4096
	}
	if l.Bytes <= 0 {
		l.Bytes = 16 << 20
	}
	return l
}

func (l Limit[T]) size(events []T) int {
	if l.Size == nil {
		return 0
	}
	n := 0
	for i := range events {
		n += l.Size(events[i])
	}
	return n
}

// budget is room in events and bytes, for whoever waits for it.
type budget struct {
	mu            sync.Mutex
	events, bytes int // in use
	maxEvents     int
	maxBytes      int
	freed         chan struct{}
}

func newBudget(events, bytes int) *budget {
	return &budget{maxEvents: events, maxBytes: bytes, freed: make(chan struct{}, 1)}
}

// take waits for room. What is larger than all the room gets it alone.
func (b *budget) take(ctx context.Context, events, bytes int) error {
	for {
		if b.try(events, bytes) {
			return nil
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *budget) try(events, bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.events > 0 && (b.events+events > b.maxEvents || b.bytes+bytes > b.maxBytes) {
		return false
	}
	b.events += events
	b.bytes += bytes
	if b.events < b.maxEvents && b.bytes < b.maxBytes {
		signal(b.freed) // for the next who waits
	}
	return true
}

func (b *budget) give(events, bytes int) {
	b.mu.Lock()
	b.events -= events
	b.bytes -= bytes
	b.mu.Unlock()
	signal(b.freed)
}

// queueChunks is how many chunks wait at most, whatever their size.
const queueChunks = 64

// queue is a seam between goroutines: what one pushes, another takes. It is a port
// for any number of flows, each pushing from its own goroutine.
type queue[T any] struct {
	r      *run
	limit  Limit[T]
	room   *budget
	chunks chan queued[T]
	old    chan []T // buffers to use again
	gone   chan struct{}
	flows  int // that have not ended
	mu     sync.Mutex
}

type queued[T any] struct {
	chunk[T]
	bytes int
}

func newQueue[T any](r *run, l Limit[T], flows int) *queue[T] {
	l = l.orDefault()
	return &queue[T]{
		r: r, limit: l, room: newBudget(l.Events, l.Bytes), flows: flows,
		chunks: make(chan queued[T], queueChunks), old: make(chan []T, queueChunks+2), gone: make(chan struct{}),
	}
}

func (q *queue[T]) push(ctx context.Context, c chunk[T]) error {
	for len(c.items) > 0 {
		part := c.items
		for len(part) > 1 && (len(part) > q.limit.Events || q.limit.size(part) > q.limit.Bytes) {
			part = part[:len(part)/2]
		}
		c.items = c.items[len(part):]
		if err := q.put(ctx, part, c.unit); err != nil {
			return err
		}
	}
	return nil
}

func (q *queue[T]) put(ctx context.Context, items []T, u unit) error {
	select {
	case <-q.gone:
		return Stop
	default:
	}
	bytes := q.limit.size(items)
	if err := q.room.take(ctx, len(items), bytes); err != nil {
		return err
	}
	var buf []T
	select {
	case buf = <-q.old:
	default:
	}
	q.r.book.hold(u)
	select {
	case q.chunks <- queued[T]{chunk[T]{append(buf[:0], items...), u}, bytes}:
		return nil
	case <-q.gone:
		return Stop
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *queue[T]) end(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flows--; q.flows == 0 {
		close(q.chunks)
	}
	return nil
}

// done gives back what a chunk that was taken used. settled says that its events
// went on or are done.
func (q *queue[T]) done(c queued[T], settled bool) {
	if settled {
		q.r.book.drop(c.unit)
	}
	q.room.give(len(c.items), c.bytes)
	clear(c.items)
	select {
	case q.old <- c.items[:0]:
	default:
	}
}

// drain pushes all that comes to a port and ends it. After a Stop of the port it
// wants no more, and takes what is under way.
func (q *queue[T]) drain(ctx context.Context, down port[T]) error {
	stopped := false
	for {
		var c queued[T]
		var open bool
		select {
		case c, open = <-q.chunks:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !open {
			return unlessStop(down.end(ctx))
		}
		if stopped {
			q.done(c, false)
			continue
		}
		err := down.push(ctx, c.chunk)
		if unlessStop(err) != nil {
			return err
		}
		if stopped = err != nil; stopped {
			close(q.gone)
		}
		q.done(c, !stopped)
	}
}
