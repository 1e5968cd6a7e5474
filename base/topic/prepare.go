package topic

import (
	"context"

	"github.com/parleyhq/parley"
)

// Outgoing is an event that is to be prepared.
type Outgoing struct {
	Event parley.Event
	// Record, if not nil, is a record of another batch whose event it is, in place of
	// Event. Its bytes go on as they are, where nothing has to look at the whole event.
	Record *parley.Record
}

// Whole gives the event. Error: Damaged, of a record that holds none.
func (o *Outgoing) Whole() (parley.Event, error) {
	if o.Record == nil {
		return o.Event, nil
	}
	return o.Record.Event()
}

// Prepare completes, checks and encodes events for a topic as Publish does it, and
// appends nothing: it is for who appends them in one commit with something of its
// own. There is one Write for each partition that they touch, with no condition.
// Errors: as Publish, but for those of Log.Append and of repeats.
func (r *Registry) Prepare(ctx context.Context, topic string, events []Outgoing) ([]parley.Write, error) {
	if err := checkRequest(len(events), ""); err != nil {
		return nil, err
	}
	t, err := r.ensure(ctx, topic)
	if err != nil {
		return nil, err
	}
	q := newRequest("", r.opts.Now(), len(events))
	q.check = r.check(t)
	if err := q.prepare(t, events); err != nil {
		q.free()
		return nil, err
	}
	writes := make([]parley.Write, 0, len(q.parts))
	for _, p := range q.parts {
		writes = append(writes, p.write[0])
	}
	return writes, nil // q is not freed: the writes are its buffers
}

func (q *request) prepare(t *Topic, events []Outgoing) error {
	if len(t.Partitions) == 1 {
		q.part(t.Partitions[0]).builder.Grow(sizeOf(events))
	}
	for i := range events {
		var err error
		if o := &events[i]; o.Record != nil {
			err = q.copy(t, o.Record)
		} else {
			err = q.add(t, &o.Event)
		}
		if err != nil && len(events) > 1 {
			err = parley.AtIndex(err, i)
		}
		if err != nil {
			return err
		}
	}
	return q.seal()
}

// sizeOf is about how large events are in a batch.
func sizeOf(events []Outgoing) (size int) {
	const around = 100 // an event: names of headers, lengths
	for i := range events {
		if r := events[i].Record; r != nil {
			size += r.Size() + around
		} else {
			size += eventSize(&events[i].Event) + 2*around
		}
	}
	return size
}

// copy adds the event of a record as it stands there. It is made only to be checked, or
// to find its partition among several.
func (q *request) copy(t *Topic, r *parley.Record) error {
	if q.check != nil || r.Size() > t.Settings.MaxEvent {
		e, err := r.Event()
		if err != nil {
			return err
		}
		return q.add(t, &e)
	}
	at := 0
	if len(t.Partitions) > 1 {
		e, err := r.Event()
		if err != nil {
			return err
		}
		at = PartitionOf(&e, len(t.Partitions))
	}
	return q.part(t.Partitions[at]).builder.Copy(q.now, *r)
}
