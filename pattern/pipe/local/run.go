package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// Topics opens topics as sources and sinks.
type Topics interface {
	// Source reads topics and topic patterns: from earliest, latest, a cursor or @TIME;
	// with end up to what they hold when it gets there.
	Source(ctx context.Context, names []string, from string, end bool) (pipe.Source[parley.Event], error)
	// Sink publishes to a topic.
	Sink(ctx context.Context, name string) (pipe.Sink[parley.Event], error)
}

// Env is what a run has to do with. The zero value has no topics, an empty standard
// input, and drops what goes to standard output.
type Env struct {
	Topics Topics
	In     io.Reader                                       // of stdin; a Read that cannot be interrupted holds up the end of a run
	Out    io.Writer                                       // of stdout
	Say    func(text string)                               // is told what a person may want to know: a poll that failed, and the like
	HTTP   *http.Client                                    // of http; nil is one of its own
	Dead   func(d graph.Dead) error                        // takes events that failed and nothing in the graph takes; nil: they end the run
	Step   func(p Progress)                                // is told after each step
	Retry  pipe.Retry                                      // of sinks; without Attempts, 5
	Drain  time.Duration                                   // how long the end may take once the context is done; 0 is 10 s
	open   func(name string) (io.ReadCloser, int64, error) // for tests
}

// Progress is how far a run is.
type Progress struct {
	In, Out, Dead int64 // events
	Read, Size    int64 // bytes of files, and of how many; 0 = there are none
}

// Outcome is how a run went.
type Outcome struct {
	Progress
	Held        int64 // events that stages still keep, or that are not done because of those
	Interrupted bool  // the context ended before the sources did
}

// driver is one run.
type driver struct {
	env      Env
	plan     *graph.Plan
	m        *graph.Machine
	sources  []pipe.Source[parley.Event]
	sinks    []pipe.Sink[parley.Event]
	liners   []liner // of sources that have lines, else nil
	oneByOne []bool  // a sink that may refuse single events
	in       chan arrival
	files    *fileProgress
	at       Progress
	lanes    []int64 // events that came
	told     []int64
}

// arrival is what a source gave.
type arrival struct {
	lane   int
	events []parley.Event
	lines  graph.Lines // in place of events
	err    error
}

// Run runs a plan until its sources end, a stage or sink wants no more, or ctx ends:
// then what was read is worked off, and what stages keep is left. It returns when all
// that it started has ended.
func Run(ctx context.Context, plan *graph.Plan, env Env) (went Outcome, err error) {
	d := &driver{env: env.withDefaults(), plan: plan, in: make(chan arrival), files: &fileProgress{}}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return went, err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d.env.Drain)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-work.Done():
		}
	})
	defer stop()
	reading, enough := context.WithCancel(ctx)
	ended := make(chan struct{})
	for lane := range d.sources {
		go func() {
			d.read(reading, lane)
			ended <- struct{}{}
		}()
	}
	interrupted, err := d.loop(work, reading.Done(), len(d.sources))
	if errors.Is(err, pipe.Stop) { // a sink wants no more
		err = nil
	}
	enough()
	for left := len(d.sources); left > 0; {
		select {
		case <-d.in: // it comes too late
		case <-ended:
			left--
		}
	}
	went = Outcome{Progress: d.at, Interrupted: interrupted}
	for lane := range d.lanes {
		went.Held += d.lanes[lane] - d.m.Low(lane)
	}
	return went, err
}

func (e Env) withDefaults() Env {
	if e.In == nil {
		e.In = eof{}
	}
	if e.Out == nil {
		e.Out = io.Discard
	}
	if e.Say == nil {
		e.Say = func(string) {}
	}
	if e.HTTP == nil {
		e.HTTP = &http.Client{}
	}
	if e.Retry.Attempts <= 0 {
		e.Retry.Attempts = 5
	}
	if e.Drain <= 0 {
		e.Drain = 10 * time.Second
	}
	if e.open == nil {
		e.open = openFile
	}
	return e
}

