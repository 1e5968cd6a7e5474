package pipe

import (
	"context"
	"errors"
)

// Tee gives every event to each of n flows. An event is done when it is in all of
// them; the flow ends when all have stopped. What events point to is shared.
func Tee[T any](f Flow[T], n int) []Flow[T] {
	l := f.last.next("tee")
	return fan(f, l, n, func(_ *run, downs []port[T]) port[T] { return &teeing[T]{branches[T]{downs, make([]bool, n)}} })
}

// Split gives each event to one of n flows, the one that route names, from 0. A
// number outside is an error, treated as one of route's.
func Split[T any](f Flow[T], n int, route func(ctx context.Context, event T) (int, error)) []Flow[T] {
	l := f.last.next("split")
	return fan(f, l, n, func(r *run, downs []port[T]) port[T] {
		return &splitting[T]{r: r, branches: branches[T]{downs, make([]bool, n)}, label: l, route: route, parts: make([][]T, n)}
	})
}

// fan makes n flows of one. The port is made when the last of them is connected.
func fan[T any](f Flow[T], l *label, n int, build func(*run, []port[T]) port[T]) []Flow[T] {
	type joint struct {
		downs []port[T]
		left  int
	}
	flows := make([]Flow[T], max(n, 0))
	for i := range flows {
		flows[i] = Flow[T]{last: &label{l.place, l.name, l.catch}, connect: func(r *run, down port[T]) error {
			j, _ := r.shared[l].(*joint)
			if j == nil {
				j = &joint{make([]port[T], n), n}
				r.shared[l] = j
				r.missing = append(r.missing, func() error {
					if j.left > 0 {
						return invalid(l, "a branch has no sink in this run")
					}
					return nil
				})
			}
			if j.downs[i] != nil {
				return invalid(l, "a branch is used twice")
			}
			j.downs[i] = down
			if j.left--; j.left > 0 {
				return nil
			}
			return f.into(r, l, build(r, j.downs))
		}}
	}
	return flows
}

// branches are the ports of a fan, and which of them have stopped.
type branches[T any] struct {
	downs   []port[T]
	stopped []bool
}

func (b *branches[T]) to(ctx context.Context, i int, c chunk[T]) error {
	if b.stopped[i] || len(c.items) == 0 {
		return nil
	}
	err := b.downs[i].push(ctx, c)
	if errors.Is(err, Stop) {
		b.stopped[i] = true
		return nil
	}
	return err
}

// more gives Stop when every branch has stopped.
func (b *branches[T]) more() error {
	for _, s := range b.stopped {
		if !s {
			return nil
		}
	}
	return Stop
}

func (b *branches[T]) end(ctx context.Context) error {
	var first error
	for _, d := range b.downs {
		if err := unlessStop(d.end(ctx)); err != nil && first == nil {
			first = err
		}
	}
	return first
}

type teeing[T any] struct{ branches[T] }

func (s *teeing[T]) push(ctx context.Context, c chunk[T]) error {
	for i := range s.downs {
		if err := s.to(ctx, i, c); err != nil {
			return err
		}
	}
	return s.more()
}

type splitting[T any] struct {
	branches[T]
	r     *run
	label *label
	route func(context.Context, T) (int, error)
	parts [][]T
}

func (s *splitting[T]) branch(ctx context.Context, event T) (int, error) {
	i, err := s.route(ctx, event)
	if err == nil && (i < 0 || i >= len(s.parts)) {
		return 0, Permanent(invalid(s.label, "there is no such branch"))
	}
	return i, err
}

func (s *splitting[T]) push(ctx context.Context, c chunk[T]) error {
	for i := range s.parts {
		s.parts[i] = s.parts[i][:0]
	}
	for k := range c.items {
		i, err := s.branch(ctx, c.items[k])
		if err != nil {
			lost, e := mend(ctx, s.r, s.label, c.items[k], err, func() (e error) { i, e = s.branch(ctx, c.items[k]); return e })
			if e != nil {
				return e
			}
			if lost {
				continue
			}
		}
		s.parts[i] = append(s.parts[i], c.items[k])
	}
	for i, part := range s.parts {
		if err := s.to(ctx, i, chunk[T]{part, c.unit}); err != nil {
			return err
		}
	}
	return s.more()
}

// Merge makes one flow of several. Each keeps its order; between them events come
// as they come.
func Merge[T any](l Limit[T], flows ...Flow[T]) Flow[T] {
	var before *label
	for _, f := range flows {
		if before == nil || f.last != nil && f.last.place > before.place {
			before = f.last
		}
	}
	at := before.next("merge")
	return Flow[T]{last: at, connect: func(r *run, down port[T]) error {
		if len(flows) == 0 {
			return invalid(at, "nothing is merged")
		}
		q := newQueue(r, l, len(flows))
		for _, f := range flows {
			if err := f.into(r, at, q); err != nil {
				return err
			}
		}
		return r.task(func(ctx context.Context) error { return q.drain(ctx, down) })
	}}
}
