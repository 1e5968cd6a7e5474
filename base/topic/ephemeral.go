package topic

import (
	"context"
	"fmt"
	"time"

	"github.com/parleyhq/parley"
)

// ephemeral is a topic whose name begins with "~". It is not in $topics: it is
// there as soon as somebody publishes to it, and goes away when nobody does any
// more.
type ephemeral struct {
	topic *Topic
	end   parley.Position // of its stream when it was last looked at
	since time.Time       // when the end was seen to move
}

// IdleEphemeral is how long an ephemeral topic without a new event stays.
const IdleEphemeral = 5 * time.Minute

func (r *Registry) ensureEphemeral(name string) (*Topic, error) {
	s, err := Settings{}.ephemeral()
	if err != nil {
		return nil, err
	}
	return r.addEphemeral(name, s, true)
}

func (r *Registry) createEphemeral(name string, s Settings) (Topic, error) {
	s, err := s.ephemeral()
	if err != nil {
		return Topic{}, err
	}
	t, err := r.addEphemeral(name, s, false)
	if err != nil {
		return Topic{}, err
	}
	return *t, nil
}

// addEphemeral gives the topic, or makes it. With anySettings the one that is
// there may have other settings.
func (r *Registry) addEphemeral(name string, s Settings, anySettings bool) (*Topic, error) {
	now := r.opts.Now()
	r.mu.Lock()
	if e := r.ephemeral[name]; e != nil {
		r.mu.Unlock()
		member, has, asked, differ := e.topic.Settings.differs(s)
		if differ && !anySettings {
			return nil, &parley.Error{Code: parley.Exists, Field: member, Detail: fmt.Sprintf("topic %s exists with %s %s, not %s", name, member, has, asked), Fix: "update the topic, or create it with the settings it has"}
		}
		return e.topic, nil
	}
	if len(r.ephemeral) >= r.opts.MaxTopics {
		r.mu.Unlock()
		return nil, &parley.Error{Code: parley.Overloaded, Field: "topic", Detail: fmt.Sprintf("there are %d ephemeral topics, as many as allowed", r.opts.MaxTopics), Fix: "try again when idle ones are gone", RetryAfter: IdleEphemeral}
	}
	r.lastLocal++
	t := newTopic(name, s, now.UTC(), uint32(r.lastLocal-EphemeralNumber), []uint64{r.lastLocal})
	r.ephemeral[name] = &ephemeral{topic: t, since: now}
	r.watchers.push(change{t, false})
	r.mu.Unlock()
	r.watchers.deliver()
	return t, nil
}

func (r *Registry) updateEphemeral(name string, s Settings) (Topic, error) {
	s, err := s.ephemeral()
	if err != nil {
		return Topic{}, err
	}
	r.mu.Lock()
	e := r.ephemeral[name]
	if e == nil {
		r.mu.Unlock()
		return Topic{}, notFound(name)
	}
	t := *e.topic
	t.Settings = s
	e.topic = &t
	r.watchers.push(change{&t, false})
	r.mu.Unlock()
	r.watchers.deliver()
	return t, nil
}

func (r *Registry) deleteEphemeral(ctx context.Context, name string) error {
	r.mu.Lock()
	e := r.ephemeral[name]
	if e == nil {
		r.mu.Unlock()
		return notFound(name)
	}
	delete(r.ephemeral, name)
	r.watchers.push(change{e.topic, true})
	r.mu.Unlock()
	r.watchers.deliver()
	return r.removeStream(ctx, e.topic.Partitions[0].Stream)
}

// idle notes where the stream of an ephemeral topic ends, and tells whether the
// topic has been idle for too long.
func (r *Registry) idle(t *Topic, end parley.Position) bool {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.ephemeral[t.Name]
	if e == nil || e.topic.Epoch != t.Epoch {
		return false
	}
	if e.end != end {
		e.end, e.since = end, now
	}
	return now.Sub(e.since) >= IdleEphemeral
}
