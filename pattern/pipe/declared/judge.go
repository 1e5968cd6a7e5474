package declared

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// Bounds of what is adopted: it has to fit one part of a snapshot.
const (
	maxSources = 32
	maxAdopted = 384 << 10
)

// shared gives the stages that a pipe uses of others, as it names them: SHELF.STAGE.
func (r *Registry) shared(c *catalog, uses []string) map[string][]graph.Step {
	all, seen := map[string][]graph.Step{}, map[string]bool{}
	for _, use := range uses {
		name, _, _ := strings.Cut(use, ".")
		rec, there := c.pipes[name]
		if !there || seen[name] {
			continue
		}
		seen[name] = true
		o := r.opt.Graph
		if rec.origin == Remote && !r.opt.Exec {
			o.Programs = nil
		}
		stages, shelf, err := graph.ParseStages("", []byte(rec.text), o)
		if err != nil || !shelf {
			continue // whoever uses it is told that it is not there
		}
		for stage, steps := range stages {
			all[name+"."+stage] = steps
		}
	}
	return all
}

func (r *Registry) isShelf(rec record) bool {
	_, shelf, _ := graph.ParseStages("", []byte(rec.text), r.opt.Graph) // an error is of the stages in it
	return shelf
}

// judge checks a definition that is to take the place of what the catalog has. begin
// says that the pipe's stages begin anew with it.
func (r *Registry) judge(c *catalog, name string, o PutOptions, text []byte) (begin bool, err error) {
	def, err := r.opt.check(name, text, o.Origin, r.shared(c, usesOf(string(text))))
	if err != nil {
		return false, refusal(err)
	}
	was, there := c.pipes[name]
	var old *definition
	if there {
		if old, err = r.opt.check(name, []byte(was.text), was.origin, r.shared(c, was.uses)); err != nil {
			old = nil // it does not run by that text: there is nothing to go on with
		}
	}
	if !def.isPipe() {
		return false, r.judgeShelf(c, name, def, old)
	}
	if old != nil && !old.isPipe() {
		return false, parley.Errorf(parley.Conflict, "%s is stages for pipes, and cannot become a pipe", name)
	}
	if err := adoptable(def); err != nil {
		return false, refusal(err)
	}
	if old == nil {
		return there, nil
	}
	err = goesOn(old.plan, def.plan)
	apart := err == nil && r.parted(was, old, def)
	switch {
	case err == nil && !apart && o.Drain && r.whole(was, def):
		return true, nil
	case err == nil && !apart:
		return false, nil
	case !apart && parley.CodeOf(err) != parley.Conflict:
		return false, err
	case o.Drain:
		return true, nil
	}
	if apart {
		return false, &parley.Error{Code: parley.Conflict, Field: "definition", Detail: "what the pipe's stages keep is that of each partition of its topic, or else of all as one, and the new definition would change that", Fix: "put it with drain, which lets out what they keep, or under another name"}
	}
	return false, &parley.Error{Code: parley.Conflict, Field: "definition", Detail: "what the pipe's stages keep does not fit the new definition", Fix: "put it with drain, which lets out what they keep, or under another name"}
}

// judgeShelf checks shared stages with every pipe that uses them.
func (r *Registry) judgeShelf(c *catalog, name string, def, old *definition) error {
	if old != nil && old.isPipe() {
		return parley.Errorf(parley.Conflict, "%s is a pipe, and cannot become stages for pipes", name)
	}
	for _, user := range c.users(name) {
		rec := c.pipes[user]
		before := r.shared(c, rec.uses)
		after := maps.Clone(before)
		maps.DeleteFunc(after, func(k string, _ []graph.Step) bool { return strings.HasPrefix(k, name+".") })
		for stage, steps := range def.shelf {
			after[name+"."+stage] = steps
		}
		now, err := r.opt.check(user, []byte(rec.text), rec.origin, after)
		if err == nil {
			err = adoptable(now)
		}
		if err == nil {
			if then, e := r.opt.check(user, []byte(rec.text), rec.origin, before); e == nil {
				err = goesOn(then.plan, now.plan)
			}
		}
		if err != nil {
			return &parley.Error{Code: parley.Conflict, Field: "definition", Detail: "the pipe " + user + " cannot go on with it: " + refusal(err).(*parley.Error).Detail, Fix: "put the stages under another name, and change the pipe"} //nolint:errorlint,forcetypeassert // as it gives
		}
	}
	return nil
}

// goesOn says whether a new plan can go on in the state of an old one. Error:
// Conflict when not.
func goesOn(old, now *graph.Plan) error {
	a, err := old.Machine()
	if err != nil {
		return err
	}
	state, err := a.Snapshot()
	if e := a.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	b, err := now.Machine()
	if err != nil {
		return err
	}
	err = b.Restore(state)
	if e := b.Close(); err == nil {
		err = e
	}
	return err
}

