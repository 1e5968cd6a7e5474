package pubsub

import (
	"context"
	"sort"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

// Page is the newest part of some topics, or of what came before a place.
type Page struct {
	Events []View // in order of their append times; within a stream in its order
	Cursor string // right behind the newest event that there was
	Before string // for the page before this one; "" when there is none
}

// pageStep is how many batches Tail goes back at a time, and pageBytes how much
// it reads at a time.
const (
	pageStep  = 16
	pageBytes = 1 << 20
)

// Tail gives the newest n events of the topics, or those before a cursor of an
// earlier page: what a reader looks at first, and pages backwards from. Errors:
// those of Subscribe, and Unsupported when the engine cannot go back.
func (h *Hub) Tail(ctx context.Context, r Request, n int, before string) (Page, error) {
	back, ok := h.log.(parley.Backer)
	if !ok {
		return Page{}, &parley.Error{Code: parley.Unsupported, Field: "tail", Detail: "this engine cannot read backwards", Fix: "read from earliest or a cursor"}
	}
	r.From = Latest()
	if before != "" {
		r.From, r.Strict = After(before), true
	}
	s, err := h.Subscribe(ctx, r)
	if err != nil {
		return Page{}, err
	}
	defer s.Close()
	page := Page{Cursor: s.Cursor()}
	var all []View
	for i := range s.places {
		views, err := s.places[i].tailOf(ctx, back, n)
		if err != nil {
			return Page{}, err
		}
		all = append(all, views...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].appended < all[j].appended })
	page.Events = all[max(0, len(all)-n):]
	page.Before = s.before(all[:len(all)-len(page.Events)], page.Events)
	return page, nil
}

// tailOf collects the last n events before the place, going back step by step.
func (p *place) tailOf(ctx context.Context, back parley.Backer, n int) ([]View, error) {
	at := parley.Place{Stream: p.tail.stream(), At: p.at}
	var views []View
	for len(views) < n {
		start, err := back.Back(ctx, at, min(pageStep, n-len(views)))
		if err != nil {
			return nil, err
		}
		if start >= at.At || start == 0 {
			break
		}
		older, err := p.between(ctx, start, at.At)
		if err != nil {
			return nil, err
		}
		if at.At = start; len(older) > 0 {
			views = append(older, views...)
		}
	}
	return views[max(0, len(views)-n):], nil
}

// between reads the events of [from, to).
func (p *place) between(ctx context.Context, from, to parley.Position) ([]View, error) {
	var views []View
	for from < to {
		run, err := p.tail.hub.log.Read(ctx, parley.Place{Stream: p.tail.stream(), At: from}, pageBytes)
		if parley.CodeOf(err) == parley.Trimmed {
			return views, nil // retention is faster than the reader: there is no more
		}
		if err != nil || run.Empty() {
			return views, err
		}
		for _, it := range p.tail.itemsOf(run) {
			events, _ := it.Events() // what cannot be decoded cannot be shown
			for _, v := range events {
				if v.Position >= from && v.Position < to {
					views = append(views, v)
				}
			}
		}
		from = run.Next()
		run.Release()
	}
	return views, nil
}

// before makes the cursor of the page before: at each stream's first event of
// this page, or where the page was asked from.
func (s *Subscription) before(older, shown []View) string {
	marks := s.marks()
	more := len(older) > 0
	for i := range marks {
		for _, v := range shown {
			if v.number == marks[i].Number {
				marks[i].Next = v.Position
				break
			}
		}
		more = more || marks[i].Next > s.earliest(marks[i])
	}
	if !more || len(shown) == 0 {
		return ""
	}
	return s.seal(marks)
}

// earliest is the first position that the stream of a mark still has.
func (s *Subscription) earliest(m cursor.Mark) parley.Position {
	for i := range s.places {
		if s.places[i].number() == m.Number {
			return max(s.places[i].earliest, first)
		}
	}
	return first
}
