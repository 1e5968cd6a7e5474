package declared

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/local"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// worker is one run of a pipe's machine, from a commit on. Whatever fails ends it, and
// the next one begins at the newest commit.
type worker struct {
	o     *owner
	def   *definition
	m     *graph.Machine
	kept  kept // as it will be with the next commit
	in    chan arrival
	lanes []*lane
	sinks []sink
	out   *outbox

	buried bool          // an event that was too large, since this worker began
	quick  bool          // the last step was
	steps  int           // since the last commit
	began  time.Time     // the first of them
	pace   time.Duration // between commits, when state is large
	commit time.Time     // the last one
}

// sink is where the events of one sink of the plan go.
type sink struct {
	topic string // published with the commit; "" = put before it
	put   pipe.Sink[parley.Event]
	one   bool // it may refuse single events
	tries int
}

// Bounds of what is stepped before a commit.
const (
	mostEvents = 2000
	mostBytes  = 2 << 20
)

// drive makes a worker and lets it work.
func (o *owner) drive(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rec, _, changed := o.e.now()
	if err := o.retire(ctx); err != nil {
		return err
	}
	if rec.want == Paused {
		return o.rest(ctx, changed)
	}
	def, a, err := o.plan(ctx)
	if o.behind {
		changed = soon(ctx, changed)
	}
	switch {
	case errors.Is(err, errIdle):
		return o.stand(ctx, idle, changed)
	case err != nil:
		return err
	case a.Done:
		return o.stand(ctx, Done, changed)
	}
	m, err := o.machine(def.plan)
	if err != nil {
		return err
	}
	w := &worker{o: o, def: def, m: m, kept: a.kept, in: make(chan arrival), out: newOutbox()}
	defer func() { err = errors.Join(err, m.Close()) }()
	if a.state != nil {
		if err := m.Restore(a.state); err != nil {
			return err
		}
	}
	o.meter.begin(def, m)
	o.taps.know(m.Steps())
	m.Watch(o.probe)
	if err = w.open(ctx, true); err == nil {
		o.meter.state(Running)
		err = w.loop(ctx, changed)
	}
	stop()
	w.close()
	return err
}

