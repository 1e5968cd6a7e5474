package topic

import (
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// MaxIdempotencyKey is the longest idempotency key, in bytes.
const MaxIdempotencyKey = 255

// DefaultType is the type of an event whose publisher gave none. Its default
// source is "/topics/{topic}".
const DefaultType = "parley.event"

// request is one call of Publish or PublishAll: its events, encoded into one
// batch for each stream that they touch. Requests are pooled with their buffers.
type request struct {
	key    string
	now    time.Time
	placed []Placed
	parts  []*part // in the order in which the events touch them
	spare  []*part
	find   map[uint64]*part // by stream number, once there are two
	digest *digester        // of all events; nil when nobody asks
	event  parley.Event     // the one being encoded
	check  check            // of the topic whose events are being added
}

// part is what of a request goes to one stream.
type part struct {
	number  uint64
	stream  parley.Stream
	builder parley.Builder
	events  []int // indices in placed
	write   [1]parley.Write
	repeat  bool
	err     error
}

var requests = sync.Pool{New: func() any { return new(request) }}

// keepBuffer bounds the buffers that stay in the pool.
const keepBuffer = 256 << 10

func newRequest(key string, now time.Time, events int) *request {
	q := requests.Get().(*request)
	q.key, q.now = key, now
	q.placed = make([]Placed, 0, events) // it goes to the caller
	return q
}

// free gives the request's buffers back. Not after an Append that failed: its
// commit may still be under way, and read them.
func (q *request) free() {
	for _, p := range q.parts {
		if p.builder.Size() > keepBuffer {
			p.builder = parley.Builder{}
		}
		p.builder.Reset()
		*p = part{builder: p.builder, events: p.events[:0]}
	}
	q.spare = append(q.spare, q.parts...)
	clear(q.find)
	clear(q.parts)
	*q = request{parts: q.parts[:0], spare: q.spare, find: q.find}
	requests.Put(q)
}

// add completes an event and encodes it into the batch of its partition. Errors:
// TooLarge and Invalid, of the event, and those of the topic's check.
func (q *request) add(t *Topic, e *parley.Event) error {
	q.event = *e
	e, index := &q.event, len(q.placed)
	if e.ID == "" {
		if q.key != "" {
			e.ID = DerivedID(t.Name, q.key, index)
		} else {
			e.ID = NewID(q.now)
		}
	}
	e.Source = orElse(e.Source, t.source)
	e.Type = orElse(e.Type, DefaultType)
	if size := eventSize(e); size > t.Settings.MaxEvent {
		return &parley.Error{Code: parley.TooLarge, Field: "data", Detail: "the event has " + strconv.Itoa(size) + " bytes, topic " + t.Name + " takes " + strconv.Itoa(t.Settings.MaxEvent), Fix: "send less, or raise max_event of the topic"}
	}
	if q.check != nil {
		if err := q.check(e); err != nil {
			return err
		}
	}
	at := PartitionOf(e, len(t.Partitions))
	p := q.part(t.Partitions[at])
	if err := p.builder.Add(q.now, e); err != nil {
		return err
	}
	p.events = append(p.events, index)
	q.placed = append(q.placed, Placed{Topic: t.Name, Partition: at, ID: e.ID})
	if q.digest != nil {
		q.digest.field(t.Name)
		q.digest.add(e)
	}
	return nil
}

// part finds or begins the batch of a stream.
func (q *request) part(to Partition) *part {
	for i, p := range q.parts {
		if p.number == to.Number {
			return p
		}
		if i == 8 { // many: a map is quicker
			break
		}
	}
	if p := q.find[to.Number]; p != nil {
		return p
	}
	var p *part
	if last := len(q.spare) - 1; last >= 0 {
		p, q.spare = q.spare[last], q.spare[:last]
	} else {
		p = new(part)
	}
	p.number, p.stream = to.Number, to.Stream
	q.parts = append(q.parts, p)
	if len(q.parts) > 8 {
		if q.find == nil {
			q.find = make(map[uint64]*part)
		}
		q.find[to.Number] = p
	}
	return p
}

// seal finishes the batches.
func (q *request) seal() error {
	for _, p := range q.parts {
		batch, err := p.builder.Batch()
		if err != nil {
			return err
		}
		p.write[0] = parley.Write{Stream: p.stream, Batch: batch}
	}
	return nil
}

// place notes where the events of a part are, from the position of the first.
func (q *request) place(p *part, base parley.Position) {
	for i, index := range p.events {
		q.placed[index].Position = base + parley.Position(i)
	}
}

// eventSize is what max_event bounds: data and attributes.
func eventSize(e *parley.Event) int {
	size := len(e.Data) + len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.DataContentType) + len(e.DataSchema)
	for name, value := range e.Extensions {
		size += len(name) + len(value)
	}
	return size
}

func checkKey(key string) error {
	ok := len(key) <= MaxIdempotencyKey && utf8.ValidString(key)
	for i := range len(key) {
		ok = ok && key[i] >= ' ' && key[i] != 0x7f
	}
	if !ok {
		return parley.BadField("Idempotency-Key", "is too long or holds control characters", "send up to 255 bytes of text, a UUID for example")
	}
	return nil
}
