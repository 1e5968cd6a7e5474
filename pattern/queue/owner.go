package queue

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
)

// owner runs the machine on the node that owns the queue. Everything but the
// fields above the line is touched in the journal's goroutine only.
type owner struct {
	q       *Queue
	log     parley.Log
	journal *journal.Journal
	untidy  chan struct{} // something for the janitor
	letters chan struct{} // somebody died

	returned returned

	*book
	results  results
	feeds    feeds
	awaited  awaited
	waiters  []*waiter     // Lease calls, in the order in which they came
	progress chan struct{} // closed and replaced when jobs were taken in
	begun    bool          // the leases of the owner before have been ended
	churn    int           // jobs that came and went since the janitor was last here
}

// waiter is a Lease call that waits. The channel gets one token when it is worth
// looking again.
type waiter struct{ woken chan struct{} }

var _ interface {
	journal.Machine
	journal.Timed
} = (*owner)(nil)

// linger is how long intakes and attempts wait for an ack to be stored with: what is
// lost of them is taken in again, or was an attempt in the last moment before a crash.
const linger = 5 * time.Millisecond

// own runs the queue for one ownership.
func own(ctx context.Context, q *Queue, log parley.Log, s *shard.Owner) error {
	o := &owner{
		q: q, log: log, untidy: make(chan struct{}, 1), letters: make(chan struct{}, 1),
		progress: make(chan struct{}),
	}
	var secret [secretSize]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return err
	}
	o.feeds = feeds{changed: make(chan struct{}, 1), states: make(map[string]feedState)}
	o.book = newBook(newMachine(), q.name, 0, secret)
	o.machine.thrift = q.thrift
	o.machine.ended = o.awaited.ended
	j, err := journal.Open(ctx, log, q.moves, o, journal.Options{Fence: s.Fence, Logger: q.opt.Logger, Linger: linger})
	if err != nil {
		return err
	}
	o.journal, o.term = j, j.Term()
	o.planAll()
	work, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { o.takeIn(work) })
	tasks.Go(func() { o.clean(work) })
	if q.opt.Topics != nil {
		tasks.Go(func() { o.tell(work) })
	}
	if q.opt.Hub != nil {
		tasks.Go(func() { o.feed(work) })
	}
	s.Handle(o.handle)
	return j.Run(ctx)
}

// do runs fn as Journal.Do does. Before anything else, the leases of the owner
// before are ended; after it, whoever waits for what it made possible is woken.
func (o *owner) do(ctx context.Context, fn func(tx *journal.Tx, now int64) error) error {
	return o.journal.Do(ctx, func(tx *journal.Tx) error {
		now := tx.Now().UnixMilli()
		if err := o.begin(tx); err != nil {
			return err
		}
		o.takeBack(tx)
		o.promote(now)
		err := o.expire(tx, now, expireAtOnce)
		if err == nil {
			err = fn(tx, now)
		}
		o.wake(now)
		return err
	})
}

// expireAtOnce bounds the moves of ending leases in one step.
const expireAtOnce = 1000

func (o *owner) begin(tx *journal.Tx) error {
	if o.begun {
		return nil
	}
	if o.counts[phaseLeased] > 0 {
		if err := tx.Move([]byte{moveRecall}); err != nil { // jobs that it ends may be told dead
			return err
		}
	}
	o.begun = true
	o.signal(o.untidy) // the owner before may have come no further
	return nil
}

// Due implements journal.Timed: an idle queue has nothing due.
func (o *owner) Due() time.Time {
	if o.returned.any() {
		return timeOf(1) // long ago
	}
	due := o.due(len(o.waiters) > 0)
	if run := o.plan.first; run != 0 && (due == 0 || run < due) {
		due = run
	}
	if due != 0 {
		return timeOf(due)
	}
	return time.Time{}
}

// Fire implements journal.Timed.
func (o *owner) Fire(tx *journal.Tx) {
	now := tx.Now().UnixMilli()
	err := o.begin(tx)
	o.takeBack(tx)
	o.promote(now)
	if err == nil {
		err = o.expire(tx, now, expireAtOnce)
	}
	o.runSchedules(tx, now)
	if err != nil {
		o.q.opt.Logger.Error("a lease could not be ended", slog.String("queue", o.q.name), slog.Any("error", err))
	}
	o.wake(now)
}

