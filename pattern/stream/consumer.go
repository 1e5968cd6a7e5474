package stream

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// ConsumerOptions steer a Consumer. The zero value of each field but Topics works.
type ConsumerOptions struct {
	// Topics, Client, Session, Rebalance and From are those of JoinRequest.
	Topics    []string
	Client    string
	Session   time.Duration
	Rebalance time.Duration
	From      From
	// Limit and MaxBytes bound one Poll; see FetchRequest.
	Limit    int
	MaxBytes int
	// MaxPoll is how long the member counts as alive after a Poll: a program that
	// hangs loses its partitions then. Default 5 min.
	MaxPoll time.Duration
	// AutoCommit has Poll commit what the Polls before it gave, at most so often,
	// and always before partitions change hands and in Leave. 0 = Commit does it.
	AutoCommit time.Duration
	// OnAssign hears of the partitions of each new generation, OnRevoke of those
	// that the member has lost: all of them, when it was given up. They are called
	// by Poll, Join and Leave.
	OnAssign func(ctx context.Context, assigned []Place)
	OnRevoke func(ctx context.Context, revoked []Place)
	// OnGap hears of events that retention took away before they were read.
	OnGap func(ctx context.Context, gap Gap)
	// Logger hears of commits and rejoins that fail. Default: nobody.
	Logger *slog.Logger
}

// Consumer is a member of a group, for a program with a loop:
//
//	for {
//		messages, err := c.Poll(ctx)
//		…work them off…
//		err = c.Commit(ctx) // not with AutoCommit
//	}
//
// Poll says that what the Poll before gave is worked off, or given up. A Consumer
// is for one goroutine at a time. While it is joined, Groups.Run keeps it alive.
type Consumer struct {
	group *Group
	opt   ConsumerOptions

	member     string
	generation uint64
	cursor     string // behind what Poll gave
	committed  string // the cursor that was committed last
	assigned   []Place
	life       *Wait
	polled     atomic.Int64 // when Poll was last called, in nanoseconds
	stirred    atomic.Bool  // the group has changed
	saved      time.Time    // when it was last committed
}

