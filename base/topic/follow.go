package topic

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// take folds one event of $topics. It is called with mu held.
func (r *Registry) take(_ context.Context, e *parley.Event, _ parley.Position) error {
	done, err := r.machine.apply(e)
	if err != nil {
		return err
	}
	if done.topic != nil {
		r.watchers.push(done)
	}
	if done.removed {
		for _, p := range done.topic.Partitions {
			r.holds.forget(p.Stream)
		}
	}
	return nil
}

// Watch has fn called for every topic there is, and then for each change: one
// call at a time, in order, without locks. removed says that the topic is gone.
// fn must not wait. After cancel it is not called any more, but for a call that
// is under way.
func (r *Registry) Watch(fn func(t Topic, removed bool)) (cancel func()) {
	r.mu.RLock() // no change can come between the topics there are and those that follow
	there := make([]change, 0, len(r.machine.topics)+len(r.ephemeral))
	for _, t := range r.machine.topics {
		there = append(there, change{t, false})
	}
	for _, e := range r.ephemeral {
		there = append(there, change{e.topic, false})
	}
	cancel = r.watchers.add(fn, there)
	r.mu.RUnlock()
	r.watchers.deliver()
	return cancel
}

// watchers brings changes to whom they concern, in order: whoever finds nobody
// delivering delivers, also what comes meanwhile.
type watchers struct {
	mu      sync.Mutex // only around its fields
	all     []*watcher
	pending []notice
	busy    bool
}

type watcher struct {
	fn  func(Topic, bool)
	off bool
}

type notice struct {
	to *watcher
	change
}

func (w *watchers) add(fn func(Topic, bool), there []change) (cancel func()) {
	to := &watcher{fn: fn}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, to)
	for _, c := range there {
		w.pending = append(w.pending, notice{to, c})
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		to.off = true
		for i, other := range w.all {
			if other == to {
				w.all = append(w.all[:i:i], w.all[i+1:]...)
				return
			}
		}
	}
}

func (w *watchers) push(c change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range w.all {
		w.pending = append(w.pending, notice{to, c})
	}
}

func (w *watchers) deliver() {
	w.mu.Lock()
	if w.busy {
		w.mu.Unlock()
		return
	}
	w.busy = true
	for len(w.pending) > 0 {
		todo := w.pending
		w.pending = nil
		for _, n := range todo {
			off := n.to.off
			w.mu.Unlock()
			if !off {
				n.to.fn(*n.topic, n.removed)
			}
			w.mu.Lock()
		}
	}
	w.busy = false
	w.mu.Unlock()
}

// Run follows $topics, which other nodes write too, and every
// Options.RetainEvery applies retention and compacts what is worth it. It returns nil
// when ctx ends, and an error only when $topics cannot be understood; what the log
// cannot do for the moment is logged and tried again.
func (r *Registry) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() { r.retainLoop(ctx) })
	loops.Go(func() { r.compactLoop(ctx) })
	err := r.roll.Follow(ctx, nil)
	stop()
	loops.Wait()
	return err
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// listStreams gives the engine's streams, none when it cannot list.
func (r *Registry) listStreams(ctx context.Context) ([]parley.Stream, error) {
	if lister, ok := r.log.(parley.Lister); ok {
		return lister.Streams(ctx, "")
	}
	return nil, nil
}

// sweep removes those of the given streams whose number was given to a topic
// that is gone. It touches nothing whose name it does not understand, and no
// number that is still to be given.
func (r *Registry) sweep(ctx context.Context, streams []parley.Stream) error {
	for _, s := range streams {
		slash := strings.LastIndexByte(s.Name, '/')
		if slash < 0 || CheckName(s.Name[:slash]) != nil || IsEphemeral(s.Name) {
			continue
		}
		number, err := strconv.ParseUint(s.Name[slash+1:], 10, 64)
		if err != nil || !r.Retired(number) {
			continue
		}
		if err := r.removeStream(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// removeStream removes a stream, or what Trim can of it.
func (r *Registry) removeStream(ctx context.Context, s parley.Stream) error {
	if remover, ok := r.log.(parley.Remover); ok {
		return remover.Remove(ctx, s)
	}
	end, err := r.log.End(ctx, s)
	if err != nil {
		return err
	}
	return r.log.Trim(ctx, s, end)
}
