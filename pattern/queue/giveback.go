package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// returned is what callers leave behind that are gone: leases that reached nobody,
// and places in the line of those who wait. They lie here until the journal takes the
// next step, since it takes none while the log is away: what is here is not forgotten
// then. There is never more than what the callers held that were under way when the
// log went.
type returned struct {
	mu      sync.Mutex // only around the rest
	leases  []granted
	waiters []*waiter
	some    bool
}

func (r *returned) add(leases []granted, w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.some = true // even if it is a wake only that is to be passed on
	r.leases = append(r.leases, leases...)
	if w != nil {
		r.waiters = append(r.waiters, w)
	}
}

func (r *returned) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.some
}

func (r *returned) take() (leases []granted, waiters []*waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	leases, waiters = r.leases, r.waiters
	r.leases, r.waiters, r.some = nil, nil, false
	return leases, waiters
}

// takeBack makes jobs ready that were leased to nobody, before their leases may end by
// themselves. None dies of that: it was not tried.
func (o *owner) takeBack(tx mover) {
	leases, waiters := o.returned.take()
	for _, w := range waiters {
		o.leave(w)
	}
	for i := range leases {
		g := &leases[i]
		if l, there := o.leases[g.ID]; !there || l.number != g.number {
			continue
		}
		if err := tx.Lazy(encodeBack(g.ID, 0, GoneAway)); err != nil {
			o.q.opt.Logger.Error("a job that reached nobody stays leased until its lease ends", slog.String("queue", o.q.name), slog.Int64("job", g.ID), slog.Any("error", err))
			continue
		}
		delete(o.leases, g.ID)
	}
}

// giveBackWait bounds how long a caller is held to be told that its jobs are ready
// again. They will be, sooner or later, all the same.
const giveBackWait = 5 * time.Second

// giveBack ends leases that reach nobody, and the wait of a caller that is gone. It
// gives err, unless that says that nothing happened: something did.
func (o *owner) giveBack(ctx context.Context, list []granted, w *waiter, err error) error {
	o.returned.add(list, w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWait)
	defer cancel()
	again := o.do(ctx, func(*journal.Tx, int64) error { return nil })
	if again != nil || len(list) == 0 {
		return err
	}
	return &parley.Error{Code: parley.Unknown, Detail: "the wait ended while jobs were leased; they are ready again", Fix: "ask again", Err: err}
}

// unpark ends the wait of a caller that got nothing.
func (o *owner) unpark(ctx context.Context, w *waiter) error {
	o.returned.add(nil, w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWait)
	defer cancel()
	return o.do(ctx, func(*journal.Tx, int64) error { return nil })
}
