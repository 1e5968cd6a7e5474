package pipe

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
)

// WindowOptions say how Window groups events, and what becomes of a group.
type WindowOptions[T, A any] struct {
	Windows
	Key   func(T) string           // windows are kept for each key; nil = there is one
	Time  func(T) time.Time        // when an event happened
	Add   func(into *A, event T)   // adds an event to a window's value, which begins as the zero A
	Merge func(into *A, another A) // joins two sessions; with Gap only
	// Late takes an event whose windows are all closed. Nil, it is treated as an error
	// of the stage: see Options.Dead.
	Late func(ctx context.Context, event T) error
}

// Window groups events by their own time. A window goes on when the watermark has
// passed its end, or the flow ends, in the order of their ends; its events are done
// when it is. It is not driven by a clock: while nothing comes, nothing closes.
func Window[T, A any](f Flow[T], o WindowOptions[T, A]) Flow[Pane[A]] {
	l := f.last.next("window")
	return Flow[Pane[A]]{last: l, connect: func(r *run, down port[Pane[A]]) error {
		if o.Time == nil || o.Add == nil || o.Gap > 0 && o.Merge == nil {
			return invalid(l, "it needs Time and Add, and with Gap Merge")
		}
		s := &windowing[T, A]{r: r, label: l, o: o, down: down}
		m, err := NewWindower(o.Windows, s.merge)
		if err != nil {
			return failed(l, err)
		}
		s.open = m
		s.add = s.addNext
		return f.into(r, l, s)
	}}
}

// pending is a window's value, and what is done with it.
type pending[A any] struct {
	value A
	unit  unit
	last  unit // that unit was joined with
}

type windowing[T, A any] struct {
	r     *run
	label *label
	o     WindowOptions[T, A]
	down  port[Pane[A]]
	open  *Windower[pending[A]]
	add   func(*pending[A])
	next  T
	unit  unit // of next
	one   [1]Pane[A]
}

// addNext adds the event at hand to a window.
func (s *windowing[T, A]) addNext(to *pending[A]) {
	s.o.Add(&to.value, s.next)
	if s.unit == to.last {
		return // it holds it already, or there is none
	}
	if to.unit == 0 {
		to.unit = s.r.book.derive()
	}
	to.last = s.unit
	s.r.book.join(to.unit, s.unit)
}

func (s *windowing[T, A]) merge(into *pending[A], from pending[A]) {
	s.o.Merge(&into.value, from.value)
	if into.unit == 0 {
		into.unit, into.last = from.unit, from.last
		return
	}
	s.r.book.join(into.unit, from.unit)
	s.r.book.drop(from.unit)
}

func (s *windowing[T, A]) push(ctx context.Context, c chunk[T]) error {
	s.unit = c.unit
	for i := range c.items {
		key := ""
		if s.o.Key != nil {
			key = s.o.Key(c.items[i])
		}
		s.next = c.items[i]
		late, err := s.open.Add(key, s.o.Time(s.next), s.add)
		if err != nil {
			return failed(s.label, err)
		}
		if late {
			if err := s.late(ctx, s.next); err != nil {
				return err
			}
			continue
		}
		if s.open.ready() {
			if err := s.pass(ctx, s.open.Closed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *windowing[T, A]) late(ctx context.Context, event T) error {
	if s.o.Late != nil {
		if err := s.o.Late(ctx, event); err != nil {
			return failed(s.label, err)
		}
		return nil
	}
	return s.r.bury(ctx, s.label, event, 1, parley.Errorf(parley.Unprocessable, "the event is late: all its windows are closed"))
}

// pass gives windows on, one by one: each is done when it is done.
func (s *windowing[T, A]) pass(ctx context.Context, next func() (Pane[pending[A]], bool)) error {
	for p, ok := next(); ok; p, ok = next() {
		s.one[0] = Pane[A]{Key: p.Key, Start: p.Start, End: p.End, Events: p.Events, Value: p.Value.value}
		if err := s.down.push(ctx, chunk[Pane[A]]{s.one[:], p.Value.unit}); err != nil {
			return err
		}
		s.r.book.drop(p.Value.unit)
	}
	return nil
}

func (s *windowing[T, A]) end(ctx context.Context) error {
	if err := unlessStop(s.pass(ctx, s.open.Flush)); err != nil {
		return err
	}
	return s.down.end(ctx)
}

// DedupeOptions say what is the same, and for how long that is remembered.
type DedupeOptions[T any] struct {
	Key    func(T) string // what makes an event the same as another
	Most   int            // keys that are remembered; 0 is 100,000
	Within time.Duration  // for how long; 0 = until their room is needed
}

// Dedupe leaves out events whose key came before, in this run.
func Dedupe[T any](f Flow[T], o DedupeOptions[T]) Flow[T] {
	l := f.last.next("dedupe")
	return Flow[T]{last: l, connect: func(r *run, down port[T]) error {
		if o.Key == nil {
			return invalid(l, "it needs Key")
		}
		seen := NewSeen(o.Most, o.Within)
		var now time.Time
		keep := func(_ context.Context, event T) (bool, error) { return seen.Add(now, o.Key(event)), nil }
		s := &filtering[T]{r: r, label: l, keep: keep, down: down}
		if o.Within <= 0 {
			return f.into(r, l, s)
		}
		return f.into(r, l, &timing[T]{&now, s})
	}}
}

// timing reads the clock once for each slice.
type timing[T any] struct {
	now  *time.Time
	down port[T]
}

func (s *timing[T]) push(ctx context.Context, c chunk[T]) error {
	*s.now = time.Now()
	return s.down.push(ctx, c)
}

func (s *timing[T]) end(ctx context.Context) error { return s.down.end(ctx) }
