package pipe

import (
	"context"
	"hash/maphash"
	"runtime"
)

// Order is what Parallel keeps of the order of events.
type Order int

// The orders.
const (
	OrderNone  Order = iota // none: an event may overtake any other
	OrderKey                // that of events with one key, which share a lane
	OrderTotal              // all of it
)

// Lanes say how Parallel works.
type Lanes[T any] struct {
	N     int            // lanes, each a goroutine; 0 is GOMAXPROCS
	Order Order          // what is kept
	Key   func(T) string // of an event, with OrderKey
	Limit Limit[T]       // of events in all lanes together
}

// Parallel runs a part of a flow in several lanes. The body is called once a lane
// and builds that part of Map, Filter, FlatMap, Take, Apply, Split and Batch
// without Every; a memory of it is a lane's own. A lane gets the slices that come,
// so it takes more than one for lanes to work at once.
func Parallel[T, U any](f Flow[T], o Lanes[T], body func(Flow[T]) Flow[U]) Flow[U] {
	if o.N <= 0 {
		o.N = runtime.GOMAXPROCS(0)
	}
	before := f.last.next("parallel")
	at := &label{before.place, before.name, before.catch}
	return Flow[U]{last: at, connect: func(r *run, down port[U]) error {
		if o.Order == OrderKey && o.Key == nil {
			return invalid(at, "OrderKey needs Key")
		}
		p := newParallel(r, o, down)
		for _, lane := range p.lanes {
			part := body(Flow[T]{last: before, connect: func(_ *run, first port[T]) error { lane.first = first; return nil }})
			r.inLane = true
			err := part.into(r, at, lane)
			r.inLane = false
			if err != nil {
				return err
			}
			if lane.first == nil {
				return invalid(at, "the body does not build on the flow that it is given")
			}
		}
		if err := f.into(r, at, p); err != nil {
			return err
		}
		for _, lane := range p.lanes {
			if err := r.task(lane.run); err != nil {
				return err
			}
		}
		return r.task(p.collect)
	}}
}

// job is events on their way through a lane, and what became of them.
type job[T, U any] struct {
	in     []T
	unit   unit
	bytes  int
	last   bool // of its lane
	out    []U
	spans  []span
	number int // as dispatched, from 0
}

// span is n events of out.
type span struct {
	n    int
	unit unit
}

type parallel[T, U any] struct {
	r       *run
	o       Lanes[T]
	down    port[U]
	lanes   []*laneRun[T, U]
	room    *budget
	free    chan *job[T, U]
	results chan *job[T, U] // as they are done
	early   []*job[T, U]    // of a total order: what waits for those before it, by number
	gone    chan struct{}   // closed when nothing more is wanted
	turn    int

	dispatched, passed int // jobs
	seed               maphash.Seed
	parts              []*job[T, U] // of a push by key
}

// laneRun is one lane, and the port at the end of its body.
type laneRun[T, U any] struct {
	p     *parallel[T, U]
	in    chan *job[T, U]
	first port[T]
	now   *job[T, U]
}

func newParallel[T, U any](r *run, o Lanes[T], down port[U]) *parallel[T, U] {
	o.Limit = o.Limit.orDefault()
	jobs := 16 * o.N // with a total order, enough while one lane is held up; Limit bounds what they hold
	p := &parallel[T, U]{
		r: r, o: o, down: down, room: newBudget(o.Limit.Events, o.Limit.Bytes), seed: maphash.MakeSeed(),
		free: make(chan *job[T, U], jobs), results: make(chan *job[T, U], jobs), gone: make(chan struct{}), parts: make([]*job[T, U], o.N), early: make([]*job[T, U], jobs),
	}
	for range jobs {
		p.free <- &job[T, U]{}
	}
	shared := make(chan *job[T, U], jobs)
	for range o.N {
		in := shared
		if o.Order == OrderKey {
			in = make(chan *job[T, U], jobs)
		}
		p.lanes = append(p.lanes, &laneRun[T, U]{p: p, in: in})
	}
	return p
}

func (p *parallel[T, U]) push(ctx context.Context, c chunk[T]) error {
	if p.o.Order == OrderKey {
		return p.byKey(ctx, c)
	}
	for len(c.items) > 0 {
		part := c.items
		if len(part) > p.o.Limit.Events {
			part = part[:p.o.Limit.Events]
		}
		c.items = c.items[len(part):]
		j, err := p.job(ctx)
		if err != nil {
			return err
		}
		j.in = append(j.in[:0], part...)
		if err := p.send(ctx, p.turn, j, c.unit); err != nil {
			return err
		}
		p.turn = (p.turn + 1) % len(p.lanes)
	}
	return nil
}