// adoptable says whether what a pipe would run by can be stored with its state.
func adoptable(d *definition) error {
	if n := len(d.plan.Sources()); n > maxSources {
		return parley.BadField("steps", "the pipe has "+strconv.Itoa(n)+" sources, and may have "+strconv.Itoa(maxSources), "make several pipes of it, over topics")
	}
	text, err := d.whole()
	if err != nil {
		return err
	}
	coded, err := json.Marshal(adoption{Text: text})
	if err == nil && len(coded) > maxAdopted {
		err = &parley.Error{Code: parley.TooLarge, Field: "definition", Detail: "with the stages that it uses it has " + strconv.Itoa(len(coded)) + " bytes, and may have " + strconv.Itoa(maxAdopted), Fix: "split it into several pipes, over topics"}
	}
	return err
}

// whole gives the text of a definition with everything in it that it uses.
func (d *definition) whole() (string, error) {
	g := *d.graph
	g.Tests = nil
	text, err := g.YAML()
	return string(text), err
}

// Report is what can be said of a text without running it.
type Report struct {
	OK       bool              `json:"ok"`
	Stages   bool              `json:"stages,omitempty"` // it is stages for pipes
	Problems []Problem         `json:"problems,omitempty"`
	Findings []graph.Finding   `json:"findings,omitempty"` // what looks like a mistake
	Steps    []graph.Explained `json:"steps,omitempty"`    // those under "dead." get what failed
	Edges    []graph.Edge      `json:"edges,omitempty"`    // the ways of events from step to step
}

// Check says what is wrong with a definition, and what it does, as if it were put.
func (r *Registry) Check(ctx context.Context, name string, text []byte, origin Origin) (Report, error) {
	d, err := r.read(ctx, name, text, origin)
	if parley.CodeOf(err) == parley.Canceled || parley.CodeOf(err) == parley.Unavailable {
		return Report{}, err
	}
	if err != nil {
		return Report{Problems: problems(err)}, nil
	}
	if !d.isPipe() {
		return Report{OK: true, Stages: true}, nil
	}
	g := d.shown()
	findings := graph.Lint(g)
	if n := r.partitions(d.over); n > 1 {
		findings = append(findings, graph.LintPartitions(d.graph, n)...)
	}
	return Report{OK: true, Findings: findings, Steps: graph.Explain(g), Edges: g.Edges()}, nil
}

// shown is the graph with the topic that gets what nothing in it takes.
func (d *definition) shown() *graph.Graph {
	g := *d.graph
	if d.dead != "" {
		g.Dead = []graph.Step{graph.New("topic", graph.Args{"name": d.dead})}
	}
	return &g
}

// read checks a text with the shared stages that there are.
func (r *Registry) read(ctx context.Context, name string, text []byte, origin Origin) (*definition, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return nil, err
	}
	return r.opt.check(name, text, origin, r.shared(r.copy(), usesOf(string(text))))
}

// Test runs the tests in a definition, without touching a topic. Programs are run only
// where the definition could run them. Errors: as Put, and NotFound without tests.
func (r *Registry) Test(ctx context.Context, name string, text []byte, origin Origin) ([]graph.Verdict, error) {
	d, err := r.read(ctx, name, text, origin)
	if err != nil {
		return nil, refusal(err)
	}
	if !d.isPipe() || len(d.graph.Tests) == 0 {
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "tests", Detail: "there are no tests", Fix: "write tests: in the definition"}
	}
	return d.plan.Try(ctx)
}

// Touched are the topics that a definition names: for who asks whether somebody may
// have it run.
type Touched struct {
	Reads  []string // names and patterns
	Writes []string
}

// Touches says what a definition that could be put would read and write. Errors: as
// Put.
func (r *Registry) Touches(ctx context.Context, name string, text []byte, origin Origin) (Touched, error) {
	var t Touched
	d, err := r.read(ctx, name, text, origin)
	if err != nil {
		return t, refusal(err)
	}
	if !d.isPipe() {
		for _, steps := range d.shelf {
			t.Writes = append(t.Writes, topicsIn(steps)...)
		}
		return t, nil
	}
	for _, s := range d.plan.Sources() {
		if s.Kind == "topic" {
			t.Reads = append(t.Reads, s.Words("name")...)
		}
	}
	for _, s := range d.plan.Sinks() {
		if s.Kind == "topic" {
			t.Writes = append(t.Writes, s.Text("name"))
		}
	}
	t.Writes = append(t.Writes, name+".dead")
	return t, nil
}

// topicsIn gives the topics of sinks in stages.
func topicsIn(steps []graph.Step) (names []string) {
	for _, s := range steps {
		if s.Kind == "topic" {
			names = append(names, s.Args["name"].Words...)
		}
		for _, a := range s.Args {
			for _, p := range a.Pipes {
				names = append(names, topicsIn(p)...)
			}
		}
	}
	return names
}
