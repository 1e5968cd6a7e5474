package pubsub

import (
	"iter"
	"sort"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

// Delivery is what one Fetch gave: first what went wrong with the reader's
// place, then events, in order within each stream.
type Delivery struct {
	Notices []Notice
	Chunks  []Chunk

	marks []cursor.Mark // the reader's places before what was not yet advanced over
	sub   *Subscription
}

// Chunk is the events of one batch that are for the reader: those of the item
// from First on.
type Chunk struct {
	*Item
	First    int
	Fleeting bool // of an ephemeral topic: its events do not move the cursor

	from parley.Position // of the first event, if they are records
}

// Records gives the chunk's events as they stand in their batch, to a subscription that
// asked for records. What of the batch cannot be read ends it with an error.
func (c Chunk) Records() iter.Seq2[parley.Record, error] {
	return func(yield func(parley.Record, error) bool) {
		for r, err := range c.batch.Records() {
			if (err != nil || r.Position >= c.from) && !yield(r, err) {
				return
			}
		}
	}
}

// Passed moves the delivery's cursor behind a record of a chunk, as Advance does.
func (d *Delivery) Passed(c Chunk, r parley.Record) {
	d.Advance(&View{Item: c.Item, Position: r.Position})
}

// Empty says that the reader has caught up.
func (d *Delivery) Empty() bool { return len(d.Chunks) == 0 && len(d.Notices) == 0 }

// Len counts the events.
func (d *Delivery) Len() int {
	n := 0
	for _, c := range d.Chunks {
		events, _ := c.Events()
		n += len(events) - c.First
	}
	return n
}

// Views gives the chunk's events.
func (c Chunk) Views() []View {
	events, _ := c.Events()
	return events[c.First:]
}

// add appends an item for a place; what cannot be decoded is told as a gap.
func (d *Delivery) add(p *place, it *Item) {
	if d.sub.records {
		d.Chunks = append(d.Chunks, Chunk{Item: it, from: p.at, Fleeting: p.fleeting})
		return
	}
	events, err := it.Events()
	i := sort.Search(len(events), func(i int) bool { return events[i].Position >= p.at })
	if i < len(events) {
		d.Chunks = append(d.Chunks, Chunk{Item: it, First: i, Fleeting: p.fleeting})
	}
	if err != nil {
		from := max(p.at, it.batch.Base())
		if len(events) > 0 {
			from = events[len(events)-1].Position + 1
		}
		d.Notices = append(d.Notices, Notice{Kind: Gap, Topic: it.Topic, Partition: it.Partition, From: from, To: it.batch.Next()})
	}
}

// Single says that the reader's cursor is that of one stream, so that
// View.Cursor is the reader's cursor.
func (d *Delivery) Single() bool { return len(d.marks) == 1 }

// Advance moves the delivery's cursor behind an event. Events are advanced over
// in the order of the chunks.
func (d *Delivery) Advance(v *View) {
	for i := range d.marks {
		if d.marks[i].Number == v.number {
			d.marks[i].Next = v.Position + 1
			return
		}
	}
}

// Cursor is the reader's cursor behind what was advanced over.
func (d *Delivery) Cursor() string { return d.sub.seal(d.marks) }

// Cursor is the reader's cursor behind everything that was fetched.
func (s *Subscription) Cursor() string { return s.seal(s.marks()) }

// Streams is the number of streams that the cursor is about now.
func (s *Subscription) Streams() int { return len(s.marks()) }

func (s *Subscription) seal(marks []cursor.Mark) string { return s.hub.sealer.Seal("", marks) }

// marks gives the places in the streams that the cursor is about.
func (s *Subscription) marks() []cursor.Mark {
	marks := make([]cursor.Mark, 0, len(s.places))
	for i := range s.places {
		if p := &s.places[i]; !p.fleeting {
			marks = append(marks, cursor.Mark{Number: p.tail.topic.Partitions[p.tail.partition].Number, Epoch: p.tail.epoch, Next: p.at})
		}
	}
	sort.Slice(marks, func(i, j int) bool { return marks[i].Number < marks[j].Number })
	return marks
}
