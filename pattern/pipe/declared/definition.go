package declared

import (
	"errors"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// MaxDefinition bounds the text of a definition, in bytes.
const MaxDefinition = 256 << 10

// Origin says who wrote a definition.
type Origin string

// The origins.
const (
	Remote Origin = ""     // somebody over the network
	Folder Origin = "file" // the operator, in the server's own files
)

// definition is a text that was checked: a pipe, or a shelf of stages for pipes.
type definition struct {
	graph *graph.Graph
	plan  *graph.Plan
	dead  string // topic of what failed and nothing in the graph takes; "" = the graph takes all
	shelf map[string][]graph.Step
	over  string // the topic whose partitions have an owner each; "" = one owner reads all there is
}

func (d *definition) isPipe() bool { return d.plan != nil }

// check reads a definition.
func (o *Options) check(name string, text []byte, origin Origin, shared map[string][]graph.Step) (*definition, error) {
	if len(text) > MaxDefinition {
		return nil, &parley.Error{Code: parley.TooLarge, Field: "definition", Detail: "it has " + strconv.Itoa(len(text)) + " bytes, and may have " + strconv.Itoa(MaxDefinition), Fix: "split it into several pipes, over topics"}
	}
	options := o.Graph
	options.Endless = true
	if origin == Remote && !o.Exec {
		options.Programs = nil
	}
	shelf, is, err := graph.ParseStages("", text, options)
	if err != nil || is {
		return &definition{shelf: shelf}, err
	}
	g, err := graph.ParseYAMLWith("", text, shared)
	if err != nil {
		return nil, err
	}
	if g.Name != "" && g.Name != name {
		return nil, parley.BadField("name", "it is "+strconv.Quote(g.Name)+", and the pipe is put as "+strconv.Quote(name), "give both the same, or leave name: away")
	}
	g.Name = name
	d := &definition{graph: g}
	if d.plan, err = graph.Compile(g, options); err != nil {
		return nil, err
	}
	if err := o.admit(d.plan, origin); err != nil {
		return nil, err
	}
	d.over = spreadsOver(d.plan)
	if len(g.Dead) == 0 {
		d.dead = name + ".dead"
		return d, d.circle()
	}
	return d, nil
}

// admit refuses sources and sinks that a server does not have, or not for everybody.
func (o *Options) admit(p *graph.Plan, origin Origin) error {
	var errs []error
	for i, list := range [][]graph.Spec{p.Sources(), p.Sinks()} {
		for _, s := range list {
			switch {
			case s.Kind == "http" && origin == Remote && !o.HTTP:
				errs = append(errs, s.Wrong("", "URLs are not allowed here", "have the operator set pipes.http, or use a topic"))
			case s.Kind == "topic", s.Kind == "http", i == 0 && (s.Kind == "cron" || s.Kind == "generate"), i == 1 && s.Kind == "discard":
			default:
				errs = append(errs, s.Wrong("", s.Kind+" is not there in a declared pipe", "use a topic, or run it by: parley pipe run"))
			}
		}
	}
	return errors.Join(errs...)
}

// circle refuses a pipe that would read what it could not work on.
func (d *definition) circle() error {
	for _, s := range d.plan.Sources() {
		if s.Kind != "topic" {
			continue
		}
		for _, name := range s.Words("name") {
			if p, err := topic.ParsePattern(name); err == nil && p.Match(d.dead) {
				return s.Wrong("name", name+" matches "+d.dead+", where events go that fail", "write dead: topic NAME, with a topic that the pipe does not read")
			}
		}
	}
	return nil
}

// Problem is one thing that is wrong with a definition.
type Problem struct {
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// problems takes an error of a definition apart.
func problems(err error) (all []Problem) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // only what Join made
		for _, e := range joined.Unwrap() {
			all = append(all, problems(e)...)
		}
		return all
	}
	var p Problem
	if at, ok := errors.AsType[*graph.Problem](err); ok {
		p.Line, p.Column = at.At.Line, at.At.Column
	}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		p.Field, p.Detail, p.Fix = e.Field, e.Detail, e.Fix
	} else {
		p.Detail = err.Error()
	}
	return append(all, p)
}

// mostTold bounds what one error tells of a definition.
const mostTold = 10

// refusal makes one error of all that is wrong with a definition.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	list := problems(err)
	code := parley.CodeOf(err)
	if e, ok := errors.AsType[*parley.Error](err); ok {
		code = e.Code
	}
	var b strings.Builder
	for i, p := range list {
		if i == mostTold {
			b.WriteString("; and " + strconv.Itoa(len(list)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if p.Line > 0 {
			b.WriteString("line " + strconv.Itoa(p.Line) + ": ")
		}
		if p.Field != "" && len(list) > 1 {
			b.WriteString(p.Field + ": ")
		}
		b.WriteString(p.Detail)
	}
	return &parley.Error{Code: code, Field: list[0].Field, Detail: b.String(), Fix: list[0].Fix}
}
