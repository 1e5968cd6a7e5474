package main

import (
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/throttle"
)

// How long one request for jobs waits when there were none: a job that this worker
// holds may end any moment, so it begins small.
const (
	firstDrainWait = 50 * time.Millisecond
	lastDrainWait  = time.Second
)

// blockedAfter is how long ready jobs of which none is leased and none is given out
// are waited for, beside what the queue's rate makes them wait.
const blockedAfter = 500 * time.Millisecond

// drain leases for --drain: an empty answer alone is not the end, since ready jobs
// may stand behind others of their key, or wait for a place or for the rate.
func (w *work) drain(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	var still standstill
	r.Wait = 0
	for wait := firstDrainWait; ; wait = min(2*wait, lastDrainWait) {
		list, err := w.queue.Lease(ctx, r)
		if err != nil || len(list) > 0 {
			return list, err
		}
		info, err := w.queue.Info(ctx)
		if err != nil {
			return nil, err
		}
		s := &info.Stats
		switch {
		case s.Ready == 0 && (s.Leased == 0 || w.inHand() == 0):
			w.enough()
			return nil, nil
		case info.Paused:
			w.rest = "the queue is paused, and " + strconv.FormatInt(s.Ready, 10) + " are ready still"
			w.enough()
			return nil, nil
		case still.is(&info, time.Now()):
			w.rest = strconv.FormatInt(s.Ready, 10) + " stand behind delayed ones of their keys"
			w.enough()
			return nil, nil
		}
		r.Wait = wait
	}
}

// standstill finds out that the jobs which are ready are not given out to anybody:
// they stand behind delayed ones, for which a drain does not wait.
type standstill struct {
	since       time.Time
	ready, done int64
}

func (p *standstill) is(info *client.QueueInfo, now time.Time) bool {
	s := &info.Stats
	if s.Leased > 0 || s.Delayed == 0 || p.since.IsZero() || p.ready != s.Ready || p.done != s.Done {
		p.since, p.ready, p.done = now, s.Ready, s.Done
		return false
	}
	patience := blockedAfter
	if limit, err := throttle.ParseLimit(info.Settings.Rate); err == nil {
		patience += limit.Window
	}
	return now.Sub(p.since) >= patience
}

// inHand counts the jobs that were leased and have not been told of.
func (w *work) inHand() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.leased
	for _, told := range w.tally {
		n -= told
	}
	return n
}
