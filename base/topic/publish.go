package topic

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
)

// Placed tells where an event of a request is.
type Placed struct {
	Topic     string
	Partition int
	// Position of the event in its partition's stream. 0, only in a replayed
	// answer of PublishAll, when retention has dropped the event meanwhile.
	Position parley.Position
	ID       string
}

// PublishOptions go with one request.
type PublishOptions struct {
	// IdempotencyKey makes the request happen once within the window: at most 255
	// bytes; empty is none.
	IdempotencyKey string
}

// Publish appends events to a topic: one batch and one Append for each partition
// that they touch. Events are completed: an absent id is derived from the
// idempotency key and the event's index, or else is new; source is
// "/topics/{topic}" and type is DefaultType when absent. The caller's events are
// not changed.
//
// A request is one unit of retry. With an idempotency key, or with one event
// whose id the publisher gave, a repeat within the window (parley.OnceWindow)
// answers the places of the first time, and replayed is true when nothing at all
// was appended. A key that comes again with other content is refused with
// KeyReused: always when both contents touch a common partition, and otherwise
// as long as both come to one process. An idempotency key belongs to one topic.
// After an error some partitions may have taken their events: send the whole
// request again with its key, and those answer their first positions.
//
// Errors: Invalid, TooLarge and Unprocessable (see Options.Check, and
// Settings.Compact) name the event; NotFound, Forbidden, KeyReused, and those of
// Log.Append.
func (r *Registry) Publish(ctx context.Context, topic string, events []parley.Event, o PublishOptions) (placed []Placed, replayed bool, err error) {
	if err := checkRequest(len(events), o.IdempotencyKey); err != nil {
		return nil, false, err
	}
	t, err := r.ensure(ctx, topic)
	if err != nil {
		return nil, false, err
	}
	q := newRequest(o.IdempotencyKey, r.opts.Now(), len(events))
	if q.key != "" && len(t.Partitions) > 1 {
		q.digest = newDigester()
	}
	q.check = r.check(t)
	if err := q.encode(t, events); err != nil {
		q.free()
		return nil, false, err
	}
	q.setOnce(events)
	claimed, err := r.claims.claim(t, q)
	if err != nil {
		q.free()
		return nil, false, err
	}
	if err := r.appendParts(ctx, q); err != nil {
		r.claims.drop(claimed)
		return nil, false, err
	}
	placed, replayed = q.placed, true
	for _, p := range q.parts {
		replayed = replayed && p.repeat
	}
	q.free()
	return placed, replayed, nil
}

func checkRequest(events int, key string) error {
	if events == 0 {
		return parley.BadField("events", "the request holds no event", "send at least one")
	}
	return checkKey(key)
}

func (q *request) encode(t *Topic, events []parley.Event) error {
	for i := range events {
		if err := q.add(t, &events[i]); err != nil {
			if len(events) > 1 {
				err = parley.AtIndex(err, i)
			}
			return err
		}
	}
	return q.seal()
}

// setOnce gives the writes their keys: see Publish.
func (q *request) setOnce(events []parley.Event) {
	switch {
	case q.key != "":
		for _, p := range q.parts {
			p.write[0].Once = onceKey("key", p.stream.Name, q.key)
		}
	case len(events) == 1 && events[0].ID != "":
		q.parts[0].write[0].Once = onceKey("id", q.event.Source, q.event.ID)
	}
}

// appendParts appends the batches: at once, so that they share a flush. With a
// key the first goes ahead: a key that was used for something else is then
// mostly found out before anything is appended.
func (r *Registry) appendParts(ctx context.Context, q *request) error {
	rest := q.parts
	if q.key != "" || len(rest) == 1 {
		if err := r.appendPart(ctx, q, rest[0]); err != nil {
			return err
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return nil
	}
	var others sync.WaitGroup
	for _, p := range rest[1:] {
		others.Go(func() { p.err = r.appendPart(ctx, q, p) })
	}
	rest[0].err = r.appendPart(ctx, q, rest[0])
	others.Wait()
	for _, p := range rest {
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

func (r *Registry) appendPart(ctx context.Context, q *request, p *part) error {
	done, err := r.log.Append(ctx, p.write[:]...)
	if err != nil {
		return err
	}
	p.repeat = done[0].Repeat
	if p.repeat {
		if err := r.compare(ctx, q, p, done[0].Base); err != nil {
			return err
		}
	}
	q.place(p, done[0].Base)
	return nil
}

// compare tells whether what is stored at base is what the part repeats. When it
// was trimmed or compacted meanwhile there is nothing left to compare.
func (r *Registry) compare(ctx context.Context, q *request, p *part, base parley.Position) error {
	run, err := r.log.Read(ctx, parley.Place{Stream: p.stream, At: base}, 1)
	if err != nil {
		if parley.CodeOf(err) == parley.Trimmed {
			return nil
		}
		return err
	}
	defer run.Release()
	for stored := range run.Batches() {
		if stored.Base() != base || stored.Len() != stored.Span() {
			break
		}
		first, err := digestOf(stored)
		if err != nil {
			return err
		}
		now, err := digestOf(p.write[0].Batch)
		if err != nil {
			return err
		}
		if first != now {
			field := "id"
			if q.key != "" {
				field = "Idempotency-Key"
			}
			return reused(field, first, now)
		}
		break
	}
	return nil
}