func (p *parallel[T, U]) byKey(ctx context.Context, c chunk[T]) error {
	for i := range c.items {
		lane := int(maphash.String(p.seed, p.o.Key(c.items[i])) % uint64(len(p.lanes)))
		j := p.parts[lane]
		if j == nil {
			var err error
			if j, err = p.job(ctx); err != nil {
				return err
			}
			j.in = j.in[:0]
			p.parts[lane] = j
		}
		j.in = append(j.in, c.items[i])
		if len(j.in) >= p.o.Limit.Events {
			p.parts[lane] = nil
			if err := p.send(ctx, lane, j, c.unit); err != nil {
				return err
			}
		}
	}
	for lane, j := range p.parts {
		if j == nil {
			continue
		}
		p.parts[lane] = nil
		if err := p.send(ctx, lane, j, c.unit); err != nil {
			return err
		}
	}
	return nil
}

func (p *parallel[T, U]) job(ctx context.Context) (*job[T, U], error) {
	select {
	case <-p.gone:
		return nil, Stop
	default:
	}
	select {
	case j := <-p.free:
		return j, nil
	case <-p.gone:
		return nil, Stop
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// send gives a lane its job. All channels have room for all jobs.
func (p *parallel[T, U]) send(ctx context.Context, lane int, j *job[T, U], u unit) error {
	j.bytes = p.o.Limit.size(j.in)
	if err := p.room.take(ctx, len(j.in), j.bytes); err != nil {
		return err
	}
	j.unit = u
	p.r.book.hold(u)
	p.dispatch(lane, j)
	return nil
}

func (p *parallel[T, U]) dispatch(lane int, j *job[T, U]) {
	j.number = p.dispatched
	p.dispatched++
	p.lanes[lane].in <- j
}

func (p *parallel[T, U]) end(ctx context.Context) error {
	for i := range p.lanes {
		select {
		case j := <-p.free:
			j.in, j.unit, j.bytes, j.last = j.in[:0], 0, 0, true
			p.dispatch(i, j)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (l *laneRun[T, U]) run(ctx context.Context) error {
	stopped := false
	for {
		var j *job[T, U]
		select {
		case j = <-l.in:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.now = j
		last := j.last
		var err error
		switch {
		case last:
			err = l.first.end(ctx)
		case !stopped:
			err = l.first.push(ctx, chunk[T]{j.in, j.unit})
		}
		if unlessStop(err) != nil {
			return err
		}
		if stopped = stopped || err != nil; stopped {
			j.unit = 0 // nobody took its events: they are never done
		}
		l.p.results <- j
		if last {
			return nil
		}
	}
}

// push is the end of the body: what comes is a result of the job at hand.
func (l *laneRun[T, U]) push(_ context.Context, c chunk[U]) error {
	j := l.now
	j.out = append(j.out, c.items...)
	if n := len(j.spans); n > 0 && j.spans[n-1].unit == c.unit {
		j.spans[n-1].n += len(c.items)
		return nil
	}
	l.p.r.book.hold(c.unit)
	j.spans = append(j.spans, span{len(c.items), c.unit})
	return nil
}

func (l *laneRun[T, U]) end(context.Context) error { return nil }

// collect passes results on, in their order.
func (p *parallel[T, U]) collect(ctx context.Context) error {
	stopped := false
	for left := len(p.lanes); left > 0; {
		j, err := p.result(ctx)
		if err != nil {
			return err
		}
		if j.last {
			left--
		}
		if !stopped {
			err = p.pass(ctx, j)
			if unlessStop(err) != nil {
				return err
			}
			if stopped = err != nil; stopped {
				close(p.gone)
			}
		}
		p.room.give(len(j.in), j.bytes)
		clear(j.in)
		clear(j.out)
		j.in, j.out, j.spans, j.last = j.in[:0], j.out[:0], j.spans[:0], false
		p.free <- j
	}
	return unlessStop(p.down.end(ctx))
}

// result gives the next job that goes on. With a total order those that were done too
// early wait: there are never more than there are places.
func (p *parallel[T, U]) result(ctx context.Context) (*job[T, U], error) {
	for {
		place := &p.early[p.passed%len(p.early)]
		if j := *place; j != nil {
			*place = nil
			p.passed++
			return j, nil
		}
		select {
		case j := <-p.results:
			if p.o.Order != OrderTotal {
				return j, nil
			}
			p.early[j.number%len(p.early)] = j
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p *parallel[T, U]) pass(ctx context.Context, j *job[T, U]) error {
	from := 0
	for _, s := range j.spans {
		if err := p.down.push(ctx, chunk[U]{j.out[from : from+s.n], s.unit}); err != nil {
			return err
		}
		from += s.n
		p.r.book.drop(s.unit)
	}
	p.r.book.drop(j.unit)
	return nil
}
