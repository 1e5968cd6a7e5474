package queue

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

const (
	survivors     = 1000    // jobs that are copied at once, at most
	survivorBytes = 1 << 20 // and bytes of them, about
)

// clean trims the jobs stream below the oldest live job and, when less than half
// of what is kept is live, copies the oldest live jobs forward, so that a job
// which rests for a year does not keep a year of others.
func (o *owner) clean(ctx context.Context) {
	for {
		select {
		case <-o.untidy:
		case <-ctx.Done():
			return
		}
		for last, more := int64(-1), true; more && ctx.Err() == nil; {
			low, copied, err := o.cleanOnce(ctx)
			if err != nil {
				o.q.opt.Logger.Warn("a queue's jobs are not trimmed", slog.String("queue", o.q.name), slog.Any("error", err))
				pause(ctx, lastRetry)
				continue
			}
			more = copied && low > last // a job that cannot be copied ends the round
			last = low
		}
	}
}

// cleanOnce gives the lowest place that is needed, and reports whether jobs were
// copied.
func (o *owner) cleanOnce(ctx context.Context) (low int64, more bool, err error) {
	var list []survivor
	err = o.do(ctx, func(tx *journal.Tx, _ int64) error {
		if low = o.lowest(); low > o.floor {
			// A promise, so that all that it rests on is durable before anything is
			// gone: no later owner looks for jobs below.
			if err := tx.Move(appendID([]byte{moveFloor}, low)); err != nil {
				return err
			}
		}
		list = o.survivors()
		return nil
	})
	if err != nil {
		return low, false, err
	}
	if err := o.log.Trim(ctx, o.q.jobs, parley.Position(low)); err != nil {
		return low, false, err
	}
	if len(list) == 0 {
		return low, false, nil
	}
	if err := o.copyForward(ctx, list); err != nil {
		return low, false, err
	}
	return low, true, o.caughtUp(ctx)
}

// survivor is a live job and where its event is.
type survivor struct{ id, place int64 }

// survivors gives the jobs to copy, if less than half of what is kept is live:
// the oldest ones, up to the last wide gap among them.
func (m *machine) survivors() []survivor {
	if m.records < m.thrift.sparse || 2*m.liveCount() >= m.records {
		return nil
	}
	list := make([]survivor, 0, len(m.entries))
	for id, e := range m.entries {
		list = append(list, survivor{id, e.place})
	}
	for c := range m.fresh {
		n := 0
		m.fresh[c].after(0, func(id int64) bool {
			list = append(list, survivor{id, id})
			n++
			return n <= survivors
		})
	}
	slices.SortFunc(list, func(a, b survivor) int { return cmp.Compare(a.place, b.place) })
	n := min(len(list), survivors)
	for k := n; k > 0; k-- {
		next := m.records
		if k < len(list) {
			next = m.below(list[k].place)
		}
		if next-m.below(list[k-1].place) >= 2*m.thrift.marks {
			return list[:k]
		}
	}
	return list[:n]
}

// below is how many records are kept below a place, to about as many as lie between two marks.
func (m *machine) below(place int64) int64 {
	i, found := slices.BinarySearchFunc(m.marks, place, func(k mark, at int64) int { return cmp.Compare(k.at, at) })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return m.marks[i].records
}

// copyForward appends copies of jobs to the jobs stream. They become the jobs'
// places when they are taken in; a copy of a job that is gone by then is nothing.
func (o *owner) copyForward(ctx context.Context, list []survivor) error {
	places := make([]int64, len(list))
	for i, s := range list {
		places[i] = s.place
	}
	events, err := fetch(ctx, o.log, o.q.jobs, places)
	if err != nil {
		return err
	}
	var b parley.Builder
	now := time.Now()
	flush := func() error {
		batch, err := b.Batch()
		if err == nil && b.Len() > 0 {
			_, err = o.log.Append(ctx, parley.Write{Stream: o.q.jobs, Batch: batch})
		}
		b = parley.Builder{} // the log may still read the old one
		return err
	}
	for _, s := range list {
		job, there := events[s.place]
		if !there {
			continue // whoever leases it finds out
		}
		job.event.Set(extCopyOf, strconv.FormatInt(s.id, 10)+"@"+strconv.FormatInt(job.enqueued.UnixMilli(), 10))
		if job.terms != nil {
			job.event.Set(extTerms, job.terms.text())
		}
		if err := b.Add(now, &job.event); err != nil {
			o.q.opt.Logger.Warn("a job cannot be copied forward", slog.String("queue", o.q.name), slog.Int64("job", s.id), slog.Any("error", err))
			continue
		}
		if b.Size() >= survivorBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
