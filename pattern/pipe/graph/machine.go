package graph

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// MostWaiting is how many events wait in throttle and delay stages before a driver
// has to wait for them: see Machine.Room.
const MostWaiting = 10_000

// node is a stage of a machine.
type node interface {
	push(items []item) error
	tick() error            // the time has moved on
	end() error             // after the last push
	due() (time.Time, bool) // when tick has something to do
	held(visit func(*item)) // what it keeps
	care() care             // how it wants items
	common() *stage
}

// care is how much of an item has to be made for a node.
type care uint8

const (
	kept   care = iota // all, and it is the node's own
	opened             // all, for the time of a push
	little             // the node opens what it needs
)

// keeping is a node that has state.
type keeping interface {
	save() any
	load(state []byte) error // what save gave, as JSON
}

// stage is what all nodes have in common: a node that keeps nothing needs no more.
type stage struct {
	m       *Machine
	spec    *spec
	down    node
	catcher *catching // the catch behind it, which gets what fails
	buf     []item
	bytes   []byte // for what is written, to be used again
}

func (s *stage) common() *stage         { return s }
func (s *stage) tick() error            { return nil }
func (s *stage) due() (time.Time, bool) { return time.Time{}, false }
func (s *stage) held(func(*item))       {}
func (s *stage) end() error             { return nil }
func (s *stage) care() care             { return kept }

func (s *stage) emit(items []item) error {
	if len(items) == 0 {
		return nil
	}
	s.tell(Emitted, Passing{items: items})
	return s.m.give(s.down, items)
}

// fail gives an event that failed for good to where those go.
func (s *stage) fail(it *item, err error, attempts int) error {
	if ctxErr := s.m.ctx.Err(); ctxErr != nil {
		return context.Cause(s.m.ctx)
	}
	it.open()
	s.tell(Failed, Passing{items: []item{*it}, Err: err, Attempts: attempts})
	d := Dead{Stage: s.spec.name, Attempts: attempts, Err: err, Event: it.event, Original: it.original()}
	switch {
	case s.catcher != nil:
		return s.catcher.caught(it, d)
	case s.m.dead != nil && !s.spec.inDead():
		letter := item{event: d.Letter(), from: it.from, more: it.more}
		return side(s.m.dead, []item{letter})
	}
	s.m.out.Dead = append(s.m.out.Dead, d)
	return nil
}

func (s *spec) inDead() bool { return len(s.path) > 5 && s.path[:5] == "dead." }

