package stream

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
)

// owner runs the machine on the node that owns the group. The fields below the
// line are touched in the journal's goroutine only.
type owner struct {
	g       *Group
	journal *journal.Journal
	retired chan struct{} // the group is to be given up
	topics  changes

	*book
	begun   bool
	closing int64         // until when nobody joins, in milliseconds: the group is on its way off the list
	told    uint64        // the version that changed was last closed for
	changed chan struct{} // closed and replaced with each version
}

var _ interface {
	journal.Machine
	journal.Timed
} = (*owner)(nil)

// closingMillis is how long a cleared group is closed, if it is on the list for that
// long. Who joined before it is off would have to join once more.
const closingMillis = 5000

// own runs the group for one ownership.
func own(ctx context.Context, g *Group, log parley.Log, s *shard.Owner) error {
	o := &owner{
		g: g, retired: make(chan struct{}, 1), changed: make(chan struct{}),
		topics: changes{some: make(chan struct{}, 1), list: make(map[uint64]change)},
		book:   newBook(newMachine(), g.all.opt.Retention.Milliseconds()),
	}
	j, err := journal.Open(ctx, log, g.moves, o, journal.Options{Fence: s.Fence, Logger: g.all.opt.Logger})
	if err != nil {
		return err
	}
	o.journal = j
	// Before the journal runs, and with it takeOver: what goes after that looks at
	// which topics are there is told.
	defer g.all.topics.Watch(o.topics.add)()
	work, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { o.follow(work) })
	tasks.Go(func() { o.retire(work) })
	s.Handle(o.handle)
	return j.Run(ctx)
}

// do runs fn as Journal.Do does, after what time has brought.
func (o *owner) do(ctx context.Context, fn func(tx *journal.Tx, now int64) error) error {
	return o.journal.Do(ctx, func(tx *journal.Tx) error {
		now := tx.Now().UnixMilli()
		err := o.pass(tx, now)
		if err == nil {
			err = fn(tx, now)
		}
		o.tell()
		return err
	})
}

// pass does what is due.
func (o *owner) pass(tx *journal.Tx, now int64) error {
	if !o.begun {
		if err := o.takeOver(tx, now, o.journal.Term()); err != nil {
			return err
		}
		if err := o.change(tx, now, nil, slices.DeleteFunc(o.numbers(), o.there)); err != nil {
			return err
		}
		o.begun = true
	}
	retired, err := o.expire(tx, now)
	if retired {
		select {
		case o.retired <- struct{}{}:
		default:
		}
	}
	return err
}

// there says that the topic of a partition was not deleted, as far as it is known
// here. No number is given twice, so a topic that was made anew under the old name
// has others. One that is not known yet is there.
func (o *owner) there(number uint64) bool { return !o.g.all.topics.Retired(number) }

// tell lets those look again who wait for a change.
func (o *owner) tell() {
	if o.version != o.told {
		o.told = o.version
		close(o.changed)
		o.changed = make(chan struct{})
	}
}

// Due implements journal.Timed: an idle group without members has nothing due.
func (o *owner) Due() time.Time {
	switch {
	case !o.begun:
		return time.UnixMilli(1)
	case o.next == 0:
		return time.Time{}
	}
	return time.UnixMilli(o.next)
}

// Fire implements journal.Timed.
func (o *owner) Fire(tx *journal.Tx) {
	if err := o.pass(tx, tx.Now().UnixMilli()); err != nil {
		o.g.all.opt.Logger.Error("a group's members could not be given up", slog.String("group", o.g.name), slog.Any("error", err))
		o.next = tx.Now().Add(time.Second).UnixMilli()
		o.begun = true
	}
	o.tell()
}

// retire deletes the group when it is to be given up.
func (o *owner) retire(ctx context.Context) {
	for {
		select {
		case <-o.retired:
		case <-ctx.Done():
			return
		}
		if err := o.giveUp(ctx); err != nil && ctx.Err() == nil {
			o.g.all.opt.Logger.Warn("a group that nobody used is still listed", slog.String("group", o.g.name), slog.Any("error", err))
		}
	}
}

// giveUp takes a group that nobody uses off the list, unless somebody joined in
// between. It takes no longer than the group is closed. That it is cleared is
// durable first: an owner that was replaced, and does not know it, deletes nothing.
func (o *owner) giveUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closingMillis*time.Millisecond)
	defer cancel()
	unused := false
	err := o.do(ctx, func(tx *journal.Tx, now int64) error {
		if unused = o.unused(now); !unused {
			return nil
		}
		o.closing = now + closingMillis
		return o.clearAll(tx)
	})
	if err != nil || !unused {
		return err
	}
	return o.g.all.forget(ctx, o.g)
}

// changes collects what became of topics, the newest for each. It fills while the
// owner is busy, and holds no topic twice.
type changes struct {
	mu   sync.Mutex
	some chan struct{}
	list map[uint64]change // by number of the topic's first partition
}

type change struct {
	topic.Topic
	removed bool
}

func (c *changes) add(t topic.Topic, removed bool) {
	if topic.IsEphemeral(t.Name) || t.Settings.Durability == topic.Memory {
		return
	}
	c.mu.Lock()
	c.list[t.Partitions[0].Number] = change{t, removed}
	c.mu.Unlock()
	select {
	case c.some <- struct{}{}:
	default:
	}
}

func (c *changes) take() map[uint64]change {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = make(map[uint64]change)
	return list
}

// follow has the group take in topics that come, grow and go.
func (o *owner) follow(ctx context.Context) {
	for {
		select {
		case <-o.topics.some:
		case <-ctx.Done():
			return
		}
		list := o.topics.take()
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			err := o.takeIn(ctx, list)
			if err == nil || ctx.Err() != nil {
				break
			}
			o.g.all.opt.Logger.Warn("a group cannot take in topics", slog.String("group", o.g.name), slog.Any("error", err))
			pause(ctx, wait)
		}
	}
}

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// takeIn takes a list of changed topics in. Which of them somebody wants is found
// out beside the journal: there may be very many.
func (o *owner) takeIn(ctx context.Context, list map[uint64]change) error {
	var wanted []*member
	err := o.do(ctx, func(*journal.Tx, int64) error {
		for _, m := range o.members {
			wanted = append(wanted, &member{topics: m.topics})
		}
		return nil
	})
	if err != nil {
		return err
	}
	var came []track
	var gone []uint64
	for _, c := range list {
		for i, p := range c.Partitions {
			if c.removed {
				gone = append(gone, p.Number)
			} else if anyWants(wanted, c.Name) {
				came = append(came, track{Topic: c.Name, Index: i, place: place{Number: p.Number}})
			}
		}
	}
	return o.do(ctx, func(tx *journal.Tx, now int64) error { return o.change(tx, now, came, gone) })
}

func anyWants(members []*member, name string) bool {
	for _, m := range members {
		if m.wants(name) {
			return true
		}
	}
	return false
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
