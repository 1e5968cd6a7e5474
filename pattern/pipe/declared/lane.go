package declared

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/local"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// lane reads one source.
type lane struct {
	o     *owner
	index int
	spec  graph.Spec
	sub   *pubsub.Subscription      // of topics
	src   pipe.Source[parley.Event] // of others
	limit atomic.Int64              // events at a time; 0 = mostChunk
	taken []parley.Place            // what the worker has stepped over; the worker's
	ended chan struct{}

	mu     sync.Mutex
	places []parley.Place // where it reads
}

// arrival is some events of a source, and the place behind them.
type arrival struct {
	lane    int
	events  []parley.Event
	records []parley.Record // in place of events, of topics
	cursor  string          // "" = the source has no places
	places  []parley.Place  // at or before that place
	err     error
}

func (a *arrival) len() int { return len(a.events) + len(a.records) }

// first gives the first event. Records were looked at by the lane.
func (a *arrival) first() (parley.Event, error) {
	if len(a.records) > 0 {
		return a.records[0].Event()
	}
	return a.events[0], nil
}

// Bounds of one arrival; a single event may be larger.
const (
	mostChunk  = 500
	chunkBytes = 512 << 10
)

// subscribe opens a topic source: behind a cursor, or where its step says.
// In an era it is the owner's partition only.
func (o *owner) subscribe(ctx context.Context, s graph.Spec, cursor string, era uint64) (*pubsub.Subscription, error) {
	from := pubsub.Earliest()
	if cursor != "" {
		from = pubsub.After(cursor)
	} else if text := s.Text("from"); text != "" {
		var err error
		if from, err = pubsub.ParseFrom(text); err != nil {
			return nil, err
		}
	}
	return o.r.opt.Hub.Subscribe(ctx, pubsub.Request{Topics: s.Words("name"), From: from, Partition: o.only(era), Records: true})
}

// only is the partition that the owner reads; nil is all.
func (o *owner) only(era uint64) *int {
	if era == 0 {
		return nil
	}
	return &o.part
}

func (o *owner) openLane(ctx context.Context, i int, s graph.Spec, k *kept) (*lane, error) {
	l := &lane{o: o, index: i, spec: s, ended: make(chan struct{})}
	l.limit.Store(int64(o.limit))
	var err error
	if s.Kind != "topic" {
		l.src, err = local.OpenSource(ctx, s, o.env())
		return l, err
	}
	if l.sub, err = o.subscribe(ctx, s, k.Lanes[i].Cursor, k.Era); err != nil {
		return nil, err
	}
	l.places = l.sub.Places()
	l.taken = l.places
	return l, nil
}

// read gives what comes to the worker, until ctx ends or something fails.
func (l *lane) read(ctx context.Context, to chan<- arrival) {
	defer close(l.ended)
	defer l.close()
	for {
		var err error
		if l.sub != nil {
			err = l.nextOfTopic(ctx, to)
		} else {
			var events []parley.Event
			events, err = l.src.Next(ctx)
			own := make([]parley.Event, len(events)) // the source may use its buffers again
			for i := range events {
				own[i] = events[i].Clone()
			}
			if err == nil || len(own) > 0 {
				l.give(ctx, to, arrival{lane: l.index, events: own})
			}
		}
		if err != nil {
			l.give(ctx, to, arrival{lane: l.index, err: err})
			return
		}
	}
}

func (l *lane) give(ctx context.Context, to chan<- arrival, a arrival) {
	select {
	case to <- a:
	case <-ctx.Done():
	}
}

func (l *lane) close() {
	if l.sub != nil {
		l.sub.Close()
		return
	}
	if c, ok := l.src.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
}

// nextOfTopic waits for what a subscription has next.
func (l *lane) nextOfTopic(ctx context.Context, to chan<- arrival) error {
	before := l.sub.Places()
	l.mu.Lock()
	l.places = before
	l.mu.Unlock()
	d, err := l.sub.Next(ctx)
	if err != nil {
		return err
	}
	for _, n := range d.Notices {
		if n.Kind == pubsub.Reset {
			return &parley.Error{Code: parley.BadCursor, Field: "pipe", Detail: "the place that the pipe had in " + n.Topic + " cannot be read: " + n.Err().Error(), Fix: "put the pipe with another from: in its source, to begin there"}
		}
		l.lost(ctx, n.Topic, n.Kind)
	}
	a, size := arrival{lane: l.index, places: before}, 0
	for _, c := range d.Chunks {
		for r, err := range c.Records() {
			if err == nil && r.Structured() {
				_, err = r.Event()
			}
			if err != nil { // the rest of the batch cannot be read
				l.lost(ctx, c.Topic, pubsub.Gap)
				break
			}
			a.records = append(a.records, r)
			size += len(r.Value) + 200
			d.Passed(c, r)
			if len(a.records) >= l.most() || size >= chunkBytes {
				a.cursor = d.Cursor()
				l.give(ctx, to, a)
				a.records, size = nil, 0
			}
		}
	}
	a.cursor, a.places = l.sub.Cursor(), l.sub.Places()
	l.give(ctx, to, a) // without events too: the place has moved
	return ctx.Err()
}

// lost tells of events that the pipe does not get.
func (l *lane) lost(ctx context.Context, topic string, what pubsub.NoticeKind) {
	l.o.meter.lose()
	l.o.r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "events were gone before a pipe had read them", slog.String("pipe", l.o.e.name), slog.String("topic", topic), slog.String("what", what.String()))
}

func (l *lane) most() int {
	if n := l.limit.Load(); n > 0 {
		return int(n)
	}
	return mostChunk
}

// at gives where the lane reads.
func (l *lane) at() []parley.Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.places
}
