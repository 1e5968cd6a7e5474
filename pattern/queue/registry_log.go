package queue

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
)

// write decides on the state as it is, with mu held.
func (r *Registry) write(ctx context.Context, decide func(*catalog) (*parley.Event, error)) error {
	return r.roll.Write(ctx, func() (*parley.Event, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return decide(&r.catalog)
	})
}

// take folds one event. It is called with mu held.
func (r *Registry) take(_ context.Context, e *parley.Event, _ parley.Position) error {
	if err := r.catalog.apply(e); err != nil {
		return err
	}
	return r.follow(e.Subject)
}

// follow makes the entry of a name what the catalog says. It is called with mu held.
func (r *Registry) follow(name string) error {
	number, there := r.catalog.numbers[name]
	e := r.entries[name]
	switch {
	case there && e == nil:
		life, end := context.WithCancelCause(context.Background()) //nolint:forbidigo // it ends with the entry
		o := Options{Topics: r.opt.Topics, Hub: r.opt.Hub, Logger: r.opt.Logger}
		q, err := newQueue(r.log, mortal{r.host, life}, name, number, o)
		if err != nil {
			end(nil)
			return err
		}
		r.entries[name] = &listed{queue: q, life: life, end: end}
	case !there && e != nil:
		delete(r.entries, name)
		e.end(noQueue(name))
	}
	return nil
}

// mortal is the host of a queue that can be deleted: who asks it then, or waits
// for an answer, is told so.
type mortal struct {
	shard.Host
	life context.Context //nolint:containedctx // the queue's
}

// Ask implements shard.Host.
func (m mortal) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.life, cancel)()
	answer, err := m.Host.Ask(both, s, request)
	if err != nil && m.life.Err() != nil {
		return nil, context.Cause(m.life)
	}
	return answer, err
}
