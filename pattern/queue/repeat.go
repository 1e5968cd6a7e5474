package queue

import (
	"context"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// sameJobs tells whether what is stored at base is what a request asks for that
// came again under its key. When it was trimmed meanwhile, because its jobs are
// gone, there is nothing left to compare.
func (q *Queue) sameJobs(ctx context.Context, jobs []Job, batch parley.Batch, base parley.Position) error {
	run, err := q.readAt(ctx, base)
	if parley.CodeOf(err) == parley.Trimmed {
		return nil
	}
	if err != nil {
		return err
	}
	defer run.Release()
	for stored := range run.Batches() {
		if stored.Base() != base || stored.Len() != stored.Span() {
			break
		}
		first, times, err := eventsOf(stored)
		if err != nil {
			return err
		}
		now, _, err := eventsOf(batch)
		if err != nil {
			return err
		}
		for i := range first[:min(len(first), len(now))] {
			if jobs[i].sameDue(dueOf(&first[i]), times[i]) {
				first[i].Set(extDue, now[i].Extensions[extDue])
			}
		}
		return topic.Same("Idempotency-Key", first, now)
	}
	return nil
}

// readAt reads what is stored at a position that an Append answered. This node may
// be behind the one that knew it; what the end says is here.
func (q *Queue) readAt(ctx context.Context, at parley.Position) (parley.Run, error) {
	place := parley.Place{Stream: q.jobs, At: at}
	run, err := q.log.Read(ctx, place, 1)
	if err != nil || !run.Empty() {
		return run, err
	}
	run.Release()
	if _, err := q.log.End(ctx, q.jobs); err != nil {
		return parley.Run{}, err
	}
	return q.log.Read(ctx, place, 1)
}

// eventsOf decodes a batch; times are when each was enqueued, in milliseconds.
func eventsOf(b parley.Batch) (list []parley.Event, times []int64, err error) {
	for r, err := range b.Records() {
		if err != nil {
			return nil, nil, err
		}
		e, err := r.Event()
		if err != nil {
			return nil, nil, err
		}
		list, times = append(list, e), append(times, r.Millis)
	}
	return list, times, nil
}

// dueOf is when a stored job is due, in milliseconds; 0 is at once.
func dueOf(e *parley.Event) int64 {
	due, _ := strconv.ParseInt(e.Extensions[extDue], 10, 64) // as build wrote it
	return due
}

// sameDue tells whether a job that was enqueued before was due when this one asks
// for: a delay counts from each request, a time does not. Times are kept in whole
// milliseconds, which is how much they may be apart.
func (j *Job) sameDue(due, enqueued int64) bool {
	switch {
	case j.Delay > 0:
		more := due - enqueued - ceilMillis(j.Delay)
		return due > 0 && (more == 0 || more == 1)
	case j.At.IsZero():
		return due == 0
	default:
		at := millisOf(j.At)
		return due == at || due == 0 && at <= enqueued+1
	}
}