// NewConsumer makes a Consumer. It starts nothing. Errors: Invalid options.
func NewConsumer(g *Group, o ConsumerOptions) (*Consumer, error) {
	if err := checkPatterns(o.Topics); err != nil {
		return nil, err
	}
	if err := checkTimes(&o.Session, &o.Rebalance); err != nil {
		return nil, err
	}
	if o.MaxPoll < 0 || o.AutoCommit < 0 {
		return nil, parley.BadField("options", "a negative duration", "leave it 0 for the default")
	}
	if o.MaxPoll == 0 {
		o.MaxPoll = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Consumer{group: g, opt: o}, nil
}

// Member is the consumer's id in the group; "" before it has joined.
func (c *Consumer) Member() string { return c.member }

// Generation is the generation that the consumer is in.
func (c *Consumer) Generation() uint64 { return c.generation }

// Assigned are the consumer's partitions, and its places in them.
func (c *Consumer) Assigned() []Place { return c.assigned }

// Join lets the consumer in; Poll does it too. Errors: those of Group.Join.
func (c *Consumer) Join(ctx context.Context) error {
	if c.member != "" {
		return nil
	}
	j, err := c.group.Join(ctx, JoinRequest{Topics: c.opt.Topics, Client: c.opt.Client, Session: c.opt.Session, Rebalance: c.opt.Rebalance, From: c.opt.From, Wait: -1})
	if err != nil {
		return err
	}
	c.member, c.cursor, c.committed = j.Member, "", ""
	c.polled.Store(time.Now().UnixNano())
	c.life = &Wait{
		group: c.group, member: c.member, wake: func() { c.stirred.Store(true) },
		until: func() time.Time { return time.Unix(0, c.polled.Load()).Add(c.opt.MaxPoll) },
	}
	c.group.enter(c.life)
	if !j.Rebalance {
		c.take(ctx, j.Generation, j.Assigned)
	}
	return nil
}

// take takes note of a generation.
func (c *Consumer) take(ctx context.Context, generation uint64, assigned []Place) {
	had := c.assigned
	c.generation, c.assigned = generation, assigned
	if lost := missing(had, assigned); len(lost) > 0 && c.opt.OnRevoke != nil {
		c.opt.OnRevoke(ctx, lost)
	}
	if c.opt.OnAssign != nil {
		c.opt.OnAssign(ctx, assigned)
	}
}

// missing gives those of had that are not in now.
func missing(had, now []Place) (lost []Place) {
	type key struct {
		topic     string
		partition int
	}
	there := make(map[key]bool, len(now))
	for _, p := range now {
		there[key{p.Topic, p.Partition}] = true
	}
	for _, p := range had {
		if !there[key{p.Topic, p.Partition}] {
			lost = append(lost, p)
		}
	}
	return lost
}

// Poll waits for events and gives them, in order within each partition, joining
// first if need be. It gives none, and nil, when the generation has changed. A
// consumer that was given up joins again. Errors: the context's; those of Group.Join and
// Group.Fetch.
func (c *Consumer) Poll(ctx context.Context) ([]Message, error) {
	c.polled.Store(time.Now().UnixNano())
	if err := c.Join(ctx); err != nil {
		return nil, err
	}
	if c.stirred.Swap(false) || time.Since(c.saved) >= c.opt.AutoCommit {
		c.autoCommit(ctx)
	}
	for {
		f, err := c.group.Fetch(ctx, FetchRequest{Member: c.member, Generation: c.generation, After: c.cursor, Commit: c.opt.AutoCommit > 0, Limit: c.opt.Limit, MaxBytes: c.opt.MaxBytes})
		if err != nil && c.lost(err) {
			c.drop(ctx)
			return nil, c.Join(ctx)
		}
		if err != nil {
			return nil, err
		}
		c.cursor = f.Cursor
		for _, gap := range f.Gaps {
			if c.opt.OnGap != nil {
				c.opt.OnGap(ctx, gap)
			}
		}
		if f.Changed {
			c.take(ctx, f.Generation, f.Assigned)
		} else if !f.Rebalance {
			c.assigned = f.Assigned
		}
		if len(f.Messages) > 0 || f.Changed {
			return f.Messages, nil
		}
		c.autoCommit(ctx) // nothing is left over while it waits: a rebalance does not ask
		if err := c.park(ctx, f); err != nil {
			return nil, err
		}
		c.polled.Store(time.Now().UnixNano())
	}
}

// autoCommit commits what is worked off, if that is wanted. What cannot be
// committed comes again.
func (c *Consumer) autoCommit(ctx context.Context) {
	if c.opt.AutoCommit == 0 {
		return
	}
	if err := c.Commit(ctx); err != nil && !c.lost(err) {
		c.opt.Logger.Warn("a consumer cannot commit", slog.String("group", c.group.name), slog.Any("error", err))
	}
}

// park waits until there may be more.
func (c *Consumer) park(ctx context.Context, f *Fetched) error {
	woken := make(chan struct{}, 1)
	w, err := c.group.Park(ctx, f, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer w.Cancel()
	again := time.NewTicker(c.opt.MaxPoll / 2) // so that who waits for long counts as alive
	defer again.Stop()
	for {
		select {
		case <-woken:
			return nil
		case <-again.C:
			c.polled.Store(time.Now().UnixNano())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lost says that the consumer is no member any more.
func (c *Consumer) lost(err error) bool {
	e, ok := err.(*parley.Error) //nolint:errorlint // the group's own, unwrapped
	return ok && e.Code == parley.Conflict && e.Field == "member"
}

// drop forgets what the consumer had.
func (c *Consumer) drop(ctx context.Context) {
	c.life.Cancel()
	lost := c.assigned
	c.member, c.generation, c.assigned, c.cursor, c.committed = "", 0, nil, "", ""
	if len(lost) > 0 && c.opt.OnRevoke != nil {
		c.opt.OnRevoke(ctx, lost)
	}
}

// Commit makes durable that everything is worked off that Poll has given. Errors:
// those of Group.Commit; Conflict says that another reads the partition now, and
// the events come again.
func (c *Consumer) Commit(ctx context.Context) error {
	if c.cursor == "" || c.cursor == c.committed {
		return nil
	}
	c.saved = time.Now()
	_, err := c.group.Commit(ctx, CommitRequest{Member: c.member, Generation: c.generation, Cursor: c.cursor})
	if err == nil {
		c.committed = c.cursor
	}
	return err
}

// CommitPlaces makes durable how far the consumer is in some partitions. Errors:
// those of Group.Commit.
func (c *Consumer) CommitPlaces(ctx context.Context, places ...Place) error {
	_, err := c.group.Commit(ctx, CommitRequest{Member: c.member, Generation: c.generation, Places: places})
	return err
}

// Leave takes the consumer out of the group, after an automatic commit if it makes
// those. It can join again. Errors: those of Group.Commit and Group.Leave.
func (c *Consumer) Leave(ctx context.Context) error {
	if c.member == "" {
		return nil
	}
	var err error
	if c.opt.AutoCommit > 0 {
		err = c.Commit(ctx)
	}
	if left := c.group.Leave(ctx, c.member); err == nil && !c.lost(left) {
		err = left
	}
	c.drop(ctx)
	return err
}
