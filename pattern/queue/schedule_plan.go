package queue

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// plan is when schedules are due next, as far as this node knows zones. It is the
// owner's, and pure: zones are loaded before.
type plan struct {
	zones map[string]*time.Location
	next  map[string]int64 // by schedule, in milliseconds; none: it does not run
	first int64            // of them, 0 when there is none
}

// look finds out when a schedule is due next; nil: there is none any more.
func (p *plan) look(name string, s *schedule) {
	if p.next == nil {
		p.next = make(map[string]int64)
	}
	delete(p.next, name)
	if s != nil && !s.Paused && p.zones[s.Zone] != nil {
		if at := s.cron.Next(timeOf(s.done), p.zones[s.Zone]); !at.IsZero() {
			p.next[name] = at.UnixMilli()
		}
	}
	p.first = 0
	for _, at := range p.next {
		if p.first == 0 || at < p.first {
			p.first = at
		}
	}
}

// due gives the schedules that are due, those that wait longest first.
func (p *plan) due(now int64) (names []string) {
	if p.first == 0 || p.first > now {
		return nil
	}
	for name, at := range p.next {
		if at <= now {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(p.next[a], p.next[b]), cmp.Compare(a, b)) })
	return names
}

// runs is what is to be done now: moves, and a batch of jobs that must be stored
// with them. names are the schedules that they are about.
type runs struct {
	moves [][]byte
	batch parley.Batch
	names []string
}

// Limits of one commit of runs. What does not fit comes with the next.
const (
	runsBytes = 1 << 20
	runsMost  = 1000
)

// runs makes the jobs of schedules that are due.
func (b *book) runs(now int64) (out runs, err error) {
	var build parley.Builder
	full := func() bool { return build.Size() > runsBytes || build.Len() >= runsMost }
	for _, name := range b.plan.due(now) {
		if full() { // before what the others missed is worked out, for nothing
			break
		}
		s := b.schedules[name]
		ran, done := int64(0), now
		for _, at := range s.due(now, b.plan.zones[s.Zone]) {
			if full() {
				done = ran
				break
			}
			e, err := s.event(b.queue, timeOf(at))
			if err == nil {
				err = build.Add(timeOf(now), &e)
			}
			if err != nil {
				return runs{}, err
			}
			ran = at
		}
		out.names = append(out.names, name)
		out.moves = append(out.moves, encodeRan(name, ran, done))
	}
	out.batch, err = build.Batch()
	return out, err
}

// runSchedules enqueues the jobs of schedules that are due, in one commit with the
// note that they were: so each is there once, whoever owns the queue.
func (o *owner) runSchedules(tx *journal.Tx, now int64) {
	if o.plan.first == 0 || o.plan.first > now {
		return
	}
	out, err := o.runs(now)
	if err == nil && !out.batch.IsZero() {
		_, err = tx.Also(parley.Write{Stream: o.q.jobs, Batch: out.batch})
	}
	for i := 0; err == nil && i < len(out.moves); i++ {
		err = tx.Move(out.moves[i])
	}
	if err != nil {
		o.q.opt.Logger.Error("scheduled jobs cannot be enqueued", slog.String("queue", o.q.name), slog.Any("error", err))
		o.plan.first = now + time.Minute.Milliseconds() // not in a circle
		return
	}
	for _, name := range out.names {
		o.plan.look(name, o.schedules[name])
	}
}
