package declared

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// request is what a node asks a pipe's owner.
type request struct {
	Op       string     `json:"op"` // stats, tap, holds, lead, retire, yield
	Tap      TapRequest `json:"tap,omitzero"`
	Revision uint64     `json:"revision,omitempty"` // before which to retire
	Share    int        `json:"share,omitempty"`    // owners that answer a tap
	Owned    int        `json:"owned,omitempty"`    // parts of the pipe that the node has which asks for another
}

// askPatience is how long the owner may take, beyond the wait of a tap.
const askPatience = 12 * time.Second

// ask asks the owner of a part. The pipe's end ends it.
func (e *entry) ask(ctx context.Context, part int, q request, into any) error {
	in, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.Tap.Wait+askPatience)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	answer, err := e.r.host.Ask(ctx, partOf(e.stream, part), in)
	if err != nil {
		if e.life.Err() != nil {
			return context.Cause(e.life)
		}
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return parley.Errorf(parley.Internal, "the pipe's owner answers what cannot be read: %w", err)
	}
	return nil
}

// handle answers at the owner.
func (o *owner) handle(ctx context.Context, in []byte) ([]byte, error) {
	var q request
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, parley.Errorf(parley.Unsupported, "the request cannot be read: %w", err)
	}
	var answer any
	var err error
	switch q.Op {
	case "stats":
		answer, err = o.stats(ctx)
	case "tap":
		if o.meter.idle() { // nothing passes here: the others are waited for
			return json.Marshal(TapAnswer{Term: o.taps.term})
		}
		answer, err = o.taps.take(ctx, q.Tap, max(1, q.Share))
	case "holds":
		answer, err = o.tellHolds(ctx)
	case "lead":
		answer, err = o.tellLead(ctx)
	case "retire":
		answer, err = o.tellRetired(ctx, q.Revision)
	case "yield":
		answer = yielded{o.e.yield(o.part, q.Owned)}
	default:
		return nil, parley.Errorf(parley.Unsupported, "the pipe's owner does not know %q", q.Op)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// probe is told what happens at the steps of the machine.
func (o *owner) probe(s graph.Spec, way graph.Way, p graph.Passing) {
	o.meter.probe(s, way, p)
	o.taps.probe(s, way, p)
}
