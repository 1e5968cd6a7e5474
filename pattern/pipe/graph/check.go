package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Options are what a graph is checked and compiled with.
type Options struct {
	// Expr compiles an expression over an event, with condition one that is true or
	// false: where.Compile of package
	// pattern/pipe/where. data is the event's data, decoded.
	Expr func(text string, condition bool) (func(e *parley.Event, data any) (any, error), error)
	// Fields says which members of the data an expression looks at, as paths, so that
	// no others are decoded; not ok is all of them: where.Fields. Nil decodes
	// all.
	Fields func(text string) (paths [][]string, ok bool)
	// Test gives a condition that can be told from some members of the data as they stand
	// in it, as JSON, nil for one that an object lacks; e gives the event. Not ok leaves
	// it to Expr: where.Test. Nil, also of a condition, leaves all to it.
	Test func(text string) (paths [][]string, test func(e func() *parley.Event, members [][]byte) (yes, ok bool))
	// JQ compiles a jq program over an event's data: jq.Compile of package
	// pattern/pipe/jq.
	JQ func(text string) (func(ctx context.Context, data any) ([]any, error), error)
	// Template gives a jq program that only takes members as the text of its result,
	// between which members of its input stand: jq.Template. Nil runs all programs.
	Template func(text string) (between []string, paths [][]string, ok bool)
	// Schema compiles a JSON Schema: schema.Compile of package pattern/stream/schema.
	Schema func(text string) (fits func(data []byte) error, err error)
	// Programs runs the programs of exec. Nil refuses them.
	Programs Programs
	// Endless says that the graph is to run for ever, as a declared one: sources
	// that end are refused.
	Endless bool
	// Elsewhere has Check take stages that are used and not there for ones that are:
	// of a server, say.
	Elsewhere bool
}

// Check finds what is wrong with a graph: all of it, as one joined error. Those of a
// text have a *lang.Mistake in their chain, the others are *Problem.
func Check(g *Graph, o Options) error {
	_, err := compile(g, o)
	return err
}

// compiler makes a plan of a graph, and gathers what is wrong.
type compiler struct {
	g     *Graph
	o     Options
	plan  *Plan
	errs  []error
	names map[string]bool
	reads map[string]bool // topics
	loose map[Pos]bool    // what is used there is not there, and that was told
	mach  *Machine        // that nodes are made for; nil while it is checked

	catcher *catching // behind the steps that are being made
}

func (c *compiler) wrong(s *spec, param, what, fix string) {
	c.errs = append(c.errs, s.wrong(param, what, fix))
}

