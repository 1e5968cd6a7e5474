package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

// FetchRequest asks for events on behalf of a member. To ask is to say that
// everything from before a rebalance is worked off, or given up: the member has
// come back.
type FetchRequest struct {
	Member     string
	Generation uint64
	// After is the cursor of the last answer; empty = the committed places.
	After string
	// Limit is the most events, 1 to MaxFetch; 0 = DefaultFetch.
	Limit int
	// MaxBytes is about how much the events may have together, at least one comes
	// whatever its size; 0 = 1 MiB, at most 8 MiB.
	MaxBytes int
	// Commit says that After is worked off: the owner commits it when a rebalance
	// would take partitions away that were read further than they are committed.
	Commit bool
	// Allow, if not nil, is asked for each topic that is read.
	Allow func(topic string) error
}

// Bounds of FetchRequest.MaxBytes.
const (
	DefaultMaxBytes = 1 << 20
	LargestMaxBytes = 8 << 20
)

// Message is an event and where it is.
type Message struct {
	Topic     string
	Partition int
	Position  parley.Position
	Event     parley.Event
}

// Gap tells that events between the member's place and what retention has left are
// gone.
type Gap struct {
	Topic     string
	Partition int
	From, To  parley.Position // what is gone: From ≤ position < To
}

// Fetched is what a member is given.
type Fetched struct {
	Member     string
	Generation uint64
	// Rebalance says that the others are waited for: there are no events and no
	// places until the next generation.
	Rebalance bool
	// Changed says that Generation is not the one of the request.
	Changed  bool
	Messages []Message
	// Assigned are the partitions of the member and its places in them, behind
	// Messages.
	Assigned []Place
	// Cursor is all these places; it is what to commit when Messages are worked
	// off, and what to fetch from next.
	Cursor string
	// Gaps are what retention took away: Messages go on behind. Resume is then the
	// cursor behind the gaps and before Messages.
	Gaps   []Gap
	Resume string
	// More says that there are events behind Messages already.
	More bool
	// Lag counts the events behind Messages; −1 when the log cannot tell.
	Lag int64

	version uint64
}

// Fetch gives a member what there is in its partitions, and never waits; see Park.
// Errors: Invalid; BadCursor; Conflict for who is no member, or has a generation
// that never was; what Allow says; those of Host.Ask and of Log.Read.
func (g *Group) Fetch(ctx context.Context, r FetchRequest) (*Fetched, error) {
	switch {
	case r.Limit < 0 || r.Limit > MaxFetch:
		return nil, parley.BadField("limit", "is "+strconv.Itoa(r.Limit), "send 1 to 1000")
	case r.MaxBytes < 0 || r.MaxBytes > LargestMaxBytes:
		return nil, parley.BadField("max_bytes", "is "+strconv.Itoa(r.MaxBytes), "send 1 to 8388608")
	}
	if r.Limit == 0 {
		r.Limit = DefaultFetch
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultMaxBytes
	}
	var marks map[uint64]cursor.Mark
	if r.After != "" {
		var err error
		if marks, err = g.all.open("after", r.After); err != nil {
			return nil, err
		}
	}
	q := &request{Op: "sync", Member: r.Member, Generation: r.Generation}
	if r.Commit {
		for _, m := range marks {
			if m.Next > 0 {
				q.Places = append(q.Places, place{m.Number, m.Next, m.Epoch})
			}
		}
		slices.SortFunc(q.Places, byNumber)
	}
	a, err := g.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	f := &Fetched{Member: r.Member, Generation: a.Generation, Rebalance: a.Rebalance, Changed: a.Generation != r.Generation, version: a.Version, Assigned: []Place{}}
	if f.Rebalance {
		f.Changed, f.Cursor = false, r.After
		return f, nil
	}
	for _, p := range a.Parts {
		if r.Allow != nil {
			if err := r.Allow(p.Topic); err != nil {
				return nil, err
			}
		}
	}
	d := &fetching{all: g.all, room: r.MaxBytes, limit: r.Limit, out: f}
	for _, p := range a.Parts {
		m, named := marks[p.Number]
		if err := d.open(ctx, p, m, named && p.Since <= r.Generation); err != nil {
			return nil, err
		}
	}
	return f, d.read(ctx)
}

// places are where the member reads on.
func (f *Fetched) places() []Place { return f.Assigned }

// fetching is a Fetch under way.
type fetching struct {
	all   *Groups
	spots []*spot
	room  int // bytes
	limit int // events
	out   *Fetched
}

// spot is a member's place in one partition.
type spot struct {
	assigned
	stream parley.Stream
	stats  parley.Stats
	begin  parley.Position // where the first event is read, or would be
}

