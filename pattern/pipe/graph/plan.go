package graph

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Plan is a graph that was checked: what a driver opens, and the machine between.
type Plan struct {
	Graph *Graph
	o     Options
	lanes []lane
	sinks []*spec
}

// lane is a source, and with merge the stages that only its events pass.
type lane struct {
	source *spec
	prefix string
	steps  []Step
}

// Compile checks a graph and makes its plan.
func Compile(g *Graph, o Options) (*Plan, error) {
	o.Elsewhere = false
	return compile(g, o)
}

// Sources gives the sources; the index of each is its lane. There is one, and with
// merge more.
func (p *Plan) Sources() []Spec {
	var all []Spec
	for _, l := range p.lanes {
		all = append(all, Spec{Path: l.source.path, Name: l.source.name, Kind: l.source.kind.Name, spec: l.source})
	}
	return all
}

// Sinks gives the sinks, in the order of Output.Sinks.
func (p *Plan) Sinks() []Spec {
	var all []Spec
	for _, s := range p.sinks {
		all = append(all, Spec{Path: s.path, Name: s.name, Kind: s.kind.Name, spec: s})
	}
	return all
}

// Programs runs the programs of exec.
type Programs interface {
	// Open makes a program ready; it may be started when it is first used.
	Open(p Program) (Running, error)
}

// Program is what an exec stage is to run.
type Program struct {
	Command   []string
	Mode      string // each, filter or batch
	Framing   string // lines, ndjson or length
	Timeout   time.Duration
	MaxOutput int
	Env       []string
	Exit      map[int]string // drop, retry or dead, by exit code
	Attempts  int
}

// Running is a program that is ready.
type Running interface {
	// Do gives the program data and returns what it makes of it: a Result for each
	// input, or for mode batch one for all. It is not called concurrently.
	Do(ctx context.Context, inputs [][]byte) []Result
	// Close ends the program and all that it started.
	Close() error
}

// Result is what a program made of its input: nothing (the event is dropped), one
// thing, or in mode batch any number.
type Result struct {
	Out      [][]byte
	Attempts int
	Err      error
}

// Machine is one run of a plan, or one of several that follow each other: it has all
// the state of its stages. It is not safe for concurrent use, and starts no
// goroutine. Time is told; only exec does anything outside.
type Machine struct {
	plan  *Plan
	lanes []laneState
	nodes []node // all of them, for state
	tops  []node // where the events of each lane go in
	first node   // of the main pipe
	dead  node   // where failed events go in; nil = Output.Dead
	doing []Running
	probe Probe
	part  string // see Part
	wants []wish // of sinks
	items []item // those of a Step, to be used again
	looks sights
	page  page

	ctx     context.Context //nolint:containedctx // that of the Step that is going on
	now     time.Time
	out     Output
	done    bool
	waiting int
}

// laneState is how many events of a lane have come.
type laneState struct {
	Events int64 `json:"events"`
}

// Output is what came of a step, for the driver to deliver: together with Snapshot
// and the place of the source, if it can do that in one commit. Events may share
// their data and extensions: they are not to be changed. The lists are valid until the
// machine's next Step, Tick or End.
type Output struct {
	Sinks [][]parley.Event // by the index of Plan.Sinks
	// Records are those that events of Sinks are in, nil for others, by the same indices: of
	// sinks that Machine.Records was called for. The event beside a record may be zero.
	Records [][]*parley.Record
	Dead    []Dead // that Graph.Dead and no catch took
}

// Dead is an event that failed for good.
type Dead struct {
	Stage    string
	Attempts int
	Err      error
	Event    parley.Event // as the stage got it
	Original parley.Event // as the source gave it
}

// Attributes of a dead event, which is the original with them.
const (
	AttrStage    = "deadstage"
	AttrCode     = "deadcode"
	AttrCause    = "deadcause"
	AttrAttempts = "deadattempts"
)

// Letter makes the event that tells of a dead one: the original, whose id and data
// it keeps, with the stage, cause and number of attempts as extensions.
func (d Dead) Letter() parley.Event {
	e := d.Original.Clone()
	cause := d.Err.Error()
	if told, ok := errors.AsType[*parley.Error](d.Err); ok && told.Detail != "" {
		cause = told.Detail
	}
	e.Set(AttrStage, printable(d.Stage))
	e.Set(AttrCode, parley.CodeOf(d.Err).String())
	e.Set(AttrCause, printable(cause))
	e.Set(AttrAttempts, strconv.Itoa(d.Attempts))
	return e
}

// printable makes an attribute's value of any text.
func printable(s string) string {
	const most = 1000
	var b []byte
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r <= 0x9f || r == 0xfffd || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			r = ' '
		}
		if b = append(b, string(r)...); len(b) > most {
			break
		}
	}
	return string(b)
}
