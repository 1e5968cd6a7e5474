package topic

import (
	"context"

	"github.com/parleyhq/parley"
)

// Create makes a topic. Creating one that is there with the same settings is
// fine and gives that one. Errors: Invalid, Forbidden, Exists (naming the member
// that differs), Overloaded, Unprocessable for compaction where the engine cannot
// do it, and those of the log; after Unknown, call it again.
func (r *Registry) Create(ctx context.Context, name string, s Settings) (Topic, error) {
	if err := CheckName(name); err != nil {
		return Topic{}, err
	}
	if IsEphemeral(name) {
		return r.createEphemeral(name, s)
	}
	s, err := s.Defaults(r.opts.Defaults)
	if err != nil {
		return Topic{}, err
	}
	if err := r.compactable(ctx, s); err != nil {
		return Topic{}, err
	}
	return r.write(ctx, name, func(m *machine) (*parley.Event, error) { return m.create(name, s, r.opts.MaxTopics) })
}

// Declare makes one of the server's own streams readable as a topic, with a
// number for cursors. Only its owner writes and trims it. Errors: Invalid, and
// those of the log.
func (r *Registry) Declare(ctx context.Context, name string) (Topic, error) {
	if err := checkInternal(name); err != nil {
		return Topic{}, err
	}
	if t := r.get(name); t != nil {
		return *t, nil
	}
	return r.write(ctx, name, func(m *machine) (*parley.Event, error) { return m.create(name, ownSettings(), r.opts.MaxTopics) })
}

// Update gives a topic other settings: complete ones, zero fields mean the
// default (to change a few, start from Topic.Settings). Errors: Invalid,
// Forbidden, NotFound, Unprocessable for what cannot change, and those of the
// log.
func (r *Registry) Update(ctx context.Context, name string, s Settings) (Topic, error) {
	if err := CheckName(name); err != nil {
		return Topic{}, err
	}
	if IsEphemeral(name) {
		return r.updateEphemeral(name, s)
	}
	s, err := s.Defaults(r.opts.Defaults)
	if err != nil {
		return Topic{}, err
	}
	if err := r.compactable(ctx, s); err != nil {
		return Topic{}, err
	}
	return r.write(ctx, name, func(m *machine) (*parley.Event, error) { return m.update(name, s) })
}

// Delete removes a topic and all it holds. It is gone for everybody once its
// event is durable; the streams follow, and what an interruption leaves of them
// is removed by the next Load. Errors: Invalid, Forbidden, NotFound, and those
// of the log.
func (r *Registry) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if IsEphemeral(name) {
		return r.deleteEphemeral(ctx, name)
	}
	var gone *Topic
	_, err := r.write(ctx, name, func(m *machine) (*parley.Event, error) {
		gone = m.topics[name]
		return m.remove(name)
	})
	if err != nil {
		return err
	}
	for _, p := range gone.Partitions {
		if err := r.removeStream(ctx, p.Stream); err != nil {
			return err
		}
	}
	return nil
}

// write decides on the state as it is, and gives the topic as it is then.
func (r *Registry) write(ctx context.Context, name string, decide func(*machine) (*parley.Event, error)) (Topic, error) {
	deleted := false
	err := r.roll.Write(ctx, func() (*parley.Event, error) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		event, err := decide(r.machine)
		deleted = event != nil && event.Type == TypeDeleted
		return event, err
	})
	if err != nil || deleted {
		return Topic{}, err
	}
	return r.Get(name)
}
