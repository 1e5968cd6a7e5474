package client

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

// ConsumerOptions steer a Consumer. The zero value of each field but Topics works.
type ConsumerOptions struct {
	// Topics are the names and patterns that the member wants: 1 to
	// stream.MaxPatterns.
	Topics []string
	// Client is what the member calls itself, for people.
	Client string
	// From is where the group begins in partitions that it has no place in:
	// "earliest", which is the default, "latest", "@TIME" in RFC 3339, or a cursor.
	From string
	// Session is how long the member may be silent, Rebalance how long it may take
	// to come back for a rebalance: 3 s to 30 min, by default 30 s and 1 min.
	Session   time.Duration
	Rebalance time.Duration
	// Limit is the most events of one request, 1 to stream.MaxFetch, by default 100;
	// MaxBytes about how much they may have together, by default 1 MiB.
	Limit    int
	MaxBytes int
	// MaxPoll is how long the loop's body may take for what it was given: who hangs
	// for longer loses the partitions. Default 5 min.
	MaxPoll time.Duration
	// AutoCommit has the loop commit what its body has finished with, at most so
	// often while there is more to do, and always before it waits, before partitions
	// change hands, and when it ends. 0 = Commit does it.
	AutoCommit time.Duration
	// OnAssign hears of the partitions of each new generation, OnRevoke of those
	// that the member has lost. The loop calls them, between two events.
	OnAssign func(ctx context.Context, assigned []stream.Place)
	OnRevoke func(ctx context.Context, revoked []stream.Place)
	// OnGap hears, as an error of the code Trimmed, of events that retention took
	// away before they were read. The loop goes on behind them.
	OnGap func(ctx context.Context, err error)
	// Over is LongPoll, which is the default, or GRPC, which needs a GroupTransport
	// as Options.GRPC.
	Over Transport
	// Logger hears of commits that fail, and of lost memberships. Default: nobody.
	Logger *slog.Logger
}

// Consumer is a member of a consumer group, for a program with a loop:
//
//	consumer, err := c.Group("billing").Consumer(client.ConsumerOptions{Topics: []string{"orders"}, AutoCommit: 5 * time.Second})
//	for m, err := range consumer.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		work(m.Topic, m.Partition, m.Position, m.Event)
//	}
//
// The loop joins the group, and leaves it when it ends. It gives signs of life
// while its body works, makes lost connections again with jittered back-off, and
// joins anew when the group has given the member up. It is for one loop at a time,
// and its methods are for that loop's body.
type Consumer struct {
	c   *Client
	via Membership
	opt ConsumerOptions
	log *slog.Logger

	member     string
	generation uint64
	cursor     string // behind what was fetched; "" = go on from the committed places
	more       bool   // there are events behind the cursor
	assigned   []stream.Place
	hold       []stream.Message // what the body works on
	progress   progress         // what is worked off and not committed
	saved      time.Time        // when it was last committed
	losses     int              // memberships lost since one was of use
	life       atomic.Pointer[life]
}

