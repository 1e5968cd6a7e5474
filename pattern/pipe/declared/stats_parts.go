package declared

import (
	"cmp"
	"context"
	"sync"
)

// stats asks all owners.
func (e *entry) stats(ctx context.Context) (Stats, error) {
	rec, _, _ := e.now()
	if rec.parts < 2 {
		var s Stats
		return s, e.ask(ctx, 0, request{Op: "stats"}, &s)
	}
	all, errs := make([]Stats, rec.parts), make([]error, rec.parts)
	e.each(rec.parts, func(part int) {
		errs[part] = e.ask(ctx, part, request{Op: "stats"}, &all[part])
	})
	if err := cmp.Or(errs...); err != nil {
		return Stats{}, err
	}
	sum := all[0]
	for part := range all {
		if part > 0 {
			sum.add(&all[part])
		}
		if s := &all[part]; s.State != idle {
			sum.Partitions = append(sum.Partitions, PartStats{
				Partition: part, State: s.State, Revision: s.Revision, Since: s.Since, Node: s.Node, Problem: s.Problem,
				In: s.In, Out: s.Out, Dead: s.Dead, Lag: s.Lag, Commits: s.Commits, CommitMicros: s.CommitMicros, StateBytes: s.StateBytes,
			})
		}
	}
	if len(sum.Partitions) == 1 { // it has had more, and has none any more
		sum.Partitions = nil
		return sum, nil
	}
	sum.Node = ""
	return sum, nil
}

const asksAtOnce = 16

// each does something for all parts, some at a time.
func (e *entry) each(parts int, do func(part int)) {
	var all sync.WaitGroup
	room := make(chan struct{}, asksAtOnce)
	for part := range parts {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			do(part)
		})
	}
	all.Wait()
}

// worse orders states: the worst of its parts is that of a pipe.
var worse = map[State]int{Failing: 4, Paused: 3, Running: 2, Done: 1, idle: 0}

// add adds what another owner says. What an idle one did before counts on.
func (s *Stats) add(o *Stats) {
	s.In += o.In
	s.Out += o.Out
	s.Dead += o.Dead
	s.Lost += o.Lost
	if o.State == idle {
		return
	}
	if worse[o.State] > worse[s.State] {
		s.State = o.State
	}
	s.Revision = min(s.Revision, o.Revision)
	if o.Since.Before(s.Since) {
		s.Since = o.Since
	}
	s.Problem, s.Refused = cmp.Or(s.Problem, o.Problem), cmp.Or(s.Refused, o.Refused)
	s.Lag += o.Lag
	s.More = s.More || o.More
	s.Commits += o.Commits
	s.CommitMicros = max(s.CommitMicros, o.CommitMicros)
	s.StateBytes += o.StateBytes
	s.Places = append(s.Places, o.Places...)
	for i := range s.Steps {
		for j := range o.Steps {
			if s.Steps[i].Path == o.Steps[j].Path && s.Steps[i].Kind == o.Steps[j].Kind {
				s.Steps[i].add(&o.Steps[j])
			}
		}
	}
}

func (s *StepStats) add(o *StepStats) {
	s.In += o.In
	s.Out += o.Out
	s.Errors += o.Errors
	if n := s.Times + o.Times; n > 0 {
		s.Micros = (s.Micros*float64(s.Times) + o.Micros*float64(o.Times)) / float64(n)
		s.Times = n
	}
	s.MostMicros = max(s.MostMicros, o.MostMicros)
}
