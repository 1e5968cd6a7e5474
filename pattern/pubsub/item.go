package pubsub

import (
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
)

// Item is one batch on its way out: decoded at most once, and encoded at most
// once for each format, however many subscribers it has. It is immutable to its
// users and safe for concurrent use.
type Item struct {
	Topic     string
	Partition int
	number    uint64
	epoch     uint32
	sealer    *cursor.Sealer
	namespace string
	batch     parley.Batch

	once   sync.Once
	events []View
	err    error

	mu     sync.Mutex
	frames []*Frame // few formats are in use at a time: a walk beats a map
}

// View is one event as a Format sees it.
type View struct {
	*Item
	parley.Event
	Position parley.Position
	appended int64 // append time in milliseconds
}

// Format turns events into bytes of one wire format. Formats are compared by
// identity: a package declares each of its formats once.
type Format struct {
	Name string
	// Append appends one event. It must not depend on who receives it.
	Append func(dst []byte, v *View) []byte
}

// Frame is an item in one format: the same bytes for every subscriber.
type Frame struct {
	format *Format
	once   sync.Once
	bytes  []byte
	ends   []int // of each event in bytes
}

func newItem(t topic.Topic, partition int, epoch uint32, h *Hub, b parley.Batch) *Item {
	return &Item{
		Topic: t.Name, Partition: partition, number: t.Partitions[partition].Number, epoch: epoch,
		sealer: h.sealer, namespace: t.Partitions[partition].Stream.Namespace, batch: b,
	}
}

// Events decodes the batch, once. A batch that cannot be decoded has the events
// before the fault, and the error.
func (it *Item) Events() ([]View, error) {
	it.once.Do(func() {
		it.events = make([]View, 0, it.batch.Len())
		for rec, err := range it.batch.Records() {
			var e parley.Event
			if err == nil {
				e, err = rec.Event()
			}
			if err != nil {
				it.err = err
				return
			}
			it.events = append(it.events, View{Item: it, Event: e, Position: rec.Position, appended: rec.Millis})
		}
	})
	return it.events, it.err
}

// Batch is the encoded batch itself.
func (it *Item) Batch() parley.Batch { return it.batch }

// Frame gives the item in a format, encoding it the first time.
func (it *Item) Frame(f *Format) *Frame {
	fr := it.frame(f)
	fr.once.Do(func() { fr.encode(it) })
	return fr
}

func (it *Item) frame(f *Format) *Frame {
	it.mu.Lock()
	defer it.mu.Unlock()
	for _, fr := range it.frames {
		if fr.format == f {
			return fr
		}
	}
	fr := &Frame{format: f}
	it.frames = append(it.frames, fr)
	return fr
}

func (fr *Frame) encode(it *Item) {
	events, _ := it.Events() // what cannot be decoded was reported by Fetch
	fr.ends = make([]int, len(events))
	fr.bytes = make([]byte, 0, it.batch.Size()+it.batch.Size()/4+64)
	for i := range events {
		fr.bytes = fr.format.Append(fr.bytes, &events[i])
		fr.ends[i] = len(fr.bytes)
	}
}

// Len is the number of events in the frame.
func (fr *Frame) Len() int { return len(fr.ends) }

// Event is the bytes of the i-th event.
func (fr *Frame) Event(i int) []byte { return fr.bytes[fr.start(i):fr.ends[i]:fr.ends[i]] }

// From is the bytes of all events from the i-th on, in one piece.
func (fr *Frame) From(i int) []byte { return fr.bytes[fr.start(i):] }

func (fr *Frame) start(i int) int {
	if i == 0 {
		return 0
	}
	return fr.ends[i-1]
}

// Cursor is the cursor right after the event for a reader of this stream alone.
// It is the same for all of them, so a format may put it into its shared bytes.
func (v *View) Cursor() string {
	return v.sealer.Seal(v.namespace, []cursor.Mark{v.mark()})
}

func (v *View) mark() cursor.Mark {
	return cursor.Mark{Number: v.number, Epoch: v.epoch, Next: v.Position + 1}
}