func compile(g *Graph, o Options) (*Plan, error) {
	c := &compiler{g: g, o: o, plan: &Plan{Graph: g, o: o}, names: map[string]bool{}, reads: map[string]bool{}, loose: map[Pos]bool{}}
	if len(g.Steps) == 0 {
		return nil, g.problem(Pos{}, parley.BadField("steps", "there are none", "write a source, stages and a sink"))
	}
	if deep(g.Steps, 0) {
		return nil, g.problem(Pos{}, parley.BadField("steps", "pipes are too deep in pipes, or too many", "make several pipes of it, over topics"))
	}
	for _, step := range g.loose {
		kind, _ := KindNamed(step.Kind)
		c.using(&spec{graph: g, step: step, kind: kind, name: step.Kind})
	}
	c.source(g.Steps, "")
	if len(g.Steps) < 2 {
		c.errs = append(c.errs, g.problem(g.Steps[0].At, parley.BadField("steps", "the pipe has no sink", "end it with a sink: stdout, topic NAME, file PATH or http URL")))
	}
	c.rest(g.Steps[min(1, len(g.Steps)):], "", 2, true)
	if len(g.Dead) > 0 {
		c.rest(g.Dead, "dead.", 1, true)
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return c.plan, nil
}

func deep(steps []Step, depth int) bool {
	if depth > MaxDepth || len(steps) > MaxSteps {
		return true
	}
	for _, s := range steps {
		for _, a := range s.Args {
			for _, p := range a.Pipes {
				if deep(p, depth+1) {
					return true
				}
			}
		}
	}
	return false
}

// spec checks a step's kind and arguments; nil when they cannot be.
func (c *compiler) spec(step Step, path string, role Role) *spec {
	k, ok := KindNamed(step.Kind)
	s := &spec{graph: c.g, step: step, kind: k, path: path, name: step.Name}
	if s.name == "" {
		s.name = path + " (" + step.Kind + ")"
	}
	switch {
	case !ok:
		c.wrong(s, "", strconv.Quote(step.Kind)+" is not a source, stage or sink", "use one of "+strings.Join(KindNames(), ", "))
		return nil
	case k.Absent:
		c.wrong(s, "", absent(k), "use a topic in its place")
		return nil
	case step.Kind == "use" && (role == IsStage || !c.o.Elsewhere):
		c.using(s)
		return nil
	case k.Roles&role == 0:
		c.misplaced(s, role)
		return nil
	case step.Name != "" && c.names[step.Name]:
		c.wrong(s, "", "two steps have this name", "give each its own")
	}
	if step.Name != "" {
		c.names[step.Name] = true
	}
	if c.args(s) {
		return s
	}
	return nil
}

// using checks stages that were not put in the place of their name: they are not
// there.
func (c *compiler) using(s *spec) {
	at := s.step.At
	if name := s.text("name"); c.args(s) && !c.o.Elsewhere && (at == Pos{} || !c.loose[at]) {
		c.loose[at] = true
		c.wrong(s, "name", "no stages are called "+strconv.Quote(name), "define it under stages: of the file, before those that use it, or put a file with it on the server")
	}
}

func (c *compiler) misplaced(s *spec, role Role) {
	switch role {
	case IsSource:
		c.wrong(s, "", s.kind.Name+" is no source", "begin with one: topic, file, stdin, http, cron, generate, exec or merge")
	case IsSink:
		c.wrong(s, "", s.kind.Name+" is no sink", "end with one: stdout, topic NAME, file PATH, http URL or discard")
	default:
		c.wrong(s, "", s.kind.Name+" cannot stand in the middle", "sources come first and sinks last; tee gives events to a sink on the way")
	}
}

// args checks arguments against their parameters.
func (c *compiler) args(s *spec) bool {
	good := len(c.errs)
	for _, p := range s.kind.Params {
		a, given := s.step.Args[p.Name]
		switch {
		case !given && p.Need:
			c.wrong(s, p.Name, "it is missing", "write it like: "+s.kind.Example)
		case given && (p.Type == Pipe || p.Type == Source) != (len(a.Pipes) > 0):
			c.wrong(s, p.Name, "it takes "+string(p.Type), p.Doc)
		case given && len(a.Words)+len(a.Pipes) == 0:
			c.wrong(s, p.Name, "it has no value", p.Doc)
		case given && !p.Many && len(a.Words)+len(a.Pipes) > 1:
			c.wrong(s, p.Name, "it takes one value", p.Doc)
		case given:
			for _, w := range a.Words {
				if bad := p.accepts(w); bad != "" {
					c.wrong(s, p.Name, strconv.Quote(w)+" "+bad, p.Doc)
				}
			}
		}
	}
	for name := range s.step.Args {
		if !slices.ContainsFunc(s.kind.Params, func(p Param) bool { return p.Name == name }) {
			c.wrong(s, name, s.kind.Name+" has no such parameter", "it has "+strings.Join(s.kind.paramNames(), ", "))
		}
	}
	return len(c.errs) == good
}

// source takes the first step, or those of merge.
func (c *compiler) source(steps []Step, prefix string) {
	s := c.spec(steps[0], prefix+"1", IsSource)
	if s == nil {
		return
	}
	if s.kind.Name == "merge" {
		if prefix != "" {
			c.wrong(s, "", "there is a merge in a merge", "write all sources in one")
			return
		}
		for i, p := range s.step.Args["sources"].Pipes {
			at := fmt.Sprintf("%s1.%d.", prefix, i+1)
			before := len(c.plan.lanes)
			if len(p) > 0 {
				c.source(p, at)
			}
			if len(c.plan.lanes) > before {
				c.plan.lanes[before].steps = p[1:]
				c.rest(p[1:], at, 2, false)
			}
		}
		return
	}
	if s.kind.Name == "topic" {
		for _, name := range s.step.Args["name"].Words {
			c.reads[name] = true
			if err := topic.CheckPattern(name); err != nil {
				e, _ := errorsAs(err)
				c.wrong(s, "name", e.Detail, e.Fix)
			}
		}
	}
	if s.kind.Name == "cron" {
		c.cron(s)
	}
	if c.o.Endless && !c.endless(s) {
		c.wrong(s, "", s.kind.Name+" ends, and a declared pipe does not", "begin it with topic, http or cron")
	}
	if s.kind.Name == "exec" && c.o.Programs == nil {
		c.wrong(s, "", "programs are not allowed here", "have the operator allow exec, or use another source")
	}
	c.plan.lanes = append(c.plan.lanes, lane{source: s, prefix: prefix})
}

// endless says that a source does not end by itself.
func (c *compiler) endless(s *spec) bool {
	if s.kind.Name == "generate" {
		return s.text("count") == ""
	}
	return s.kind.Endless && s.text("until") == ""
}

// rest takes the steps behind a source; the last is a sink if there has to be one.
func (c *compiler) rest(steps []Step, prefix string, from int, sink bool) {
	ends := false // a stage before has made it end
	for i, step := range steps {
		role := IsStage
		if sink && i == len(steps)-1 {
			role = IsSink
		}
		s := c.spec(step, prefix+strconv.Itoa(from+i), role)
		if s == nil {
			continue
		}
		if ends = ends || s.kind.Name == "head"; s.kind.atEnd && !ends && c.neverEnds() {
			c.wrong(s, "", s.kind.Name+" gives nothing before its source ends, and that never does", "put a head before it, let the source end (topic NAME --until end), or use window or batch")
		}
		if role == IsSink {
			c.sink(s)
			continue
		}
		c.branches(s)
		if _, err := s.kind.make(c, s); err != nil {
			c.errs = append(c.errs, err)
		}
	}
}

func (c *compiler) neverEnds() bool {
	return slices.ContainsFunc(c.plan.lanes, func(l lane) bool { return c.endless(l.source) })
}

func (c *compiler) branches(s *spec) {
	for _, p := range s.kind.Params {
		if p.Type != Pipe {
			continue
		}
		for i, steps := range s.step.Args[p.Name].Pipes {
			if len(steps) == 0 {
				c.wrong(s, p.Name, "the pipe is empty", "end it with a sink")
				continue
			}
			c.rest(steps, branchPath(s, p.Name, i), 1, true)
		}
	}
}

func branchPath(s *spec, param string, i int) string {
	return fmt.Sprintf("%s.%s%d.", s.path, param, i+1)
}

func (c *compiler) sink(s *spec) {
	switch s.kind.Name {
	case "topic":
		c.topicSink(s)
	case "file":
		if len(s.step.Args["path"].Words) > 1 {
			c.wrong(s, "path", "a sink is one file", "use tee for several")
		}
	case "http":
		if s.text("every") != "" {
			c.wrong(s, "every", "it is for a source", "use throttle to slow a sink down")
		}
	}
	c.plan.sinks = append(c.plan.sinks, s)
}

func (c *compiler) topicSink(s *spec) {
	names := s.step.Args["name"].Words
	if len(names) > 1 {
		c.wrong(s, "name", "a sink is one topic", "use tee for several")
	}
	if s.text("from") != "" || s.text("until") != "" {
		c.wrong(s, "name", "from and until are for a source", "take them away")
	}
	if err := topic.CheckName(names[0]); err != nil {
		e, _ := errorsAs(err)
		c.wrong(s, "name", e.Detail, e.Fix)
		return
	}
	for read := range c.reads {
		if p, err := topic.ParsePattern(read); err == nil && p.Match(names[0]) {
			c.wrong(s, "name", "the pipe reads "+read+", so that what it writes would come to it again", "write to a topic that it does not read")
			return
		}
	}
}
