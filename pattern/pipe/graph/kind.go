package graph

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Role is where in a pipe a kind may stand.
type Role uint8

// The roles. A kind may have several.
const (
	IsSource Role = 1 << iota
	IsStage
	IsSink
)

// Type is what a parameter takes.
type Type string

// The types.
const (
	Text       Type = "text"
	Number     Type = "number"     // a whole number from 1
	Duration   Type = "duration"   // as in 90s or 1h30m
	Size       Type = "size"       // bytes, with K, M or G
	Rate       Type = "rate"       // as throttle.ParseLimit takes it
	Expression Type = "expression" // over an event
	JQ         Type = "jq"         // a jq program over an event's data
	Switch     Type = "switch"     // true or false
	Pipe       Type = "pipe"       // stages, if any, and a sink
	Source     Type = "source"     // a source, and stages if any
	Schema     Type = "schema"     // a JSON Schema (draft 2020-12), in JSON; in a file also as YAML
)

// Param is a parameter of a kind.
type Param struct {
	Name   string
	Short  string // one letter, as in -n; "" = none
	Type   Type
	Need   bool     // it must be given
	Many   bool     // it may be given more than once
	Option bool     // in text it is --name, never by its place
	OneOf  []string // what it may be
	Doc    string
}

// Kind is a source, stage or sink that can be written.
type Kind struct {
	Name    string
	Roles   Role
	Doc     string
	Example string // a step, as text
	Holds   string // what it keeps in memory, "" = one event
	Params  []Param
	Endless bool // a source that does not end by itself
	Absent  bool // its pattern is not there yet
	atEnd   bool // it gives nothing before its source ends
	rest    bool // in text, its first word by place ends the options
	make    func(c *compiler, s *spec) (node, error)
}

// KindNames gives the names of all kinds.
func KindNames() []string {
	var names []string
	for _, k := range Kinds() {
		if !k.Absent {
			names = append(names, k.Name)
		}
	}
	return names
}

// KindNamed finds a kind.
func KindNamed(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// whole says that a kind's only argument is the rest of its text.
func whole(name string) bool {
	return name == "where" || name == "validate" || name == "map" || name == "jq"
}

func (k Kind) param(name string) (Param, bool) {
	i := slices.IndexFunc(k.Params, func(p Param) bool { return p.Name == name || p.Short == name })
	if i < 0 {
		return Param{}, false
	}
	return k.Params[i], true
}

func (k Kind) paramNames() []string {
	var all []string
	for _, p := range k.Params {
		all = append(all, p.Name)
	}
	return all
}

// Synopsis gives how a step of the kind is written as text.
func (k Kind) Synopsis() string {
	var b strings.Builder
	b.WriteString(k.Name)
	for _, p := range k.Params {
		if p.Option {
			continue
		}
		word := strings.ToUpper(p.Name)
		if p.Many {
			word += "…"
		}
		if !p.Need {
			word = "[" + word + "]"
		}
		b.WriteString(" " + word)
	}
	return b.String()
}

// accepts says what is wrong with a word as an argument; "" = nothing.
func (p Param) accepts(word string) string {
	switch p.Type {
	case Number:
		if n, err := strconv.Atoi(word); err != nil || n < 1 {
			return "is not a whole number from 1"
		}
	case Duration:
		if d, err := time.ParseDuration(word); err != nil || d <= 0 {
			return "is not a duration; write it like 90s or 1h30m"
		}
	case Size:
		if _, ok := parseSize(word); !ok {
			return "is not a size; write it like 500, 64K or 1M"
		}
	case Rate:
		if _, err := throttle.ParseLimit(word); err != nil {
			return "is not a rate; write it like 100/s or 5000/h"
		}
	case Switch:
		if word != "true" && word != "false" {
			return "is neither true nor false"
		}
	case Schema:
		if !json.Valid([]byte(word)) {
			return "is not written in JSON"
		}
	case Text, Expression, JQ:
		if word == "" {
			return "is empty"
		}
	}
	if len(p.OneOf) > 0 && !slices.Contains(p.OneOf, word) {
		return "is none of " + strings.Join(p.OneOf, ", ")
	}
	return ""
}

// parseSize reads bytes.
func parseSize(text string) (int, bool) {
	digits, unit := text, 1
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMG", text[n-1]); i >= 0 {
			digits, unit = text[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1<<40/unit {
		return 0, false
	}
	return n * unit, true
}

// Spec is a source or sink of a plan, for whoever opens it.
type Spec struct {
	Path string // its place, as in "1" or "3.2.1": of the graph it never changes
	Name string // for errors
	Kind string
	spec *spec
}

// Text gives a word of an argument, "" if it was not given.
func (s Spec) Text(param string) string { return s.spec.text(param) }

// Words gives all words of an argument.
func (s Spec) Words(param string) []string { return s.spec.step.Args[param].Words }

// Number gives a number, or what it is when it was not given.
func (s Spec) Number(param string, otherwise int) int { return s.spec.number(param, otherwise) }

// Duration gives a duration, or what it is when it was not given.
func (s Spec) Duration(param string, otherwise time.Duration) time.Duration {
	return s.spec.duration(param, otherwise)
}

// Size gives bytes, or what it is when it was not given.
func (s Spec) Size(param string, otherwise int) int { return s.spec.size(param, otherwise) }

// Switch says whether something is switched on.
func (s Spec) Switch(param string) bool { return s.spec.text(param) == "true" }

// Wrong makes an error about the source or sink, or a parameter of it.
func (s Spec) Wrong(param, what, fix string) error { return s.spec.wrong(param, what, fix) }

// spec is a step that is being compiled: its arguments have passed Check.
type spec struct {
	graph *Graph
	step  Step
	kind  Kind
	path  string
	name  string
}

func (s *spec) text(param string) string { return s.step.Args[param].Text() }
func (s *spec) on(param string) bool     { return s.text(param) == "true" }

func (s *spec) number(param string, otherwise int) int {
	if n, err := strconv.Atoi(s.text(param)); err == nil {
		return n
	}
	return otherwise
}

func (s *spec) size(param string, otherwise int) int {
	if n, ok := parseSize(s.text(param)); ok {
		return n
	}
	return otherwise
}

func (s *spec) duration(param string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(s.text(param)); err == nil {
		return d
	}
	return otherwise
}

func (s *spec) wrong(param, what, fix string) error {
	at := s.step.At
	if a, ok := s.step.Args[param]; ok && a.At != (Pos{}) {
		at = a.At
	}
	field := s.name
	if param != "" {
		field += ", " + param
	}
	return s.graph.problem(at, &parley.Error{Code: parley.Invalid, Field: field, Detail: what, Fix: fix})
}