type eof struct{}

// Read implements io.Reader.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (d *driver) open(ctx context.Context) error {
	var err error
	for _, s := range d.plan.Sinks() { // first, so that nothing is read when one cannot be
		sink, one, e := d.sink(ctx, s)
		if e != nil {
			return e
		}
		d.sinks, d.oneByOne = append(d.sinks, sink), append(d.oneByOne, one)
	}
	if d.m, err = d.plan.Machine(); err != nil {
		return err
	}
	for i, s := range d.plan.Sinks() {
		if s.Kind == "discard" || (s.Kind == "file" || s.Kind == "stdout") && s.Text("format") != "cloudevents" {
			d.m.DataOnly(i)
		}
	}
	for _, s := range d.plan.Sources() {
		src, e := d.source(ctx, s)
		if e != nil {
			return e
		}
		d.sources, d.liners = append(d.sources, src), append(d.liners, linerOf(src, s.Text("format")))
	}
	d.lanes, d.told = make([]int64, len(d.sources)), make([]int64, len(d.sources))
	return nil
}

func (d *driver) close() error {
	var errs []error
	if d.m != nil {
		errs = append(errs, d.m.Close())
	}
	for _, s := range d.sources {
		if c, ok := s.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	for _, s := range d.sinks {
		if c, ok := s.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// read gives what a source gives to the loop.
func (d *driver) read(ctx context.Context, lane int) {
	for {
		a := d.next(ctx, lane)
		select {
		case d.in <- a:
		case <-ctx.Done():
			if a.err == nil {
				a.err = context.Cause(ctx)
			}
			d.in <- arrival{lane: lane, err: a.err} // the loop, or whoever ends it, still listens
		}
		if a.err != nil {
			return
		}
	}
}

// next waits for what a source has next.
func (d *driver) next(ctx context.Context, lane int) arrival {
	a := arrival{lane: lane}
	if l := d.liners[lane]; l != nil {
		a.lines, a.err = l.block(ctx)
		return a
	}
	events, err := d.sources[lane].Next(ctx)
	a.events, a.err = make([]parley.Event, len(events)), err // the source may use its buffers again
	for i := range events {
		a.events[i] = events[i].Clone()
	}
	return a
}

// loop is the run itself.
func (d *driver) loop(ctx context.Context, ending <-chan struct{}, live int) (interrupted bool, err error) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for live > 0 && !d.m.Done() {
		in := d.in
		if d.m.Room() == 0 && ending != nil {
			in = nil
		}
		d.set(clock)
		select {
		case a := <-in:
			if err := d.take(ctx, a); err != nil {
				return interrupted, err
			}
			if a.err != nil {
				live--
			}
			if a.err != nil && !errors.Is(a.err, io.EOF) {
				interrupted = true
				if !errors.Is(a.err, context.Canceled) && !errors.Is(a.err, context.DeadlineExceeded) {
					return interrupted, d.failed(d.plan.Sources()[a.lane], a.err)
				}
			}
		case <-clock.C:
			if err := d.after(ctx)(d.m.Tick(ctx, time.Now())); err != nil {
				return interrupted, err
			}
		case <-ending:
			ending = nil // what was read is taken without room, too
		case <-ctx.Done():
			return true, nil
		}
	}
	if interrupted {
		return true, nil
	}
	return d.finish(ctx, clock)
}

// finish lets what waits for its time go, and then gives what stages have kept.
func (d *driver) finish(ctx context.Context, clock *time.Timer) (interrupted bool, err error) {
	for d.m.Waiting() > 0 && !d.m.Done() {
		d.set(clock)
		select {
		case <-clock.C:
			if err := d.after(ctx)(d.m.Tick(ctx, time.Now())); err != nil {
				return false, err
			}
		case <-ctx.Done():
			return true, nil
		}
	}
	return false, d.after(ctx)(d.m.End(ctx, time.Now()))
}

func (d *driver) set(clock *time.Timer) {
	clock.Stop()
	if at, ok := d.m.Wake(); ok {
		clock.Reset(max(time.Until(at), 0))
	}
}

func (d *driver) take(ctx context.Context, a arrival) error {
	var out graph.Output
	var err error
	switch {
	case len(a.lines.Text) > 0:
		out, err = d.m.StepLines(ctx, time.Now(), a.lane, a.lines)
	case len(a.events) > 0:
		out, err = d.m.Step(ctx, time.Now(), a.lane, a.events)
	default:
		return nil
	}
	taken := d.m.Taken(a.lane)
	d.at.In += taken - d.lanes[a.lane]
	d.lanes[a.lane] = taken
	return d.after(ctx)(out, err)
}

// after delivers what came of a step, and tells the sources what is done.
func (d *driver) after(ctx context.Context) func(graph.Output, error) error {
	return func(out graph.Output, err error) error {
		if err != nil {
			return err
		}
		if err := d.deliver(ctx, out); err != nil {
			return err
		}
		for lane, s := range d.sources {
			low := d.m.Low(lane)
			acker, ok := s.(pipe.Acker)
			if !ok || low <= d.told[lane] {
				continue
			}
			if err := acker.Ack(ctx, low); err != nil {
				return d.failed(d.plan.Sources()[lane], err)
			}
			d.told[lane] = low
		}
		if d.env.Step != nil {
			d.at.Read, d.at.Size = d.files.read.Load(), d.files.size.Load()
			d.env.Step(d.at)
		}
		return nil
	}
}

func (d *driver) deliver(ctx context.Context, out graph.Output) error {
	for i, events := range out.Sinks {
		for len(events) > 0 {
			part := events
			if d.oneByOne[i] {
				part = events[:1]
			}
			events = events[len(part):]
			if err := d.put(ctx, i, part); err != nil {
				return err
			}
		}
	}
	for _, dead := range out.Dead {
		d.at.Dead++
		if d.env.Dead == nil {
			return died(dead)
		}
		if err := d.env.Dead(dead); err != nil {
			return err
		}
	}
	return nil
}

// died is the error of an event that failed and that nothing takes.
func died(dead graph.Dead) error {
	e := parley.Error{Code: parley.CodeOf(dead.Err), Detail: dead.Err.Error(), Err: dead.Err}
	if told, ok := errors.AsType[*parley.Error](dead.Err); ok {
		e = *told
	}
	e.Detail = fmt.Sprintf("stage %s: %s, of the event %s of %s", dead.Stage, e.Detail, dead.Original.ID, dead.Original.Source)
	if e.Fix == "" {
		e.Fix = "put a catch behind the stage, as in: catch 'file bad.ndjson'"
	}
	return &e
}

func (d *driver) failed(s graph.Spec, err error) error {
	e := parley.Error{Code: parley.CodeOf(err), Detail: err.Error()}
	if told, ok := errors.AsType[*parley.Error](err); ok {
		e = *told
	}
	e.Detail, e.Err = s.Name+": "+e.Detail, err
	return &e
}

// put gives events to a sink, again if it fails.
func (d *driver) put(ctx context.Context, i int, events []parley.Event) error {
	spec, retry := d.plan.Sinks()[i], d.env.Retry
	if spec.Kind == "http" {
		retry.Attempts = spec.Number("retry", retry.Attempts)
	}
	tries, err := retry.Do(ctx, func() error { return d.sinks[i].Put(ctx, events) })
	switch {
	case err == nil:
		d.at.Out += int64(len(events))
		return nil
	case errors.Is(err, pipe.Stop):
		return pipe.Stop
	case d.oneByOne[i] && ctx.Err() == nil:
		out, e := d.m.Fail(ctx, time.Now(), i, events[0], err, tries)
		if e != nil {
			return e
		}
		return d.deliver(ctx, out)
	}
	return d.failed(spec, err)
}

// fileProgress is how much of the files was read.
type fileProgress struct{ read, size atomic.Int64 }

func openFile(name string) (io.ReadCloser, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return f, 0, nil
	}
	return f, info.Size(), nil
}
