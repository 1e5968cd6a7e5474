package stream

import (
	"context"

	"github.com/parleyhq/parley"
)

// Reader reads one partition, without a group: its program keeps its place. It is
// for one goroutine at a time.
type Reader struct {
	all  *Groups
	spot spot
}

// Reader gives a reader of one partition. Errors: NotFound; BadCursor;
// Unsupported for a time where the engine cannot find it; those of the log.
func (gs *Groups) Reader(ctx context.Context, name string, partition int, from From) (*Reader, error) {
	p, err := gs.partition("topic", name, partition)
	if err != nil {
		return nil, err
	}
	list := []track{{Topic: name, Index: partition, place: place{Number: p.Number}}}
	if err := gs.resolve(ctx, list, from); err != nil {
		return nil, err
	}
	return &Reader{all: gs, spot: spot{stream: p.Stream, assigned: assigned{place: list[0].place, Topic: name, Index: partition}}}, nil
}

// Position is where the reader goes on: one after the last event that it gave; 0 =
// at the earliest.
func (r *Reader) Position() parley.Position { return r.spot.At }

// Seek makes the reader go on elsewhere.
func (r *Reader) Seek(at parley.Position) { r.spot.At = at }

// Poll waits for events and gives up to DefaultFetch of them. Errors: the
// context's; those of Fetch.
func (r *Reader) Poll(ctx context.Context) ([]Message, error) {
	for {
		list, err := r.Fetch(ctx, DefaultFetch, DefaultMaxBytes)
		if err != nil || len(list) > 0 {
			return list, err
		}
		if err := r.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Wait waits until there is something behind the reader. Errors: the context's;
// those of Log.Wait.
func (r *Reader) Wait(ctx context.Context) error {
	return r.all.log.Wait(ctx, parley.Place{Stream: r.spot.stream, At: r.spot.At})
}

// Fetch gives up to limit events of about maxBytes together, at least one if there
// is any, and never waits. Errors: Trimmed, naming the earliest position left, from
// which Seek goes on; those of the log.
func (r *Reader) Fetch(ctx context.Context, limit, maxBytes int) ([]Message, error) {
	d := fetching{all: r.all, room: maxBytes, limit: limit, out: new(Fetched)}
	for more := true; more && d.room > 0 && d.limit > 0; {
		was := r.spot.At
		var err error
		more, err = d.readOnce(ctx, &r.spot)
		switch {
		case len(d.out.Gaps) > 0 && len(d.out.Messages) > 0: // it is told next time
			r.spot.At = was
			return d.out.Messages, nil
		case len(d.out.Gaps) > 0:
			gap := d.out.Gaps[0]
			r.spot.At = gap.From
			return nil, &parley.Error{Code: parley.Trimmed, Field: "position", Earliest: gap.To, Detail: "the events from there on are no longer kept", Fix: "seek to the earliest position left"}
		case err != nil && len(d.out.Messages) == 0:
			return nil, err
		case err != nil:
			return d.out.Messages, nil //nolint:nilerr // it comes again, when what is there is worked off
		}
	}
	return d.out.Messages, nil
}
