package server

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// router is one log of two: streams of ephemeral topics and of those with memory
// durability live in an engine in memory, all others in the durable one. A
// commit over both is refused as Apart, because nothing could make it whole.
type router struct {
	durable, memory engine
	// topics is where to ask whose a stream is. Until there is a registry, there
	// are only streams of the server's own.
	topics atomic.Pointer[topic.Registry]
}

// home gives the engine of a stream.
func (r *router) home(s parley.Stream) engine {
	if r.inMemory(s) {
		return r.memory
	}
	return r.durable
}

// inMemory says whether a stream is kept in memory only.
func (r *router) inMemory(s parley.Stream) bool {
	if strings.HasPrefix(s.Name, "~") {
		return true
	}
	t, ok := r.topicOf(s)
	return ok && t.Settings.Durability == topic.Memory
}

// topicOf finds the topic of a stream by the number in its name. The registry
// knows every topic that anybody can know of.
func (r *router) topicOf(s parley.Stream) (topic.Topic, bool) {
	topics := r.topics.Load()
	_, digits, ok := strings.Cut(s.Name, "/")
	if !ok || topics == nil {
		return topic.Topic{}, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return topic.Topic{}, false
	}
	p, t, ok := topics.ByNumber(number)
	return t, ok && p.Stream == s
}

// Append implements parley.Log.
func (r *router) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	if len(writes) == 0 {
		return r.durable.Append(ctx)
	}
	home := r.home(writes[0].Stream)
	for _, w := range writes[1:] {
		if r.home(w.Stream) != home {
			return nil, &parley.Error{
				Code: parley.Apart, Field: "topic",
				Detail: "one commit cannot hold both durable events and events that are only in memory",
				Fix:    "publish to " + w.Stream.Name + " in a request of its own, or give its topic another durability",
			}
		}
	}
	return home.Append(ctx, writes...)
}

// Read implements parley.Log.
func (r *router) Read(ctx context.Context, at parley.Place, maxBytes int) (parley.Run, error) {
	return r.home(at.Stream).Read(ctx, at, maxBytes)
}

// End implements parley.Log.
func (r *router) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	return r.home(s).End(ctx, s)
}

// Trim implements parley.Log.
func (r *router) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	return r.home(s).Trim(ctx, s, upTo)
}

// Wait implements parley.Log: when places lie in both engines, it waits in both
// until one has something.
func (r *router) Wait(ctx context.Context, at ...parley.Place) error {
	var durable, memory []parley.Place
	for _, p := range at {
		if r.home(p.Stream) == r.memory {
			memory = append(memory, p)
		} else {
			durable = append(durable, p)
		}
	}
	switch {
	case len(memory) == 0:
		return r.durable.Wait(ctx, durable...)
	case len(durable) == 0:
		return r.memory.Wait(ctx, memory...)
	}
	inner, cancel := context.WithCancel(ctx)
	other := make(chan error, 1)
	go func() {
		other <- r.memory.Wait(inner, memory...)
		cancel()
	}()
	err := r.durable.Wait(inner, durable...)
	cancel()
	if theirs := <-other; err == nil || theirs == nil {
		return nil
	} else if ctx.Err() == nil && parley.CodeOf(err) == parley.Canceled { // theirs ended ours
		return theirs
	}
	return err
}

// Streams implements parley.Lister.
func (r *router) Streams(ctx context.Context, namespace string) ([]parley.Stream, error) {
	all, err := r.durable.Streams(ctx, namespace)
	if err != nil {
		return nil, err
	}
	more, err := r.memory.Streams(ctx, namespace)
	if err != nil {
		return nil, err
	}
	all = append(all, more...)
	slices.SortFunc(all, func(a, b parley.Stream) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(all), nil
}

// Remove implements parley.Remover. The topic of a stream that is removed is gone
// already, so that nobody knows any more where it lived: both engines forget it.
func (r *router) Remove(ctx context.Context, s parley.Stream) error {
	if err := r.memory.Remove(ctx, s); err != nil {
		return err
	}
	return r.durable.Remove(ctx, s)
}

// Stat implements parley.Statter.
func (r *router) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	return r.home(s).Stat(ctx, s)
}

// Back implements parley.Backer.
func (r *router) Back(ctx context.Context, at parley.Place, n int) (parley.Position, error) {
	return r.home(at.Stream).Back(ctx, at, n)
}

// At implements parley.Timer.
func (r *router) At(ctx context.Context, s parley.Stream, t time.Time) (parley.Position, error) {
	return r.home(s).At(ctx, s, t)
}

// Rewrite implements parley.Rewriter.
func (r *router) Rewrite(ctx context.Context, s parley.Stream, from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) error {
	return r.home(s).Rewrite(ctx, s, from, to, keep)
}
