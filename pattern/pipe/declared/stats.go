package declared

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
)

// Stats is how a pipe is. What is since Since begins anew with an owner; In, Out and
// Dead are of the pipe's whole life, as far as it is committed. Of a pipe that several
// owners run, for a partition each, numbers are added up, and the worst state counts.
type Stats struct {
	State    State     `json:"state"`
	Revision uint64    `json:"revision,omitempty"` // of what runs: that of its definition, or of newer stages that it uses
	Since    time.Time `json:"since,omitzero"`
	Node     string    `json:"node,omitempty"`    // of a cluster, that owns it; of several see Partitions
	Problem  string    `json:"problem,omitempty"` // why it does not go on; it tries again
	Refused  string    `json:"refused,omitempty"` // why it runs by an older definition

	In      int64 `json:"in"`
	Out     int64 `json:"out"`
	Dead    int64 `json:"dead"`
	Lag     int64 `json:"lag"`            // events of its topics that it has not read
	More    bool  `json:"more,omitempty"` // there are more: counting stops after some megabytes
	Lost    int64 `json:"lost,omitempty"` // times that events were gone before it had read them
	Commits int64 `json:"commits"`        // since Since

	CommitMicros int64        `json:"commit_us"`   // from the first step to the commit, the last time
	StateBytes   int          `json:"state_bytes"` // that stages keep
	Steps        []StepStats  `json:"steps,omitempty"`
	Places       []PlaceStats `json:"places,omitempty"`

	Partitions []PartStats `json:"partitions,omitempty"` // of a pipe that has several owners
}

// PartStats is how a pipe is in one partition of its source.
type PartStats struct {
	Partition    int       `json:"partition"`
	State        State     `json:"state"`
	Revision     uint64    `json:"revision,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	Node         string    `json:"node,omitempty"` // that owns it
	Problem      string    `json:"problem,omitempty"`
	In           int64     `json:"in"`
	Out          int64     `json:"out"`
	Dead         int64     `json:"dead"`
	Lag          int64     `json:"lag"`
	Commits      int64     `json:"commits"`
	CommitMicros int64     `json:"commit_us"`
	StateBytes   int       `json:"state_bytes"`
}

// StepStats is what passed one step since Stats.Since.
type StepStats struct {
	Path   string `json:"path"` // its place in the definition, as in "2" or "3.to1.1"
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	In     int64  `json:"in"`
	Out    int64  `json:"out"`
	Errors int64  `json:"errors"`
	Times  int64  `json:"times"` // that it was given some events
	// Micros is how long it took in the mean, from being given some events, without
	// the steps behind it; MostMicros is the longest.
	Micros     float64 `json:"us"`
	MostMicros int64   `json:"max_us"`
}

// PlaceStats is where the pipe reads.
type PlaceStats struct {
	Stream   string `json:"stream"`
	Position int64  `json:"position"`
}

// Stats asks the pipe's owners how it is. Errors: NotFound, Unprocessable for stages,
// and those of Host.Ask, when one does not answer.
func (r *Registry) Stats(ctx context.Context, name string) (Stats, error) {
	e, err := r.find(ctx, name)
	if err != nil {
		return Stats{}, err
	}
	if i := e.info(); i.Stages {
		return Stats{}, noRun(name)
	} else if i.State == Stopped {
		return Stats{State: Stopped}, nil
	}
	s, err := e.stats(ctx)
	if err != nil && parley.CodeOf(err) == parley.Unavailable {
		e.mu.Lock()
		trouble := e.trouble
		e.mu.Unlock()
		if trouble != "" {
			return Stats{State: Failing, Problem: trouble}, nil
		}
	}
	return s, err
}

// stats answers it.
func (o *owner) stats(ctx context.Context) (Stats, error) {
	s := Stats{Node: o.node}
	err := o.look(ctx, func(b *book) {
		s.In, s.Out, s.Dead, s.Revision = b.kept.In, b.kept.Out, b.kept.Dead, b.kept.Adopted
	})
	if err != nil {
		return s, err
	}
	t := &o.meter
	t.mu.Lock()
	s.State, s.Since, s.Problem, s.Refused = t.now, t.since, t.problem, t.refused
	s.Lost, s.Commits, s.CommitMicros, s.StateBytes = t.lost, t.commits, t.took.Microseconds(), t.stateBytes
	for _, path := range t.order {
		m := t.steps[path]
		one := StepStats{Path: path, Name: m.name, Kind: m.kind, In: m.in.Load(), Out: m.out.Load(), Errors: m.failed.Load(), MostMicros: m.most.Load() / 1000}
		if one.Times = m.entries.Load(); one.Times > 0 {
			one.Micros = float64(m.nanos.Load()) / float64(one.Times) / 1000
		}
		s.Steps = append(s.Steps, one)
	}
	lanes := t.lanes
	t.mu.Unlock()
	if s.State == "" {
		s.State = Running
	}
	left := lagBytes
	for _, l := range lanes {
		for _, at := range l.at() {
			s.Places = append(s.Places, PlaceStats{at.Stream.Name, int64(at.At)})
			if err := o.count(ctx, at, &s, &left); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// lagBytes is how much is read to count a lag.
const lagBytes = 4 << 20

// count adds what a stream has from a place on.
func (o *owner) count(ctx context.Context, at parley.Place, s *Stats, left *int) error {
	for *left > 0 {
		run, err := o.r.log.Read(ctx, at, 1<<20)
		if parley.CodeOf(err) == parley.Trimmed && at.At > 0 {
			at.At = 0
			continue
		}
		if err != nil {
			return err
		}
		empty := run.Empty()
		for b := range run.Batches() {
			if b.Base() >= at.At {
				s.Lag += int64(b.Len())
				continue
			}
			for rec, err := range b.Records() {
				if err == nil && rec.Position >= at.At {
					s.Lag++
				}
			}
		}
		*left -= len(run.Bytes())
		at.At = run.Next()
		run.Release()
		if empty {
			return nil
		}
	}
	s.More = true
	return nil
}
