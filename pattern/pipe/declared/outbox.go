package declared

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// outbox is what waits for a commit.
type outbox struct {
	order  []string // topics, as they came
	to     map[string][]outgoing
	writes map[string][]parley.Write // of topics whose events are ready
	in     int64                     // events that were read
	last   arrival

	events, dead int64 // that leave
	bytes        int
}

// outgoing is an event on its way to a topic.
type outgoing struct {
	topic.Outgoing
	sink int // of the plan; −1 = it is a letter
}

func (g *outgoing) size() int {
	if g.Record != nil {
		return g.Record.Size()
	}
	return len(g.Event.Data) + 200
}

func newOutbox() *outbox {
	return &outbox{to: map[string][]outgoing{}, writes: map[string][]parley.Write{}}
}

func (b *outbox) eventsTo(name string) ([]parley.Event, error) {
	events := make([]parley.Event, len(b.to[name]))
	var err error
	for i := range b.to[name] {
		if events[i], err = b.to[name][i].Whole(); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (b *outbox) outgoingTo(name string) []topic.Outgoing {
	all := make([]topic.Outgoing, len(b.to[name]))
	for i := range all {
		all[i] = b.to[name][i].Outgoing
	}
	return all
}

// add takes events, and the records that some are in: see graph.Output.
func (b *outbox) add(name string, sink int, events []parley.Event, records []*parley.Record) {
	if !slices.Contains(b.order, name) {
		b.order = append(b.order, name)
	}
	delete(b.writes, name)
	list := b.to[name]
	for i := range events {
		g := outgoing{topic.Outgoing{Event: events[i]}, sink}
		if i < len(records) && records[i] != nil {
			g.Event, g.Record = parley.Event{}, records[i]
		}
		list = append(list, g)
		b.bytes += g.size()
	}
	b.to[name] = list
	b.events += int64(len(events))
}

func (b *outbox) letter(name string, e parley.Event) {
	b.add(name, -1, []parley.Event{e}, nil)
	b.events--
	b.dead++
}

// store commits what was stepped, if anything was.
func (w *worker) store(ctx context.Context) error {
	if w.steps == 0 {
		return nil
	}
	begun := time.Now()
	if err := w.sift(ctx); err != nil {
		return w.smaller(err)
	}
	state, err := w.m.Snapshot()
	if err != nil {
		return err
	}
	k := w.kept
	k.Out += w.out.events
	k.Dead += w.out.dead
	if err := w.o.store(ctx, k, state, nil, w.out); err != nil {
		return w.smaller(err)
	}
	w.kept = k
	w.o.meter.committed(k, len(state), time.Since(w.began))
	w.out, w.steps, w.commit = newOutbox(), 0, time.Now()
	w.grow()
	if w.pace = 0; len(state) > 64<<10 {
		w.pace = 8 * time.Since(begun)
	}
	w.hold()
	return nil
}

// sift readies what goes to topics, and fails the events that a topic would not take.
// Where those go may be a topic, too, so that it begins again after them.
func (w *worker) sift(ctx context.Context) error {
	for again := true; again; {
		again = false
		for _, name := range w.out.order {
			if w.out.writes[name] != nil || len(w.out.to[name]) == 0 {
				continue
			}
			writes, err := w.o.r.opt.Topics.Prepare(ctx, name, w.out.outgoingTo(name))
			if err != nil && ofEvent(err) {
				again, err = true, w.refuse(ctx, name)
			}
			if err != nil {
				return err
			}
			w.out.writes[name] = writes
		}
	}
	return nil
}

// refuse fails those events to a topic that it would not take.
func (w *worker) refuse(ctx context.Context, name string) error {
	list := w.out.to[name]
	w.out.to[name] = nil
	var good []outgoing
	mended := false
	for _, g := range list {
		_, err := w.o.r.opt.Topics.Prepare(ctx, name, []topic.Outgoing{g.Outgoing})
		switch {
		case err == nil:
			good = append(good, g)
		case !ofEvent(err):
			return err
		case g.sink >= 0:
			w.out.events--
			e, broken := g.Whole()
			if broken != nil {
				return broken
			}
			if err := w.after(ctx)(w.m.Fail(ctx, time.Now(), g.sink, e, err, 1)); err != nil {
				return err
			}
		default:
			g.Event, mended = bare(g.Event), true
			if _, e := w.o.r.opt.Topics.Prepare(ctx, name, []topic.Outgoing{g.Outgoing}); e != nil {
				return e
			}
			good = append(good, g)
		}
	}
	if len(good) == len(list) && !mended { // each alone is good, and all are too many
		w.out.to[name] = good
		return &parley.Error{Code: parley.TooLarge, Field: "events", Detail: "the events for " + name + " do not fit one batch"}
	}
	w.out.to[name] = append(good, w.out.to[name]...)
	return nil
}

// ofEvent says that a topic refuses an event for what it is.
func ofEvent(err error) bool {
	switch parley.CodeOf(err) {
	case parley.Invalid, parley.TooLarge, parley.Unprocessable:
		return true
	}
	return false
}

// attrBare is an attribute of a letter that is too large with its data.
const attrBare = "deadbare"

// bare is a letter that has room everywhere: without data, and with what it was.
func bare(e parley.Event) parley.Event {
	b := parley.Event{ID: e.ID, Source: e.Source, Type: e.Type, Time: e.Time}
	for _, name := range []string{graph.AttrStage, graph.AttrCode, graph.AttrCause, graph.AttrAttempts} {
		b.Set(name, e.Extensions[name])
	}
	b.Set(attrBare, strconv.Itoa(len(e.Data)))
	return b
}

// smaller has a batch that is too large for one commit come again in smaller parts; a
// single event that is too large fails.
func (w *worker) smaller(err error) error {
	if parley.CodeOf(err) != parley.TooLarge {
		return err
	}
	switch n := int(w.out.in); {
	case n > 1:
		w.o.limit = max(1, n/2)
		return errChanged
	case n == 1 && w.out.last.cursor != "" && !w.buried:
		w.o.limit, w.o.poison = 1, &poison{w.out.last.lane, w.out.last.cursor, err}
		return errChanged
	}
	return err
}

// A pipe begins with parts of firstChunk events, which grow as long as a step takes
// less than quick, and shrink when one takes more than slow: what a slow program has
// done is committed soon, whatever happens next.
const (
	firstChunk = 16
	quick      = 50 * time.Millisecond
	slow       = 200 * time.Millisecond
)

// pacing learns from a step how many events the next ones are to have.
func (w *worker) pacing(events int, took time.Duration) {
	w.quick = took < quick
	if took > slow && events > 1 {
		w.limit(max(1, int(int64(events)*int64(slow/2)/int64(took))))
	}
}

// grow makes parts larger after a commit that was not too much.
func (w *worker) grow() {
	switch {
	case w.o.limit == 0 || !w.quick:
	case 2*w.o.limit > mostChunk:
		w.limit(0)
	default:
		w.limit(2 * w.o.limit)
	}
}

func (w *worker) limit(n int) {
	w.o.limit = n
	for _, l := range w.lanes {
		l.limit.Store(int64(n))
	}
}

// hold keeps retention from what the pipe has not committed.
func (w *worker) hold() {
	for _, l := range w.lanes {
		for _, p := range l.taken {
			w.o.r.opt.Topics.Hold(w.o.holder(), p.Stream, p.At)
		}
	}
}

// store makes one commit: what goes to topics, the places in the sources, and the
// state of the stages. Topics that no commit can take together with the journal get
// their events before, and may get them again.
func (o *owner) store(ctx context.Context, k kept, state []byte, adopt *adoption, out *outbox) error {
	stored, err := pack(state)
	if err != nil {
		return err
	}
	if len(state) == 0 {
		stored = nil
	}
	var writes []parley.Write
	for _, name := range out.order {
		if len(out.to[name]) == 0 {
			continue
		}
		more, err := o.ready(ctx, name, out)
		if err != nil {
			return err
		}
		writes = append(writes, more...)
	}
	if len(writes) > journal.MaxDoWrites {
		return &parley.Error{Code: parley.TooLarge, Field: "events", Detail: "one step touches " + strconv.Itoa(len(writes)) + " partitions of its topics", Fix: "use fewer partitions"}
	}
	return o.journal.Do(ctx, func(tx *journal.Tx) error {
		for _, w := range writes {
			if _, err := tx.Also(w); err != nil {
				return err
			}
		}
		return commit(tx, k, stored, adopt)
	})
}

// ready gives the writes of a topic, or publishes what cannot ride along.
func (o *owner) ready(ctx context.Context, name string, out *outbox) ([]parley.Write, error) {
	writes := out.writes[name]
	if len(writes) > journal.MaxDoWrites/2 {
		return nil, &parley.Error{Code: parley.TooLarge, Field: "events", Detail: "one step touches " + strconv.Itoa(len(writes)) + " partitions of " + name, Fix: "use fewer partitions"}
	}
	for _, w := range writes {
		ok, err := o.rides(ctx, w.Stream)
		if err != nil {
			return nil, err
		}
		if !ok {
			events, err := out.eventsTo(name)
			if err == nil {
				_, _, err = o.r.opt.Topics.Publish(ctx, name, events, topic.PublishOptions{})
			}
			return nil, err
		}
	}
	return writes, nil
}

// rides says whether one commit takes a stream and the journal.
func (o *owner) rides(ctx context.Context, s parley.Stream) (bool, error) {
	if ok, known := o.together[s]; known {
		return ok, nil
	}
	// Two guards that compare with nothing say so.
	_, err := o.r.log.Append(ctx, parley.Write{Stream: o.stream}, parley.Write{Stream: s})
	if err != nil && parley.CodeOf(err) != parley.Apart {
		return false, err
	}
	o.together[s] = err == nil
	return err == nil, nil
}