// wake lets the first who waits look again if there is a job to be had, and has
// the goroutines that follow look too. Whoever is woken calls wake in turn: so
// there are never more looks than jobs.
func (o *owner) wake(now int64) {
	o.awaited.wake()
	if o.churn >= max(o.thrift.every, len(o.entries)) {
		o.churn = 0
		o.signal(o.untidy)
	}
	if o.untold > 0 && o.settings.DeadLetter != NoDeadLetter { // a look that finds nothing to do would wake itself
		o.signal(o.letters)
	}
	if len(o.waiters) > 0 && o.open(now) && o.candidate() != 0 {
		w := o.waiters[0]
		o.waiters = o.waiters[1:]
		w.woken <- struct{}{} // it has room for one, and is given one before it parks again
	}
}

func (o *owner) signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// park puts a waiter in line; one that was woken for nothing comes first.
func (o *owner) park(w *waiter) *waiter {
	if w == nil {
		w = &waiter{make(chan struct{}, 1)}
		o.waiters = append(o.waiters, w)
		return w
	}
	o.waiters = slices.Insert(o.waiters, 0, w)
	return w
}

func (o *owner) leave(w *waiter) {
	o.waiters = slices.DeleteFunc(o.waiters, func(x *waiter) bool { return x == w })
}

// takeIn follows the jobs stream and makes its records jobs.
func (o *owner) takeIn(ctx context.Context) {
	const most = 256 << 10
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		var next int64
		err := o.do(ctx, func(*journal.Tx, int64) error {
			next = o.next
			return nil
		})
		for err == nil {
			at := parley.Place{Stream: o.q.jobs, At: parley.Position(next)}
			var run parley.Run
			if run, err = o.log.Read(ctx, at, most); err != nil {
				break
			}
			if run.Empty() {
				err = o.log.Wait(ctx, at)
				continue
			}
			if err = o.takeRun(ctx, run); err == nil {
				next, wait = int64(run.Next()), firstRetry
			}
			run.Release()
		}
		if parley.CodeOf(err) == parley.Trimmed {
			// Everything below was settled before it was trimmed: see floor.
			err = o.skip(ctx, next, err)
		}
		if err != nil && ctx.Err() == nil {
			o.q.opt.Logger.Warn("jobs cannot be read", slog.String("queue", o.q.name), slog.Any("error", err))
			pause(ctx, wait)
		}
	}
}

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// skip goes on behind what is trimmed.
func (o *owner) skip(ctx context.Context, next int64, trimmed error) error {
	run, err := o.log.Read(ctx, parley.Place{Stream: o.q.jobs}, 1)
	if err != nil {
		return err
	}
	defer run.Release()
	for b := range run.Batches() {
		if base := int64(b.Base()); base > next {
			return o.do(ctx, func(tx *journal.Tx, _ int64) error { return tx.Lazy(encodeIntake(base, nil)) })
		}
	}
	return trimmed
}

// takeRun takes in the records of a run, in as many moves as they need.
func (o *owner) takeRun(ctx context.Context, run parley.Run) error {
	const most = 512 << 10 // bytes of a move
	var g gatherer
	n, size := 0, 0
	flush := func(next int64) error {
		move, taken := encodeIntake(next, g.list), n
		g.list, n, size = g.list[:0], 0, 0
		return o.do(ctx, func(tx *journal.Tx, _ int64) error {
			if err := tx.Lazy(move); err != nil {
				return err
			}
			o.churn += taken
			close(o.progress)
			o.progress = make(chan struct{})
			return nil
		})
	}
	for r, err := range run.Records() {
		if err != nil {
			o.q.opt.Logger.Error("a batch of jobs is damaged", slog.String("queue", o.q.name), slog.Any("error", err))
			continue
		}
		before := len(g.list)
		g.gather(r)
		n++
		if len(g.list) > before {
			size += g.list[before].size()
		}
		if size > most {
			if err := flush(int64(r.Position) + 1); err != nil {
				return err
			}
		}
	}
	return flush(int64(run.Next()))
}

// caughtUp waits until all jobs are taken in that were durable when it was
// called: a caller finds what it has enqueued.
func (o *owner) caughtUp(ctx context.Context) error {
	end, err := o.log.End(ctx, o.q.jobs)
	if err != nil {
		return err
	}
	for {
		var next int64
		var progress chan struct{}
		err := o.do(ctx, func(*journal.Tx, int64) error {
			next, progress = o.next, o.progress
			return nil
		})
		if err != nil || next >= int64(end) {
			return err
		}
		run, err := o.log.Read(ctx, parley.Place{Stream: o.q.jobs, At: parley.Position(next)}, 1)
		if err != nil && parley.CodeOf(err) != parley.Trimmed {
			return err
		}
		empty := err == nil && run.Empty() // an engine's end may lie beyond its last event
		if err == nil {
			run.Release()
		}
		if empty {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pause waits; it is for failures only.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
