package client

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

const (
	holdFetch = 25 * time.Second // how long a request for events may wait
	farewell  = 5 * time.Second  // what the loop's end may take
	beatEvery = 3 * time.Second  // at least; and three times within a session
)

// life is one stretch of work of the loop's body, of which signs of life are given.
type life struct {
	member     string
	generation uint64
	since      atomic.Int64 // when the body was given something last
	called     atomic.Int64 // when the group asked the member to come back; 0 = it has not
	lost       atomic.Bool  // the group has given the member up
}

// run is the loop.
func (c *Consumer) run(ctx context.Context, most int, yield func([]stream.Message, error) bool) {
	beats, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.beat(beats)
	}()
	defer func() {
		c.leave(ctx)
		end()
		<-done
	}()
	longest := min(c.session()/6, 30*time.Second) // several tries within a session
	for wait := time.Duration(0); ; {
		batch, err := c.next(ctx)
		switch {
		case err == nil:
			wait = 0
			if !c.work(ctx, batch, most, yield) {
				return
			}
			continue
		case ctx.Err() != nil:
			yield(nil, ctx.Err())
			return
		case !mends(err):
			yield(nil, err)
			return
		}
		wait = min(2*wait+250*time.Millisecond, longest)
		jittered := wait/2 + rand.N(wait)
		var e *parley.Error
		if errors.As(err, &e) && e.RetryAfter > jittered {
			jittered = e.RetryAfter
		}
		c.log.Warn("a consumer got no events, and asks again", slog.Duration("wait", jittered), slog.Any("error", err))
		if c.c.opt.OnReconnect != nil {
			c.c.opt.OnReconnect(err, jittered)
		}
		if !pause(ctx, jittered) {
			yield(nil, ctx.Err())
			return
		}
	}
}

