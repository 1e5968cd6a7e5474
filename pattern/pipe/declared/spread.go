package declared

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// MaxSpread is how many partitions the topic may have that a pipe reads.
const MaxSpread = pubsub.MaxStreams

// spreadsOver gives the topic whose partitions have an owner each: that of the only
// source, if it is named and not to be read as one. What ends after so many events
// counts them in one place.
func spreadsOver(p *graph.Plan) string {
	all := p.Sources()
	if len(all) != 1 || all[0].Kind != "topic" || all[0].Switch("as-one") || p.Ends() {
		return ""
	}
	names := all[0].Words("name")
	if len(names) != 1 || topic.IsInternal(names[0]) || topic.IsEphemeral(names[0]) {
		return ""
	}
	if pattern, err := topic.ParsePattern(names[0]); err != nil || !pattern.Literal() {
		return ""
	}
	return names[0]
}

// partitions is how many a topic has, as far as is known here; 0 = it is not there.
func (r *Registry) partitions(name string) int {
	t, err := r.opt.Topics.Get(name)
	if err != nil {
		return 0
	}
	return len(t.Partitions)
}

// spreads says whether a pipe that goes over to d is to have an owner for each
// partition. A pipe that one owner has run goes on so if its stages remember events of
// several partitions, unless they begin anew.
func (o *owner) spreads(d *definition, a *adopted, anew bool) bool {
	return d.over != "" && (a.Adopted == 0 || a.Era != 0 || anew || !d.plan.Keeps() || o.r.partitions(d.over) <= 1)
}

// turns says whether it is to be spread although its definition stays: an earlier
// version had one owner for all pipes.
func (o *owner) turns(d *definition, a *adopted) bool {
	return a.Adopted != 0 && a.Era == 0 && o.spreads(d, a, false)
}

// widen sees to it that each partition has an owner.
func (o *owner) widen(ctx context.Context, d *definition, a *adopted) error {
	n := o.r.partitions(d.over)
	rec, _, _ := o.e.now()
	if o.part > 0 || a.Era == 0 || n < 2 || n <= rec.parts {
		return nil
	}
	if n > MaxSpread {
		return &parley.Error{Code: parley.Unprocessable, Field: "topic", Detail: d.over + " has " + strconv.Itoa(n) + " partitions, and a pipe reads at most " + strconv.Itoa(MaxSpread), Fix: "use a topic with fewer"}
	}
	return o.r.write(ctx, func(c *catalog) (*parley.Event, error) {
		was, there := c.pipes[o.e.name]
		if !there || was.number != o.e.number || was.parts >= n {
			return nil, nil
		}
		return event(TypeSpread, o.e.name, spreadData{n})
	})
}

// grown tells the pipes that read a topic of its partitions: more owners are needed,
// or the one that there is has to read more.
func (r *Registry) grown(t topic.Topic, removed bool) {
	if removed || len(t.Partitions) < 2 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		e.mu.Lock()
		if c := e.checked; c != nil && c.def != nil && c.def.isPipe() && (c.def.over == "" || e.rec.parts < len(t.Partitions)) && c.def.reads(t.Name) {
			e.stir()
		}
		e.mu.Unlock()
	}
}

// reads says whether a topic is one of the sources.
func (d *definition) reads(name string) bool {
	for _, s := range d.plan.Sources() {
		if s.Kind != "topic" {
			continue
		}
		for _, word := range s.Words("name") {
			if p, err := topic.ParsePattern(word); err == nil && p.Match(name) {
				return true
			}
		}
	}
	return false
}

// parted says that what stages remember would be cut or put together by a new
// definition: one owner has run the pipe, and then each partition would have its own,
// or the other way round.
func (r *Registry) parted(was record, old, now *definition) bool {
	if old.over == now.over || old.over != "" && now.over != "" {
		return false
	}
	n := max(was.parts, r.partitions(old.over), r.partitions(now.over))
	return n > 1 && (old.plan.Keeps() || now.plan.Keeps())
}

// whole says that one owner runs a pipe although each partition could have one: an
// earlier version began it, and its stages remember events of all of them.
func (r *Registry) whole(was record, d *definition) bool {
	return d.over != "" && was.parts < 2 && d.plan.Keeps() && r.partitions(d.over) > 1
}

// machine makes one for the owner's part of the events.
func (o *owner) machine(p *graph.Plan) (*graph.Machine, error) {
	m, err := p.Machine()
	if err == nil && o.part > 0 {
		m.Part(strconv.Itoa(o.part))
	}
	return m, err
}

// errIdle says that an owner has nothing to do: another reads its partition, or there
// is none.
var errIdle = errors.New("there is nothing to read here")

// lookAgain is when an owner that does not run by the newest definition looks whether
// it can.
const lookAgain = 5 * time.Second

// soon gives what is closed with changed, or when it is time to look again.
func soon(ctx context.Context, changed <-chan struct{}) <-chan struct{} {
	either := make(chan struct{})
	go func() { // until ctx ends, at most
		defer close(either)
		t := time.NewTimer(lookAgain)
		defer t.Stop()
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
	}()
	return either
}
