package pipe

import (
	"context"
	"errors"
)

// Map makes one event of each.
func Map[T, U any](f Flow[T], do func(ctx context.Context, event T) (U, error)) Flow[U] {
	l := f.last.next("map")
	return Flow[U]{last: l, connect: func(r *run, down port[U]) error {
		return f.into(r, l, &mapping[T, U]{r: r, label: l, do: do, down: down})
	}}
}

// into connects a flow with the stage behind it.
func (f Flow[T]) into(r *run, l *label, p port[T]) error {
	if f.connect == nil {
		return invalid(l, "the flow before it is empty")
	}
	return f.connect(r, p)
}

type mapping[T, U any] struct {
	r     *run
	label *label
	do    func(context.Context, T) (U, error)
	down  port[U]
	out   []U
}

func (m *mapping[T, U]) push(ctx context.Context, c chunk[T]) error {
	out := m.out[:0]
	for i := range c.items {
		v, err := m.do(ctx, c.items[i])
		if err != nil {
			lost, e := mend(ctx, m.r, m.label, c.items[i], err, func() (e error) { v, e = m.do(ctx, c.items[i]); return e })
			if e != nil {
				return e
			}
			if lost {
				continue
			}
		}
		out = append(out, v)
	}
	m.out = out
	if len(out) == 0 {
		return nil
	}
	return m.down.push(ctx, chunk[U]{out, c.unit})
}

func (m *mapping[T, U]) end(ctx context.Context) error { return m.down.end(ctx) }

// Filter leaves out events that keep is false for. They count as done.
func Filter[T any](f Flow[T], keep func(ctx context.Context, event T) (bool, error)) Flow[T] {
	l := f.last.next("filter")
	return Flow[T]{last: l, connect: func(r *run, down port[T]) error {
		return f.into(r, l, &filtering[T]{r: r, label: l, keep: keep, down: down})
	}}
}

type filtering[T any] struct {
	r     *run
	label *label
	keep  func(context.Context, T) (bool, error)
	down  port[T]
	out   []T
}

func (s *filtering[T]) push(ctx context.Context, c chunk[T]) error {
	out := s.out[:0]
	for i := range c.items {
		keep, err := s.keep(ctx, c.items[i])
		if err != nil {
			lost, e := mend(ctx, s.r, s.label, c.items[i], err, func() (e error) { keep, e = s.keep(ctx, c.items[i]); return e })
			if e != nil {
				return e
			}
			keep = keep && !lost
		}
		if keep {
			out = append(out, c.items[i])
		}
	}
	s.out = out
	if len(out) == 0 {
		return nil
	}
	return s.down.push(ctx, chunk[T]{out, c.unit})
}

func (s *filtering[T]) end(ctx context.Context) error { return s.down.end(ctx) }

// FlatMap makes any number of events of each: what do appends to the slice that it
// is given and returns. When it fails, what it appended for that event is dropped.
func FlatMap[T, U any](f Flow[T], do func(ctx context.Context, event T, to []U) ([]U, error)) Flow[U] {
	l := f.last.next("flatmap")
	return Flow[U]{last: l, connect: func(r *run, down port[U]) error {
		return f.into(r, l, &flattening[T, U]{r: r, label: l, do: do, down: down})
	}}
}

type flattening[T, U any] struct {
	r     *run
	label *label
	do    func(context.Context, T, []U) ([]U, error)
	down  port[U]
	out   []U
}

func (s *flattening[T, U]) push(ctx context.Context, c chunk[T]) error {
	out := s.out[:0]
	for i := range c.items {
		n := len(out)
		more, err := s.do(ctx, c.items[i], out)
		if err != nil {
			lost, e := mend(ctx, s.r, s.label, c.items[i], err, func() (e error) { more, e = s.do(ctx, c.items[i], out[:n]); return e })
			if e != nil {
				return e
			}
			if lost {
				continue
			}
		}
		out = more
	}
	s.out = out
	if len(out) == 0 {
		return nil
	}
	return s.down.push(ctx, chunk[U]{out, c.unit})
}

func (s *flattening[T, U]) end(ctx context.Context) error { return s.down.end(ctx) }

// Take passes the first n events on and then stops the flow, as Stop says.
func Take[T any](f Flow[T], n int) Flow[T] {
	l := f.last.next("take")
	return Flow[T]{last: l, connect: func(r *run, down port[T]) error {
		return f.into(r, l, &taking[T]{n, down})
	}}
}

type taking[T any] struct {
	left int
	down port[T]
}

func (s *taking[T]) push(ctx context.Context, c chunk[T]) error {
	n := min(s.left, len(c.items))
	s.left -= n
	if n > 0 {
		if err := s.down.push(ctx, chunk[T]{c.items[:n], c.unit}); err != nil {
			return err
		}
	}
	if n < len(c.items) {
		return Stop
	}
	return nil
}

func (s *taking[T]) end(ctx context.Context) error { return s.down.end(ctx) }

// Emit passes events on. The slice is free again when it returns. An error of it
// goes back to the caller as it is.
type Emit[U any] func(events []U) error

// Stage is a stage with a memory, in one run.
type Stage[T, U any] interface {
	// Push takes events and emits what becomes of them. An error ends the run, Stop
	// the flow; a stage that wants single events buried is a Map or FlatMap.
	Push(ctx context.Context, events []T, emit Emit[U]) error
	// End comes after the last Push of a run in which nothing failed.
	End(ctx context.Context, emit Emit[U]) error
}

// Apply puts a stage with a memory into a flow; each run makes its own, and calls
// its Close method, if it has one, when it is over. With keeps the stage's input is
// done when what End emitted is, otherwise when what its Push emitted is.
func Apply[T, U any](f Flow[T], keeps bool, stage func() Stage[T, U]) Flow[U] {
	l := f.last.next("stage")
	return Flow[U]{last: l, connect: func(r *run, down port[U]) error {
		s := &applied[T, U]{r: r, label: l, stage: stage(), down: down, keeps: keeps}
		s.emit = s.pass
		r.owns(s.stage)
		return f.into(r, l, s)
	}}
}

type applied[T, U any] struct {
	r     *run
	label *label
	stage Stage[T, U]
	down  port[U]
	keeps bool
	all   unit // of everything, when the stage keeps it
	emit  Emit[U]
	ctx   call
}

// call is what pass needs of the Push or End that is going on.
type call struct {
	ctx  context.Context //nolint:containedctx // that of the call that is going on; Emit has no room for it
	unit unit
}

func (s *applied[T, U]) pass(events []U) error {
	if len(events) == 0 {
		return nil
	}
	return s.down.push(s.ctx.ctx, chunk[U]{events, s.ctx.unit})
}

func (s *applied[T, U]) push(ctx context.Context, c chunk[T]) error {
	u := c.unit
	if s.keeps && u != 0 {
		if s.all == 0 {
			s.all = s.r.book.derive()
		}
		s.r.book.join(s.all, u)
		u = s.all
	}
	s.ctx = call{ctx, u}
	return s.blame(s.stage.Push(ctx, c.items, s.emit))
}

func (s *applied[T, U]) end(ctx context.Context) error {
	s.ctx = call{ctx, s.all}
	if err := s.blame(s.stage.End(ctx, s.emit)); err != nil && !errors.Is(err, Stop) {
		return err
	}
	s.r.book.drop(s.all)
	return s.down.end(ctx)
}

func (s *applied[T, U]) blame(err error) error {
	if err == nil || errors.Is(err, Stop) {
		return err
	}
	return failed(s.label, err)
}