// next asks for events: one request, before which the member joins if need be.
func (c *Consumer) next(ctx context.Context) ([]stream.Message, error) {
	if err := c.join(ctx); err != nil {
		return nil, err
	}
	if l := c.life.Swap(nil); c.opt.AutoCommit > 0 && (!c.more || l != nil && l.called.Load() != 0 || time.Since(c.saved) >= c.opt.AutoCommit) {
		c.autoCommit(ctx) // nothing is left over while it waits: a rebalance does not ask
	}
	r := stream.FetchRequest{Member: c.member, Generation: c.generation, After: c.cursor, Commit: c.opt.AutoCommit > 0, Limit: c.opt.Limit, MaxBytes: c.opt.MaxBytes}
	f, err := c.via.Fetch(ctx, r, holdFetch)
	if behind := Resume(err); behind != "" && parley.CodeOf(err) == parley.Trimmed && behind != c.cursor {
		c.log.Warn("events are gone that were not read", slog.Any("error", err))
		if c.opt.OnGap != nil {
			c.opt.OnGap(ctx, err)
		}
		c.cursor, c.more = behind, true
		return nil, nil
	}
	if gone(err) {
		c.log.Warn("a membership is over", slog.String("member", c.member), slog.Any("error", err))
		c.drop(ctx)
		if c.losses++; c.losses > 1 { // it was of no use: that is not to go on without a pause
			return nil, &parley.Error{Code: parley.Unavailable, Detail: "the group gives up its members", Err: err}
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.losses = 0
	c.cursor, c.more = f.Cursor, f.More
	if f.Changed {
		c.progress.renew(f)
		c.take(ctx, f.Generation, f.Assigned)
	}
	return f.Messages, nil
}

// gone says that the member is not in the group any more, or the group not there.
func gone(err error) bool {
	var e *parley.Error
	return errors.As(err, &e) && (e.Code == parley.NotFound || e.Code == parley.Conflict && (e.Field == "member" || e.Field == "generation"))
}

// join lets the consumer in, unless it is.
func (c *Consumer) join(ctx context.Context) error {
	if c.member != "" {
		return nil
	}
	o := &c.opt
	j, err := c.via.Join(ctx, stream.JoinRequest{Topics: o.Topics, Client: o.Client, Session: o.Session, Rebalance: o.Rebalance, Wait: -1}, o.From)
	if err != nil {
		return err
	}
	c.member, c.generation, c.cursor, c.more, c.saved = j.Member, 0, "", false, time.Now()
	if !j.Rebalance {
		c.take(ctx, j.Generation, j.Assigned)
	}
	return nil
}

// take takes note of a generation.
func (c *Consumer) take(ctx context.Context, generation uint64, assigned []stream.Place) {
	had := c.assigned
	c.generation, c.assigned = generation, assigned
	now := make(progress, len(assigned))
	for _, p := range assigned {
		now[spot{p.Topic, p.Partition}] = p.Position
	}
	var lost []stream.Place
	for _, p := range had {
		if _, kept := now[spot{p.Topic, p.Partition}]; !kept {
			lost = append(lost, p)
		}
	}
	if len(lost) > 0 && c.opt.OnRevoke != nil {
		c.opt.OnRevoke(ctx, lost)
	}
	if c.opt.OnAssign != nil {
		c.opt.OnAssign(ctx, assigned)
	}
}

// drop forgets what the consumer had in a membership that is over.
func (c *Consumer) drop(ctx context.Context) {
	lost := c.assigned
	c.life.Store(nil)
	c.member, c.generation, c.cursor, c.more, c.assigned, c.hold = "", 0, "", false, nil, nil
	clear(c.progress)
	if len(lost) > 0 && c.opt.OnRevoke != nil {
		c.opt.OnRevoke(ctx, lost)
	}
}

// work hands a batch to the body, at most so many events at a time; false: the loop
// was left. What is left of a batch when the group has called for too long, or the
// member is lost, is let go, and comes again.
func (c *Consumer) work(ctx context.Context, batch []stream.Message, most int, yield func([]stream.Message, error) bool) bool {
	l := &life{member: c.member, generation: c.generation}
	for len(batch) > 0 {
		n := min(most, len(batch))
		l.since.Store(time.Now().UnixNano())
		c.life.Store(l) // until the next request, which is a sign of life itself
		c.hold = batch[:n:n]
		if !yield(c.hold, nil) {
			c.hold = nil
			return false
		}
		c.finish()
		batch = batch[n:]
		if c.opt.AutoCommit > 0 && time.Since(c.saved) >= c.opt.AutoCommit {
			c.autoCommit(ctx)
		}
		if len(batch) == 0 {
			break
		}
		if c.late(l) || ctx.Err() != nil {
			c.cursor = "" // back to what is committed
			break
		}
	}
	return true
}

// session is how long the member may be silent.
func (c *Consumer) session() time.Duration {
	if c.opt.Session == 0 {
		return stream.DefaultSession
	}
	return c.opt.Session
}

// late says that a batch cannot be finished any more.
func (c *Consumer) late(l *life) bool {
	if l.lost.Load() {
		return true
	}
	patience := c.opt.Rebalance
	if patience == 0 {
		patience = stream.DefaultRebalance
	}
	called := l.called.Load()
	return called != 0 && time.Since(time.Unix(0, called)) > patience/2
}

// autoCommit commits what is worked off. What cannot be committed comes again, or
// is committed later.
func (c *Consumer) autoCommit(ctx context.Context) {
	if err := c.Commit(ctx); err != nil && ctx.Err() == nil {
		c.log.Warn("a consumer cannot commit", slog.Any("error", err))
	}
}

// beat gives signs of life while the body works, until ctx ends.
func (c *Consumer) beat(ctx context.Context) {
	tick := time.NewTicker(min(max(c.session()/3, time.Second), beatEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l := c.life.Load()
		if l == nil || l.lost.Load() || time.Since(time.Unix(0, l.since.Load())) > c.opt.MaxPoll {
			continue
		}
		b, err := c.via.Heartbeat(ctx, l.member, l.generation)
		switch {
		case gone(err):
			l.lost.Store(true)
		case err == nil && b.Rebalance:
			l.called.CompareAndSwap(0, time.Now().UnixNano())
		}
	}
}

// leave ends a membership well, also when ctx has ended.
func (c *Consumer) leave(ctx context.Context) {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer end()
	c.life.Store(nil)
	c.hold = nil
	if c.member != "" {
		if c.opt.AutoCommit > 0 {
			c.autoCommit(ctx)
		}
		if err := c.via.Leave(ctx, c.member); err != nil && !gone(err) {
			c.log.Warn("a consumer cannot leave its group; its session will end", slog.Any("error", err))
		}
		c.drop(ctx)
	}
	_ = c.via.Close() // nothing is lost with it
}