// Machine makes a machine in its first state. Programs of exec stages are opened.
func (p *Plan) Machine() (*Machine, error) {
	m := &Machine{plan: p, lanes: make([]laneState, len(p.lanes)), wants: make([]wish, len(p.sinks))}
	c := &compiler{g: p.Graph, o: p.o, plan: &Plan{}, mach: m}
	first, err := c.chain(p.Graph.Steps[1:], "", 2, nil)
	if err == nil {
		m.first = first
		err = m.sides(c)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.out = p.output()
	return m, nil
}

// sides builds what lies beside the main pipe.
func (m *Machine) sides(c *compiler) error {
	before := c.catcher // of the main pipe's first step
	if c.catcher = nil; len(m.plan.Graph.Dead) > 0 {
		dead, err := c.chain(m.plan.Graph.Dead, "dead.", 1, nil)
		if err != nil {
			return err
		}
		m.dead = dead
	}
	for _, l := range m.plan.lanes {
		c.catcher = before
		top, err := c.chain(l.steps, l.prefix, 2, m.first)
		if err != nil {
			return err
		}
		m.tops = append(m.tops, top)
	}
	return nil
}

// chain makes the nodes of steps, from the last to the first. Without a node behind
// them the last is a sink.
func (c *compiler) chain(steps []Step, prefix string, from int, behind node) (node, error) {
	catcher := c.catcher // what takes errors of the last step
	for i := len(steps) - 1; i >= 0; i-- {
		k, _ := KindNamed(steps[i].Kind)
		s := &spec{graph: c.g, step: steps[i], kind: k, path: prefix + strconv.Itoa(from+i), name: steps[i].Name}
		if s.name == "" {
			s.name = s.path + " (" + k.Name + ")"
		}
		var n node
		if behind == nil {
			n = &sinking{index: c.mach.sinkAt(s.path)}
		} else {
			var err error
			n, err = k.make(c, s)
			if c.catcher = catcher; err != nil { // a pipe of it may have set another
				return nil, err
			}
		}
		base := n.common()
		base.m, base.spec, base.down, base.catcher = c.mach, s, behind, catcher
		if own, is := n.(*catching); is {
			catcher, c.catcher = own, own
		}
		c.mach.nodes = append(c.mach.nodes, n)
		behind = n
	}
	return behind, nil
}

func (m *Machine) sinkAt(path string) int {
	for i, s := range m.plan.sinks {
		if s.path == path {
			return i
		}
	}
	return -1
}

// begin begins a call, in the room that what came of the last one had.
func (m *Machine) begin(ctx context.Context, now time.Time) {
	m.ctx = ctx
	if now.After(m.now) {
		m.now = now // time does not go back
	}
	emptied(m.out.Sinks)
	emptied(m.out.Records)
	m.out.Dead = nil
}

// take gives what came of a step.
func (m *Machine) take(err error) (Output, error) {
	out := m.out
	if errors.Is(err, errEnough) {
		m.done, err = true, nil
	}
	return out, err
}

// errEnough is what a stage gives that wants no more events.
var errEnough = errors.New("no more events are wanted")

func unlessEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Tick passes on what waits no longer.
func (m *Machine) Tick(ctx context.Context, now time.Time) (Output, error) {
	m.begin(ctx, now)
	return m.take(m.ticks())
}

func (m *Machine) ticks() error {
	for i := len(m.nodes) - 1; i >= 0; i-- { // first to last, so that what one passes on the next sees at the same time
		if err := m.nodes[i].tick(); err != nil {
			return err
		}
	}
	return nil
}

// End is for when all sources have ended: stages give what they have kept, and
// throttle and delay wait for nothing any more. No Step comes after it.
func (m *Machine) End(ctx context.Context, now time.Time) (Output, error) {
	m.begin(ctx, now)
	err := m.ticks()
	for i := len(m.nodes) - 1; i >= 0 && err == nil; i-- {
		if err = m.nodes[i].end(); errors.Is(err, errEnough) {
			m.done, err = true, nil
		}
	}
	return m.take(err)
}

// Fail is for a sink that could not take an event: it goes where failed events go.
func (m *Machine) Fail(ctx context.Context, now time.Time, sink int, event parley.Event, err error, attempts int) (Output, error) {
	given := m.out // its driver is at it
	defer func() { m.out = given }()
	m.out = m.plan.output()
	m.begin(ctx, now)
	s := m.plan.sinks[sink]
	from := stage{m: m, spec: s}
	return m.take(from.fail(&item{event: event}, err, attempts))
}

// Wake gives the time at which Tick has something to do.
func (m *Machine) Wake() (at time.Time, ok bool) {
	for _, n := range m.nodes {
		if t, waits := n.due(); waits && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Room says how many more events may be given; at 0 a driver waits until Wake. It
// is for stages that hold events for a time, and can be passed by one Step.
func (m *Machine) Room() int { return max(0, MostWaiting-m.waiting) }

// Waiting is how many events throttle and delay stages hold.
func (m *Machine) Waiting() int { return m.waiting }

// Done says that no more events are wanted: a head has all that it takes.
func (m *Machine) Done() bool { return m.done }

// Low gives how many of the first events of a lane are done, if all outputs so far
// are: those that no stage keeps. A run that begins again behind them, without this
// machine's state, loses nothing.
func (m *Machine) Low(lane int) int64 {
	low := m.lanes[lane].Events
	see := func(o origin) {
		if o.Lane == lane {
			low = min(low, o.Seq)
		}
	}
	for _, n := range m.nodes {
		n.held(func(it *item) {
			see(it.from)
			for _, o := range it.more {
				see(o)
			}
		})
	}
	return low
}

// Close ends programs.
func (m *Machine) Close() error {
	var errs []error
	for _, r := range m.doing {
		errs = append(errs, r.Close())
	}
	m.doing = nil
	return errors.Join(errs...)
}
