package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// Run works the journal until its context ends or the machine is lost; it can be
// called once. When the context ends, it takes no more calls, settles those under
// way, resigns if it is fenced, and returns nil. Everybody who waits is answered
// before it returns.
//
// Errors: Conflict when another owner has taken over; otherwise what the log
// said that does not pass. In every case the stream is sound, and Open on a fresh
// machine goes on from it.
func (j *Journal) Run(ctx context.Context) error {
	if !j.ran.CompareAndSwap(false, true) {
		return parley.Errorf(parley.Conflict, "a journal runs once; open another")
	}
	a := newActor(j)
	defer a.snap.drop()
	put, stop := context.WithCancel(context.WithoutCancel(ctx))
	jobs, results := make(chan job, 1), make(chan result)
	var committer sync.WaitGroup
	committer.Go(func() { j.commit(put, jobs, results) })
	defer committer.Wait()
	defer func() {
		stop()
		close(jobs)
		for range results { // let the committer out of its last report
		}
	}()
	err := j.work(ctx, a, jobs, results)
	if err == nil {
		// What is under way has Patience to settle.
		timer := time.AfterFunc(j.opt.Patience, stop)
		defer timer.Stop()
		err = j.drain(a, jobs, results)
	}
	if err != nil {
		j.opt.Logger.Info("machine is lost to this owner", slog.String("stream", j.writer.stream.Name), slog.Any("error", err))
	}
	return err
}

// work is the loop of the journal's life. It returns nil when the context ends,
// with the ledger as it is.
func (j *Journal) work(ctx context.Context, a *actor, jobs chan<- job, results <-chan result) error {
	defer close(j.over)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		a.tick(now)
		if w, ok := a.launch(now); ok {
			jobs <- w
		}
		calls := j.calls
		if a.open.full() {
			calls = nil
		}
		var alarm <-chan time.Time
		if d, some := a.wake(now); some {
			timer.Reset(d)
			alarm = timer.C
		}
		select {
		case c := <-calls:
			a.take(c, time.Now())
			j.gather(a)
		case r := <-results:
			if err := a.settle(r, time.Now()); err != nil {
				return err
			}
		case <-alarm:
		case <-ctx.Done():
			return nil
		}
	}
}

// gather takes the calls that are there already, so that they leave together.
func (j *Journal) gather(a *actor) {
	for !a.open.full() {
		select {
		case c := <-j.calls:
			a.take(c, time.Now())
		default:
			return
		}
	}
}

// drain settles what is under way and resigns.
func (j *Journal) drain(a *actor, jobs chan<- job, results <-chan result) error {
	resigned := j.opt.Fence.Beat == 0 // with nobody waiting to take over, there is no need
	a.snap.off()
	a.opt.Linger = 0
	for {
		if a.flight == nil && a.open.empty() {
			if resigned {
				return nil
			}
			a.put(kindResign, a.clock.at(time.Now()), nil)
			resigned = true
		}
		if w, ok := a.launch(time.Now()); ok {
			jobs <- w
		}
		r := <-results
		if err := a.settle(r, time.Now()); err != nil {
			if passes(parley.CodeOf(err)) {
				return nil // the context ended while the log was away
			}
			return err
		}
	}
}
