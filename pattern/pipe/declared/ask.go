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
	Op  string     `json:"op"` // stats, tap
	Tap TapRequest `json:"tap,omitzero"`
}

// askPatience is how long the owner may take, beyond the wait of a tap.
const askPatience = 12 * time.Second

// ask asks the owner. The pipe's end ends it.
func (e *entry) ask(ctx context.Context, q request, into any) error {
	in, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.Tap.Wait+askPatience)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	answer, err := e.r.host.Ask(ctx, e.stream, in)
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
	switch q.Op {
	case "stats":
		s, err := o.stats(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(s)
	case "tap":
		a, err := o.taps.take(ctx, q.Tap)
		if err != nil {
			return nil, err
		}
		return json.Marshal(a)
	}
	return nil, parley.Errorf(parley.Unsupported, "the pipe's owner does not know %q", q.Op)
}

// probe is told what happens at the steps of the machine.
func (o *owner) probe(s graph.Spec, way graph.Way, p graph.Passing) {
	o.meter.probe(s, way, p)
	o.taps.probe(s, way, p)
}
