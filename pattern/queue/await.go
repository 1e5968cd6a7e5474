package queue

import (
	"context"
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// awaited is who waits for the end of jobs. Nobody looks in vain: the machine
// notes the jobs that end and somebody waits for.
type awaited struct {
	by   map[int64][]*waiter
	n    int
	over []int64 // have ended since the waiters were last woken
}

// ended is told by the machine of each job that ends, one by one.
func (a *awaited) ended(id int64) {
	if len(a.by) > 0 && len(a.by[id]) > 0 {
		a.over = append(a.over, id)
	}
}

// wake lets those look whose jobs have ended. What they see waits until it is
// durable.
func (a *awaited) wake() {
	for _, id := range a.over {
		a.n -= len(a.by[id])
		for _, w := range a.by[id] {
			w.woken <- struct{}{} // it has room for one, and is given one before it waits again
		}
		delete(a.by, id)
	}
	a.over = a.over[:0]
}

// wait puts a caller among those who wait for a job.
func (a *awaited) wait(id int64) (*waiter, error) {
	if a.n >= MaxWaiting {
		return nil, &parley.Error{Code: parley.Overloaded, Detail: "too many callers wait for results of the queue", Fix: "ask again later, or read the queue's topic of results", RetryAfter: time.Second}
	}
	if a.by == nil {
		a.by = make(map[int64][]*waiter)
	}
	w := &waiter{make(chan struct{}, 1)}
	a.by[id] = append(a.by[id], w)
	a.n++
	return w, nil
}

func (a *awaited) leave(id int64, w *waiter) {
	before := len(a.by[id])
	a.by[id] = slices.DeleteFunc(a.by[id], func(x *waiter) bool { return x == w })
	a.n -= before - len(a.by[id])
	if len(a.by[id]) == 0 {
		delete(a.by, id)
	}
}

// result tells how a job ended, and waits for it if it may.
func (o *owner) result(ctx context.Context, r *request) (answer, error) {
	if len(r.IDs) != 1 {
		return answer{}, parley.BadField("job", "not one job", "name one")
	}
	if err := o.caughtUp(ctx); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(r.Wait)
	defer timer.Stop()
	for {
		out, w, err := o.tryResult(ctx, r.IDs[0], r.Wait > 0)
		if err != nil || w == nil {
			return out, err
		}
		select {
		case <-w.woken:
			continue
		case <-timer.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		again := o.do(context.WithoutCancel(ctx), func(*journal.Tx, int64) error {
			o.awaited.leave(out.Outcome.Job, w)
			return nil
		})
		if err == nil {
			err = again
		}
		return out, err
	}
}

// tryResult looks once, and has the caller wait if the job goes on.
func (o *owner) tryResult(ctx context.Context, id int64, wait bool) (out answer, w *waiter, err error) {
	err = o.do(ctx, func(*journal.Tx, int64) (err error) {
		how, there := o.outcomeOf(id)
		if !there {
			return nil
		}
		out.Outcome = &how
		if !how.over() && wait {
			w, err = o.awaited.wait(how.Job)
		}
		return err
	})
	if err != nil && w != nil {
		job := out.Outcome.Job
		_ = o.do(context.WithoutCancel(ctx), func(*journal.Tx, int64) error {
			o.awaited.leave(job, w)
			return nil
		})
		w = nil
	}
	return out, w, err
}
