package graph

import "github.com/parleyhq/parley"

// Way is what happens to events at a step.
type Way uint8

// The ways.
const (
	Entered Way = iota + 1 // they went in
	Emitted                // the step passed them on
	Failed                 // they failed there for good
	Left                   // the step is done with what went in last; there are no events
)

// Probe is told what happens at the steps of a machine, within Step, Tick, End and
// Fail. A step that passes events on is not left before those behind it are: Entered
// and Left nest. What a stage has kept for a time is emitted without having entered.
type Probe func(step Spec, way Way, p Passing)

// Passing is some events at a step. It is valid during the call only.
type Passing struct {
	items    []item
	Err      error // why they failed
	Attempts int   // after how many tries
}

// Len is their number.
func (p Passing) Len() int { return len(p.items) }

// Event gives one of them, which must not be changed.
func (p Passing) Event(i int) *parley.Event {
	p.items[i].open()
	return &p.items[i].event
}

// Origin gives the lane that an event came in by and its number there, from 0. What
// was made of several has the origin of the first.
func (p Passing) Origin(i int) (lane int, number int64) {
	from := p.items[i].from
	return from.Lane, from.Seq
}

// Watch has a probe told from now on. It costs a call for each step and batch.
func (m *Machine) Watch(p Probe) { m.probe = p }

// Steps gives the stages and sinks of the machine, in no order.
func (m *Machine) Steps() []Spec {
	all := make([]Spec, 0, len(m.nodes))
	for _, n := range m.nodes {
		all = append(all, n.common().spec.public())
	}
	return all
}

func (s *spec) public() Spec { return Spec{Path: s.path, Name: s.name, Kind: s.kind.Name, spec: s} }

// give pushes items into a node.
func (m *Machine) give(n node, items []item) error {
	switch n.care() {
	case kept:
		for i := range items {
			items[i].own()
		}
	case opened:
		for i := range items {
			items[i].open()
		}
	}
	if m.probe == nil {
		return n.push(items)
	}
	step := n.common().spec.public()
	m.probe(step, Entered, Passing{items: items})
	err := n.push(items)
	m.probe(step, Left, Passing{})
	return err
}

// tell tells the probe about a stage.
func (s *stage) tell(way Way, p Passing) {
	if s.m.probe != nil {
		s.m.probe(s.spec.public(), way, p)
	}
}
