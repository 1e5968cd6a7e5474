package queue

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// peek shows jobs of one state, by id.
func (o *owner) peek(ctx context.Context, r *request) (out answer, err error) {
	if err := o.caughtUp(ctx); err != nil {
		return out, err
	}
	err = o.do(ctx, func(*journal.Tx, int64) error {
		var ids []int64
		if len(r.IDs) > 0 {
			ids = r.IDs
		} else {
			ids = o.list(r.State, r.After, r.Max)
		}
		size := 0
		for _, id := range ids {
			if s, there := o.look(id); there && size < mostShown {
				out.Jobs = append(out.Jobs, s)
				size += s.size()
			}
		}
		return nil
	})
	return out, err
}

// places tells where some jobs are now, each in turn, with 0 for one that is gone.
// Nothing is cut: whoever asks takes a job that is still where it was not found for
// lost. A place goes only after the copy of its job has been taken in, so there is
// nothing to wait for.
func (o *owner) places(ctx context.Context, r *request) (out answer, err error) {
	err = o.do(ctx, func(*journal.Tx, int64) error {
		out.IDs = make([]int64, len(r.IDs))
		for i, id := range r.IDs {
			out.IDs[i] = o.placeOf(id)
		}
		return nil
	})
	return out, err
}

// placeOf gives the place of a job's event, 0 when there is no such job.
func (m *machine) placeOf(id int64) int64 {
	switch e := m.entries[id]; {
	case e != nil:
		return e.place
	case m.initial(id):
		return id
	}
	return 0
}

// mostShown bounds, about, the bytes of what one answer shows, so that it fits a
// message between nodes.
const mostShown = 256 << 10

func (s *shown) size() int {
	n := 300 + len(s.Key) + len(s.Unique) + len(s.Reason)
	for _, a := range s.History {
		n += 120 + len(a.Worker) + len(a.Cause)
	}
	return n
}

// list gives the first jobs of a state above an id.
func (b *book) list(state State, after int64, most int) (ids []int64) {
	if state == Ready {
		for c := range b.fresh {
			n := 0
			b.fresh[c].after(after, func(id int64) bool {
				ids = append(ids, id)
				n++
				return n < most
			})
		}
	}
	for id, e := range b.entries {
		if id > after && e.phase.state() == state {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(len(ids), most)]
}

// look tells about one job.
func (b *book) look(id int64) (shown, bool) {
	e := b.entries[id]
	if e == nil {
		for c := range b.fresh {
			if b.fresh[c].find(id) >= 0 {
				return shown{Info{ID: ID(id), State: Ready, Priority: int(class(c).prio())}, id}, true
			}
		}
		return shown{}, false
	}
	s := shown{Info{ID: ID(id), State: e.phase.state(), Priority: int(e.prio), Attempts: int(e.attempts)}, e.place}
	if e.group != nil {
		s.Key = e.group.key
	}
	switch l, there := b.leases[id]; {
	case e.phase == phaseDelayed:
		s.Due = timeOf(e.due)
	case there:
		s.Due, s.Progress = timeOf(l.until), l.progress
	}
	if r := e.more; r != nil {
		s.Unique, s.Reason, s.History = r.unique, r.reason, slices.Clone(r.history)
		if e.phase == phaseDead {
			s.Died = timeOf(r.died)
		}
	}
	return s, true
}

// deadJobs gives the first n dead jobs that a filter selects.
func (b *book) deadJobs(f *Filter, n int) (ids []int64) {
	if b.counts[phaseDead] == 0 {
		return nil
	}
	match := func(id int64) bool {
		e := b.entries[id]
		if e == nil || e.phase != phaseDead {
			return false
		}
		r, died, worker, key := e.more, timeOf(e.more.died), "", ""
		if len(r.history) > 0 {
			worker = r.history[len(r.history)-1].Worker
		}
		if e.group != nil {
			key = e.group.key
		}
		return strings.Contains(r.reason, f.Reason) && (f.Worker == "" || f.Worker == worker) && (f.Key == "" || f.Key == key) &&
			!died.Before(f.Since) && (f.Until.IsZero() || died.Before(f.Until))
	}
	if len(f.IDs) > 0 {
		for _, id := range f.IDs {
			if match(int64(id)) {
				ids = append(ids, int64(id))
			}
		}
	} else {
		for _, id := range slices.Sorted(maps.Keys(b.entries)) {
			if match(id) {
				ids = append(ids, id)
			}
		}
	}
	return ids[:min(len(ids), n)]
}

func (o *owner) stats(ctx context.Context, _ *request) (out answer, err error) {
	if err := o.caughtUp(ctx); err != nil {
		return out, err
	}
	var places [][]parley.Place
	err = o.do(ctx, func(*journal.Tx, int64) error {
		out.Stats = &Stats{
			Ready: o.freshCount() + o.counts[phaseReady], Delayed: o.counts[phaseDelayed],
			Leased: o.counts[phaseLeased], Dead: o.counts[phaseDead],
			Enqueued: o.enqueued, Done: o.done, Groups: int64(len(o.groups)),
			Waiting: len(o.waiters), Paused: o.paused,
		}
		out.Oldest = o.oldest()
		for _, pattern := range o.settings.Feed {
			state := o.feeds.states[pattern]
			out.Stats.Feeds = append(out.Stats.Feeds, FeedStats{Pattern: pattern, Error: state.err})
			places = append(places, state.places)
		}
		return nil
	})
	if err == nil {
		err = o.countLags(ctx, out.Stats.Feeds, places)
	}
	return out, err
}

// oldest is the place of the oldest ready job, 0 when there is none.
func (m *machine) oldest() int64 {
	id, place := int64(0), int64(0)
	older := func(i, at int64) {
		if i != 0 && (id == 0 || i < id) {
			id, place = i, at
		}
	}
	for p := range m.fresh {
		older(m.fresh[p].head(), m.fresh[p].head())
	}
	if m.counts[phaseReady] > 0 {
		for i, e := range m.entries {
			if e.phase == phaseReady {
				older(i, e.place)
			}
		}
	}
	return place
}

func millisOf(t time.Time) int64 { return max(0, ceilMillis(t.Sub(time.UnixMilli(0)))) }
