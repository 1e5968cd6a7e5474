package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// Bell wakes those who wait for events of partitions. Package pubsub's hub does it
// for a whole process without a goroutine for each; without a Bell, each wait has
// one of its own, in Log.Wait.
type Bell interface {
	// Ring has wake called soon after one of the partitions has an event at or
	// above its place, at once if it has one already. wake does not wait; it may
	// be called more than once, and until cancel has returned.
	Ring(ctx context.Context, at []Place, wake func()) (cancel func(), err error)
}

// Wait is somebody who waits for the group.
type Wait struct {
	group   *Group
	member  string
	version uint64
	wake    func()
	until   func() time.Time // nil = for ever; afterwards the member is not heard on its behalf
	cancel  func()           // of the bell
}

// wait has wake called when the group is beyond a version; meanwhile the member
// counts as heard of.
func (g *Group) wait(member string, version uint64, wake func()) *Wait {
	w := &Wait{group: g, member: member, version: version, wake: wake}
	g.enter(w)
	return w
}

func (g *Group) enter(w *Wait) {
	g.mu.Lock()
	if g.waiting == nil {
		g.waiting = make(map[*Wait]struct{})
	}
	g.waiting[w] = struct{}{}
	start := !g.watching
	g.watching = true
	late := w.version < g.seen // it looked before the watch did
	g.mu.Unlock()
	if start {
		g.all.start(g)
	}
	if late {
		w.wake()
	}
}

// Cancel ends the wait. wake may still be called while it runs, and not after.
func (w *Wait) Cancel() {
	w.group.mu.Lock()
	delete(w.group.waiting, w)
	w.group.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
	}
}

// vouch is how often a node tells a group's owner of the members that wait here:
// well within MinSession.
const vouch = time.Second

// watch asks the owner, for all who wait on this node, until nobody does. It is
// run by Groups.Run.
func (g *Group) watch(ctx context.Context) {
	var version uint64
	for retry := firstRetry; ; {
		members, some := g.members(time.Now())
		if !some {
			return
		}
		a, err := g.ask(ctx, &request{Op: "watch", Members: members, Version: version, Wait: vouch})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			g.all.opt.Logger.Debug("a group's owner cannot be reached", slog.String("group", g.name), slog.Any("error", err))
			if parley.CodeOf(err) != parley.Unavailable {
				retry = min(2*retry, lastRetry)
			}
			pause(ctx, retry)
			continue
		}
		retry, version = firstRetry, a.Version
		for _, w := range g.behind(version) {
			w.wake()
		}
	}
}

// members gives those who wait here; false: nobody does, and the watch is over.
func (g *Group) members(now time.Time) (list []string, some bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.watching = false
		return nil, false
	}
	for w := range g.waiting {
		if w.until == nil || now.Before(w.until()) {
			list = append(list, w.member)
		}
	}
	return list, true
}

// behind gives the waits that know an older version; they are told once.
func (g *Group) behind(version uint64) (list []*Wait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = max(g.seen, version)
	for w := range g.waiting {
		if w.version < version {
			w.version = version
			list = append(list, w)
		}
	}
	return list
}

// Park has wake called soon after a Fetch would give more than f did: events, or
// another generation. Until Cancel the member counts as heard of.
func (g *Group) Park(ctx context.Context, f *Fetched, wake func()) (*Wait, error) {
	w := &Wait{group: g, member: f.Member, version: f.version, wake: wake}
	if !f.Rebalance {
		cancel, err := g.all.bell.Ring(ctx, f.places(), wake)
		if err != nil {
			return nil, err
		}
		w.cancel = cancel
	}
	g.enter(w)
	return w, nil
}

// ownBell is a Bell without a hub.
type ownBell struct{ gs *Groups }

// Ring implements Bell.
func (b ownBell) Ring(ctx context.Context, at []Place, wake func()) (func(), error) {
	list := make([]parley.Place, 0, len(at))
	for _, p := range at {
		if t, err := b.gs.topics.Get(p.Topic); err == nil && p.Partition < len(t.Partitions) {
			list = append(list, parley.Place{Stream: t.Partitions[p.Partition].Stream, At: p.Position})
		}
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.gs.log.Wait(ctx, list...); ctx.Err() == nil {
			_ = err // the Fetch that follows meets it
			wake()
		}
	}()
	return func() {
		stop()
		<-done
	}, nil
}
