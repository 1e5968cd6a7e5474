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
	max  int
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
	return &Reader{all: gs, max: DefaultFetch, spot: spot{stream: p.Stream, assigned: assigned{place: list[0].place, Topic: name, Index: partition}}}, nil
}

// Position is where the reader goes on: one after the last event that it gave; 0 =
// at the earliest.
func (r *Reader) Position() parley.Position { return r.spot.At }

// Seek makes the reader go on elsewhere.
func (r *Reader) Seek(at parley.Position) { r.spot.At = at }

// Poll waits for events and gives up to DefaultFetch of them. Errors: the
// context's; Trimmed, naming the earliest position left, from which Seek goes on;
// those of the log.
func (r *Reader) Poll(ctx context.Context) ([]Message, error) {
	for {
		d := fetching{all: r.all, room: DefaultMaxBytes, limit: r.max, out: new(Fetched)}
		_, err := d.readOnce(ctx, &r.spot)
		if len(d.out.Gaps) > 0 {
			gap := d.out.Gaps[0]
			r.spot.At = gap.From
			return nil, &parley.Error{Code: parley.Trimmed, Field: "position", Earliest: gap.To, Detail: "the events from there on are no longer kept", Fix: "seek to the earliest position left"}
		}
		if err != nil || len(d.out.Messages) > 0 {
			return d.out.Messages, err
		}
		if err := r.all.log.Wait(ctx, parley.Place{Stream: r.spot.stream, At: r.spot.At}); err != nil {
			return nil, err
		}
	}
}