// Consumer makes a member of the group. It starts nothing. Errors: Invalid options.
func (g *Group) Consumer(o ConsumerOptions) (*Consumer, error) {
	if err := stream.CheckName(g.name); err != nil {
		return nil, err
	}
	if len(o.Topics) == 0 {
		return nil, parley.BadField("Topics", "no topic is named", "name at least one topic or pattern")
	}
	if o.MaxPoll < 0 || o.AutoCommit < 0 || o.Session < 0 || o.Rebalance < 0 {
		return nil, parley.BadField("options", "a negative duration", "leave it 0 for the default")
	}
	if o.MaxPoll == 0 {
		o.MaxPoll = 5 * time.Minute
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Consumer{c: g.c, opt: o, log: log.With(slog.String("group", g.name)), progress: progress{}}
	switch o.Over {
	case LongPoll, "":
		c.via = overHTTP{g}
	case GRPC:
		t, ok := g.c.opt.GRPC.(GroupTransport)
		if !ok {
			return nil, parley.BadField("Over", "the client has no gRPC transport for groups", "set Options.GRPC to one of package client/overgrpc")
		}
		c.via = t.Membership(g.name)
	default:
		return nil, parley.BadField("Over", "groups are not read over "+string(o.Over), "use long-poll or grpc")
	}
	return c, nil
}

// Member is the consumer's id in the group; "" while it is not in it.
func (c *Consumer) Member() string { return c.member }

// Generation is the generation that the consumer is in.
func (c *Consumer) Generation() uint64 { return c.generation }

// Assigned are the consumer's partitions, and where it began in them.
func (c *Consumer) Assigned() []stream.Place { return c.assigned }

// Messages gives the events of the member's partitions for ever, in order within
// each partition. An event is worked off when the loop's body has ended, and the
// loop goes on; not so that in whose body the loop was left, unless Commit said it.
// It ends with ctx's error, or with one that trying again cannot mend (Forbidden,
// Invalid, BadCursor, …), yielded last; then, or when the loop is left, it commits
// if it does so by itself, and leaves the group, which takes 5 s at most.
func (c *Consumer) Messages(ctx context.Context) iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		c.run(ctx, 1, func(list []stream.Message, err error) bool {
			if err != nil {
				return yield(stream.Message{}, err)
			}
			return yield(list[0], nil)
		})
	}
}

// Batches is Messages with as many events at a time as one request gave, at least
// one: for bodies that do better with many.
func (c *Consumer) Batches(ctx context.Context) iter.Seq2[[]stream.Message, error] {
	return func(yield func([]stream.Message, error) bool) { c.run(ctx, stream.MaxFetch, yield) }
}

// Commit makes durable that all events that the loop has given are worked off, the
// present one too. Errors: Conflict when the partition is another's by now, and the
// events come again; Unknown, Unavailable, ….
func (c *Consumer) Commit(ctx context.Context) error {
	c.finish()
	if len(c.progress) == 0 {
		return nil
	}
	c.saved = time.Now()
	err := c.via.Commit(ctx, stream.CommitRequest{Member: c.member, Generation: c.generation, Places: c.progress.places()})
	if err == nil || parley.CodeOf(err) == parley.Conflict { // what is not taken comes again
		clear(c.progress)
	}
	return err
}

// CommitPlaces makes durable how far the consumer is in some partitions: the
// positions to read next. Errors: those of Commit.
func (c *Consumer) CommitPlaces(ctx context.Context, places ...stream.Place) error {
	return c.via.Commit(ctx, stream.CommitRequest{Member: c.member, Generation: c.generation, Places: places})
}

// finish takes note that what the body had is worked off.
func (c *Consumer) finish() {
	for i := range c.hold {
		m := &c.hold[i]
		c.progress[spot{m.Topic, m.Partition}] = m.Position + 1
	}
	c.hold = nil
}

// spot is a partition.
type spot struct {
	topic     string
	partition int
}

// progress is how far a member is in some partitions: the positions to read next.
type progress map[spot]parley.Position

func (p progress) places() []stream.Place {
	list := make([]stream.Place, 0, len(p))
	for s, at := range p {
		list = append(list, stream.Place{Topic: s.topic, Partition: s.partition, Position: at})
	}
	return list
}

// renew makes of what is not committed what the next generation can commit: where
// it begins in the partitions that the member still has. After a seek those are
// others than where it was.
func (p progress) renew(f *stream.Fetched) {
	begin := make(progress, len(f.Assigned))
	for _, a := range f.Assigned {
		begin[spot{a.Topic, a.Partition}] = a.Position
	}
	for i := len(f.Messages) - 1; i >= 0; i-- {
		m := &f.Messages[i]
		begin[spot{m.Topic, m.Partition}] = m.Position
	}
	for s := range p {
		if at := begin[s]; at > 0 {
			p[s] = at
		} else {
			delete(p, s)
		}
	}
}
