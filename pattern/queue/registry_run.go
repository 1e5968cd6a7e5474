package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// Run makes this node one that may own every queue, those too that others make
// meanwhile, until ctx ends; what fails is logged and tried again. It runs once at a
// time, and may be called again. It returns nil, or Damaged when the list of queues
// is.
func (r *Registry) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	return r.roll.Follow(ctx, func() {
		for _, e := range r.unstarted() {
			tasks.Go(func() { r.keep(ctx, e) })
		}
	})
}

func (r *Registry) unstarted() (list []*listed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.running == nil {
			e.running = make(chan struct{})
			list = append(list, e)
		}
	}
	return list
}

// lastRun is the longest pause between two tries to run a queue.
const lastRun = time.Minute

// keep runs one queue until ctx ends or it is deleted, and then removes what is
// left of it.
func (r *Registry) keep(ctx context.Context, e *listed) {
	defer r.kept(e)
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	var settings sync.WaitGroup
	if s, fixed := r.opt.Fixed[e.queue.name]; fixed {
		settings.Go(func() { r.impose(living, e.queue, s) })
	}
	for wait := firstRetry; living.Err() == nil; wait = min(2*wait, lastRun) {
		if err := e.queue.Run(living); living.Err() == nil {
			r.opt.Logger.LogAttrs(ctx, slog.LevelError, "a queue cannot be run here", slog.String("queue", e.queue.name), slog.Any("error", err))
			pause(living, wait)
		}
	}
	settings.Wait()
	if e.life.Err() != nil {
		if e.err = r.discard(ctx, e.queue); e.err != nil {
			r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a deleted queue leaves its streams until the next start", slog.String("queue", e.queue.name), slog.Any("error", e.err))
		}
	}
}

// kept ends what unstarted began.
func (r *Registry) kept(e *listed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(e.running)
	e.running = nil
}

// impose gives a queue of the configuration its settings.
func (r *Registry) impose(ctx context.Context, q *Queue, want Settings) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRun) {
		have, err := q.Settings(ctx)
		if err == nil && sameSettings(have, want) {
			return
		}
		if err == nil {
			if _, err = q.Configure(ctx, want); err == nil {
				return
			}
		}
		if ctx.Err() == nil {
			r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a queue does not have the settings of the configuration yet", slog.String("queue", q.name), slog.Any("error", err))
			pause(ctx, wait)
		}
	}
}

func sameSettings(a, b Settings) bool {
	one, errA := json.Marshal(a)
	other, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(one, other)
}

// discard removes what a deleted queue has left. All nodes that ran it do so, the
// last of them when none appends any more.
func (r *Registry) discard(ctx context.Context, q *Queue) error {
	for _, s := range []parley.Stream{q.jobs, q.moves} {
		if err := r.remove(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a stream, or what Trim can of it, and its topic.
func (r *Registry) remove(ctx context.Context, s parley.Stream) error {
	if r.opt.Topics != nil {
		if err := r.opt.Topics.Withdraw(ctx, s.Name); err != nil && parley.CodeOf(err) != parley.NotFound {
			return err
		}
	}
	if remover, ok := r.log.(parley.Remover); ok {
		return remover.Remove(ctx, s)
	}
	end, err := r.log.End(ctx, s)
	if err != nil {
		return err
	}
	return r.log.Trim(ctx, s, end)
}