// stand waits in a state until something has changed.
func (o *owner) stand(ctx context.Context, s State, changed <-chan struct{}) error {
	o.meter.state(s)
	select {
	case <-changed:
		return errChanged
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rest waits while the pipe is paused, and keeps what it has not read.
func (o *owner) rest(ctx context.Context, changed <-chan struct{}) error {
	a, err := o.adopted(ctx)
	if err != nil {
		return err
	}
	for _, l := range a.Lanes {
		if l.Cursor == "" || a.Retired != 0 {
			continue
		}
		sub, err := o.r.opt.Hub.Subscribe(ctx, pubsub.Request{Topics: l.Topics, From: pubsub.After(l.Cursor), Partition: o.only(a.Era)})
		if err != nil {
			return err
		}
		for _, p := range sub.Places() {
			o.r.opt.Topics.Hold(o.holder(), p.Stream, p.At)
		}
		sub.Close()
	}
	return o.stand(ctx, Paused, changed)
}

// open opens the sinks, and with read the sources.
func (w *worker) open(ctx context.Context, read bool) error {
	for _, s := range w.def.plan.Sinks() {
		k := sink{tries: s.Number("retry", w.o.r.opt.Retry.Attempts)}
		if s.Kind == "topic" {
			k.topic = s.Text("name")
			w.m.Records(len(w.sinks))
		} else {
			var err error
			if k.put, k.one, err = local.OpenSink(ctx, s, w.o.env()); err != nil {
				return err
			}
		}
		w.sinks = append(w.sinks, k)
	}
	if !read {
		return nil
	}
	for i, s := range w.def.plan.Sources() {
		l, err := w.o.openLane(ctx, i, s, &w.kept)
		if err != nil {
			return err
		}
		w.lanes = append(w.lanes, l)
		go l.read(ctx, w.in)
	}
	w.o.meter.reads(w.lanes)
	w.hold()
	return nil
}

// close ends what open began; the context of open has ended.
func (w *worker) close() {
	for _, l := range w.lanes {
		<-l.ended
	}
	for _, s := range w.sinks {
		if c, ok := s.put.(io.Closer); ok {
			_ = c.Close() // what was put is put
		}
	}
}

func (o *owner) env() local.Env {
	return local.Env{HTTP: o.r.opt.Client, Say: o.meter.note}
}

func (o *owner) holder() string { return holder(o.e.name, o.part) }

// loop takes what comes, step by step.
func (w *worker) loop(ctx context.Context, changed <-chan struct{}) error {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for !w.m.Done() {
		in := w.in
		if w.m.Room() == 0 {
			in = nil
		}
		w.set(clock)
		select {
		case <-changed: // what was stepped and is not committed comes again
			if err := w.store(ctx); err != nil {
				return err
			}
			return errChanged
		case <-ctx.Done():
			return ctx.Err()
		case a := <-in:
			if err := w.take(ctx, a); err != nil {
				return err
			}
		case <-clock.C:
			if err := w.tick(ctx); err != nil {
				return err
			}
		}
	}
	w.kept.Done = true
	w.steps++
	return w.store(ctx)
}

// set sets the clock for what is next: a stage that wakes, or a commit.
func (w *worker) set(clock *time.Timer) {
	at, ok := w.m.Wake()
	if w.steps > 0 {
		if due := w.commit.Add(w.pace); !ok || due.Before(at) {
			at, ok = due, true
		}
	}
	if !ok {
		at = time.Now().Add(time.Hour)
	}
	clock.Reset(max(0, time.Until(at)))
}

func (w *worker) tick(ctx context.Context) error {
	if at, ok := w.m.Wake(); ok && !at.After(time.Now()) {
		w.step()
		if err := w.after(ctx)(w.m.Tick(ctx, time.Now())); err != nil {
			return err
		}
	}
	return w.perhaps(ctx)
}

func (w *worker) step() {
	if w.steps++; w.steps == 1 {
		w.began = time.Now()
	}
}

// take gives what a source gave to the machine, and what others have ready, too.
func (w *worker) take(ctx context.Context, a arrival) error {
	for {
		if a.err != nil {
			return a.err
		}
		if err := w.feed(ctx, a); err != nil {
			return err
		}
		if w.m.Done() || w.m.Room() == 0 || w.out.events+w.out.dead > mostEvents || w.out.bytes > mostBytes || w.out.in > mostEvents || w.o.limit > 0 || time.Since(w.began) > slow {
			break
		}
		select {
		case a = <-w.in:
			continue
		default:
		}
		break
	}
	return w.perhaps(ctx)
}

// feed steps over one arrival.
func (w *worker) feed(ctx context.Context, a arrival) error {
	w.step()
	begun := time.Now()
	defer func() { w.pacing(a.len(), time.Since(begun)) }()
	w.out.in += int64(a.len())
	w.kept.In += int64(a.len())
	w.out.last = a
	if p := w.o.poison; p != nil && p.lane == a.lane && p.cursor == a.cursor && a.len() == 1 {
		e, err := a.first()
		if err != nil {
			return err
		}
		w.o.poison = nil
		w.bury(graph.Dead{Stage: "commit", Attempts: 1, Err: p.err, Event: e, Original: e})
		w.buried = true // nothing smaller is left to try
	} else if err := w.after(ctx)(w.pass(ctx, &a)); err != nil {
		return err
	}
	if a.cursor != "" {
		w.kept.Lanes[a.lane].Cursor = a.cursor
		w.lanes[a.lane].taken = a.places
	}
	return nil
}

// pass has the machine take what has come.
func (w *worker) pass(ctx context.Context, a *arrival) (graph.Output, error) {
	if len(a.records) > 0 {
		return w.m.StepRecords(ctx, time.Now(), a.lane, a.records)
	}
	return w.m.Step(ctx, time.Now(), a.lane, a.events)
}

// after gathers what came of a step: what goes to topics waits for the commit, and
// the rest is put now.
func (w *worker) after(ctx context.Context) func(graph.Output, error) error {
	return func(out graph.Output, err error) error {
		if err != nil {
			return err
		}
		for i, events := range out.Sinks {
			if len(events) == 0 {
				continue
			}
			if name := w.sinks[i].topic; name != "" {
				w.out.add(name, i, events, out.Records[i])
				continue
			}
			if err := w.put(ctx, i, events); err != nil {
				return err
			}
		}
		for _, d := range out.Dead {
			w.bury(d)
		}
		return nil
	}
}

// bury gives an event that failed to where those go that nothing in the graph takes.
func (w *worker) bury(d graph.Dead) {
	name := w.def.dead
	if name == "" {
		name = w.o.e.name + ".dead" // what even the graph's dead could not take
	}
	w.out.letter(name, d.Letter())
}

// put gives events to a sink that is no topic, again if it fails.
func (w *worker) put(ctx context.Context, i int, events []parley.Event) error {
	s := &w.sinks[i]
	retry := w.o.r.opt.Retry
	retry.Attempts = s.tries
	for len(events) > 0 {
		part := events
		if s.one {
			part = events[:1]
		}
		events = events[len(part):]
		tries, err := retry.Do(ctx, func() error { return s.put.Put(ctx, part) })
		switch {
		case err == nil:
			w.out.events += int64(len(part))
		case ctx.Err() != nil || !s.one:
			return err
		default:
			if err := w.after(ctx)(w.m.Fail(ctx, time.Now(), i, part[0], err, tries)); err != nil {
				return err
			}
		}
	}
	return nil
}

// perhaps commits, unless the last commit was so large that it would be all that is
// done.
func (w *worker) perhaps(ctx context.Context) error {
	if w.steps == 0 || w.out.bytes < mostBytes && time.Since(w.commit) < w.pace {
		return nil
	}
	return w.store(ctx)
}
