package graph

import (
	"fmt"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Graph is a pipe over events, as it is written: a source, stages and a sink. Tee,
// route, catch, merge and window have further pipes as arguments, so that a graph
// is a tree.
type Graph struct {
	Name  string // "" for one that was never declared
	Steps []Step
	Dead  []Step // where events go that failed for good: stages, if any, and a sink; empty = they end the run
	Tests []Test

	text string // of a one-line graph
	file string // of a YAML graph

	loose []Step // what its named stages use and is not there
}

// Step is a source, a stage or a sink.
type Step struct {
	Kind string
	Name string // for errors and state; "" = its place and kind, as in "2 (where)"
	Args map[string]Arg
	At   Pos
}

// Arg is the value of one parameter: words, or pipes.
type Arg struct {
	Words []string
	Pipes [][]Step
	At    Pos
}

// Pos is where something was written. The zero Pos is nowhere: in Go code.
type Pos struct {
	Line, Column int // of a file, from 1
	from, to     int // of a text, in bytes
}

// Text gives the argument's first word.
func (a Arg) Text() string {
	if len(a.Words) == 0 {
		return ""
	}
	return a.Words[0]
}

// Args are arguments as Go values, for New: strings, slices of strings, numbers,
// bool, time.Duration, []Step for a pipe and [][]Step for several.
type Args map[string]any

// New makes a step in Go. What is wrong with it is found by Check.
func New(kind string, args Args) Step {
	s := Step{Kind: kind, Args: map[string]Arg{}}
	for name, v := range args {
		s.Args[name] = argOf(v)
	}
	return s
}

// Named gives the step a name.
func (s Step) Named(name string) Step {
	s.Name = name
	return s
}

func argOf(v any) Arg {
	switch v := v.(type) {
	case string:
		return Arg{Words: []string{v}}
	case []string:
		return Arg{Words: v}
	case []Step:
		return Arg{Pipes: [][]Step{v}}
	case [][]Step:
		return Arg{Pipes: v}
	case int:
		return Arg{Words: []string{strconv.Itoa(v)}}
	case bool:
		return Arg{Words: []string{strconv.FormatBool(v)}}
	case time.Duration:
		return Arg{Words: []string{v.String()}}
	}
	return Arg{Words: []string{fmt.Sprint(v)}}
}

// Problem is what is wrong with a graph that was not written as one line of text,
// and where. (There it is a *lang.Mistake.)
type Problem struct {
	File  string // "" = not from a file
	At    Pos
	Word  string   // the word that is not known, if that is the matter
	Known []string // what may stand in its place
	Err   *parley.Error
}

// Error implements error.
func (p *Problem) Error() string {
	if w := p.Where(); w != "" {
		return w + ": " + p.Err.Error()
	}
	return p.Err.Error()
}

// Unwrap gives the *parley.Error.
func (p *Problem) Unwrap() error { return p.Err }

// Where gives file and line.
func (p *Problem) Where() string {
	switch {
	case p.At.Line == 0:
		return ""
	case p.File == "":
		return "line " + strconv.Itoa(p.At.Line)
	}
	return p.File + ":" + strconv.Itoa(p.At.Line)
}