// open finds where the member reads on in a partition: at its own place, if it
// has had the partition since it was there, and else at the committed one.
func (d *fetching) open(ctx context.Context, p assigned, m cursor.Mark, own bool) error {
	part, _, there := d.all.topics.ByNumber(p.Number)
	if !there {
		return nil // deleted a moment ago, or not yet known here: the next Fetch has it
	}
	stats, err := d.all.stats(ctx, part.Stream)
	if err != nil {
		return err
	}
	s := &spot{assigned: p, stream: part.Stream, stats: stats}
	if own {
		s.At, s.Epoch = m.Next, m.Epoch
	}
	switch lost := stats.Epoch != 0 && s.Epoch != 0 && s.Epoch != stats.Epoch; {
	case s.At > max(stats.End, 1) && !lost:
		return &parley.Error{
			Code: parley.BadCursor, Field: "after", Detail: "the place in " + p.Topic + "/" + strconv.Itoa(p.Index) + " is beyond its end: the log is older than the place",
			Fix: "seek the group to latest or earliest",
		}
	case s.At > max(stats.End, 1):
		s.At = stats.End // the stream lost its newest events, and goes on from there
	}
	s.Epoch, s.begin = stats.Epoch, s.At
	d.skip(s, stats.Low, stats.Earliest)
	d.spots = append(d.spots, s)
	return nil
}

// skip moves a place over what retention took away, and tells it. Place 0 is the
// earliest event, whatever came before.
func (d *fetching) skip(s *spot, low, earliest parley.Position) {
	if s.At == 0 || s.At >= low {
		return
	}
	d.out.Gaps = append(d.out.Gaps, Gap{Topic: s.Topic, Partition: s.Index, From: s.At, To: max(earliest, low)})
	if s.begin == s.At {
		s.begin = max(earliest, low)
	}
	s.At = max(earliest, low)
}

// read reads partition after partition, beginning with any, so that none is behind
// for ever, and then looks what is left.
func (d *fetching) read(ctx context.Context) error {
	n := len(d.spots)
	first := 0
	if n > 1 {
		first = rand.IntN(n)
	}
	for i := range n {
		s := d.spots[(first+i)%n]
		for s.At < s.stats.End && d.room > 0 && d.limit > 0 {
			more, err := d.readOnce(ctx, s)
			if err != nil && len(d.out.Messages) == 0 {
				return err
			}
			if err != nil || !more {
				break // the error comes again, when what is there is worked off
			}
		}
	}
	marks := make([]cursor.Mark, 0, n)
	for _, s := range d.spots {
		marks = append(marks, cursor.Mark{Number: s.Number, Epoch: s.Epoch, Next: s.At})
		d.out.Assigned = append(d.out.Assigned, Place{s.Topic, s.Index, s.At})
		lag, known := d.all.lag(ctx, s.stream, s.stats, s.At)
		if d.out.More = d.out.More || s.At < s.stats.End && lag != 0; !known {
			d.out.Lag = -1
		} else if d.out.Lag >= 0 {
			d.out.Lag += lag
		}
	}
	d.out.Cursor = d.all.seal(marks)
	if len(d.out.Gaps) > 0 {
		for i, s := range d.spots {
			marks[i].Next = s.begin
		}
		d.out.Resume = d.all.seal(marks)
	}
	return nil
}

// readOnce takes what one Read of a partition gives; false: it has caught up.
func (d *fetching) readOnce(ctx context.Context, s *spot) (more bool, err error) {
	const most = 256 << 10
	run, err := d.all.log.Read(ctx, parley.Place{Stream: s.stream, At: s.At}, min(d.room, most))
	if err != nil {
		var e *parley.Error
		if errors.As(err, &e) && e.Code == parley.Trimmed && e.Earliest > s.At {
			d.skip(s, e.Earliest, e.Earliest)
			return true, nil
		}
		return false, err
	}
	defer run.Release()
	if run.Empty() {
		return false, nil
	}
	for rec, err := range run.Records() {
		if err != nil {
			continue // the batch's rest is damaged: it is passed over, as every reader does
		}
		if d.limit == 0 || d.room <= 0 {
			return true, nil
		}
		if e, err := rec.Event(); err == nil {
			d.out.Messages = append(d.out.Messages, Message{Topic: s.Topic, Partition: s.Index, Position: rec.Position, Event: e.Clone()})
			d.room -= len(e.Data) + eventOverhead
			d.limit--
		}
		s.At = rec.Position + 1
	}
	s.At = run.Next()
	return true, nil
}

// eventOverhead is about what an event has beside its data.
const eventOverhead = 200
