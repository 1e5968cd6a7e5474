package topic

import (
	"context"

	"github.com/parleyhq/parley"
)

// Prepare completes, checks and encodes events for a topic as Publish does it, and
// appends nothing: it is for who appends them in one commit with something of its
// own. There is one Write for each partition that they touch, with no condition.
// Errors: as Publish, but for those of Log.Append and of repeats.
func (r *Registry) Prepare(ctx context.Context, topic string, events []parley.Event) ([]parley.Write, error) {
	if err := checkRequest(len(events), ""); err != nil {
		return nil, err
	}
	t, err := r.ensure(ctx, topic)
	if err != nil {
		return nil, err
	}
	q := newRequest("", r.opts.Now(), len(events))
	q.check = r.check(t)
	if err := q.encode(t, events); err != nil {
		q.free()
		return nil, err
	}
	writes := make([]parley.Write, 0, len(q.parts))
	for _, p := range q.parts {
		writes = append(writes, p.write[0])
	}
	return writes, nil // q is not freed: the writes are its buffers
}
