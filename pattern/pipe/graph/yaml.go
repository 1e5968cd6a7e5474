package graph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
)

// MaxBytes bounds a YAML file, and MaxSteps the steps of a graph.
const (
	MaxBytes = 1 << 20
	MaxSteps = 1000
)

// ParseYAML reads a graph that is written as YAML; file is its name, for errors.
// All that is wrong with its form is one joined error of *Problem.
//
//	name: big-orders
//	stages:                       # named, used by any number of steps
//	  slim: [{drop: [password]}]
//	steps:
//	  - topic: orders
//	  - where: data.total > 100
//	    name: big                 # for errors and state
//	  - use: slim
//	  - batch: {count: 100, every: 1s}
//	  - tee: topic copy           # a pipe as text, or a list of steps
//	  - topic: big-orders
//	dead: topic orders.dead
//	tests: []                     # see Test
//
// A step is also a text, as in "- where data.total > 100", and so are all steps.
func ParseYAML(file string, src []byte) (*Graph, error) { return ParseYAMLWith(file, src, nil) }

// ParseYAMLWith is ParseYAML with named stages from elsewhere, which steps use as
// they do those of the file; see ParseStages. The file's own go first.
func ParseYAMLWith(file string, src []byte, shared map[string][]Step) (*Graph, error) {
	y := &yamlReader{g: &Graph{file: file}, named: map[string][]Step{}, shared: shared}
	root, err := y.document(src)
	if err != nil {
		return y.g, err
	}
	y.graph(root)
	return y.g, errors.Join(y.errs...)
}

type yamlReader struct {
	g      *Graph
	named  map[string][]Step
	shared map[string][]Step
	steps  int
	uses   []string
	errs   []error
}

func (y *yamlReader) fail(n *yaml.Node, field, what, fix string) {
	at := Pos{}
	if n != nil {
		at = Pos{Line: n.Line, Column: n.Column}
	}
	y.errs = append(y.errs, &Problem{File: y.g.file, At: at, Err: parley.BadField(field, what, fix)})
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+)`)
	yamlPlace = regexp.MustCompile(`^yaml: (line \d+: )?`)
)

func (y *yamlReader) document(src []byte) (*yaml.Node, error) {
	if len(src) > MaxBytes {
		return nil, &Problem{File: y.g.file, Err: &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("the file has more than %d bytes", MaxBytes), Fix: "split it into several pipes"}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, &Problem{File: y.g.file, Err: parley.BadField("", "the file is empty", "write name: and steps:")}
	}
	if err != nil {
		at := Pos{}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at.Line, _ = strconv.Atoi(m[1]) // digits
		}
		return nil, &Problem{File: y.g.file, At: at, Err: parley.BadField("", yamlPlace.ReplaceAllString(err.Error(), ""), "mend the YAML")}
	}
	if again := (&yaml.Node{}); !errors.Is(dec.Decode(again), io.EOF) {
		return nil, &Problem{File: y.g.file, At: Pos{Line: again.Line}, Err: parley.BadField("", "there is a second document", "write one pipe in a file")}
	}
	if n := aliasIn(&doc, 0); n != nil {
		return nil, &Problem{File: y.g.file, At: Pos{Line: n.Line}, Err: parley.BadField("", "it has an alias, or is too deep", "use stages: for what comes several times")}
	}
	if len(doc.Content) != 1 {
		return nil, &Problem{File: y.g.file, Err: parley.BadField("", "the file is empty", "write name: and steps:")}
	}
	return doc.Content[0], nil
}

// aliasIn finds an alias, with which a small file could say a lot, or a node that is
// too deep.
func aliasIn(n *yaml.Node, depth int) *yaml.Node {
	if n.Kind == yaml.AliasNode || depth > 8*MaxDepth {
		return n
	}
	for _, c := range n.Content {
		if found := aliasIn(c, depth+1); found != nil {
			return found
		}
	}
	return nil
}

// pairs visits the members of a mapping.
func (y *yamlReader) pairs(n *yaml.Node, what string, visit func(key string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		y.fail(n, what, "is no mapping", "write members, as in name: …")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			y.fail(k, what, "has a key that is no word", "write plain keys")
			continue
		}
		if seen[k.Value] {
			y.fail(k, k.Value, "is there twice", "leave one of the two")
			continue
		}
		seen[k.Value] = true
		visit(k.Value, k, v)
	}
}

func (y *yamlReader) unknown(k *yaml.Node, what string, known []string) {
	y.errs = append(y.errs, &Problem{
		File: y.g.file, At: Pos{Line: k.Line, Column: k.Column}, Word: k.Value, Known: known,
		Err: parley.BadField(k.Value, what, "use one of "+strings.Join(known, ", ")),
	})
}

func (y *yamlReader) graph(root *yaml.Node) {
	known := []string{"name", "stages", "steps", "dead", "tests"}
	var tests *yaml.Node
	late := map[string]*yaml.Node{}
	y.pairs(root, "the pipe", func(key string, k, v *yaml.Node) {
		switch key {
		case "name":
			y.g.Name = y.word(v, "name")
			if !goodName(y.g.Name) {
				y.fail(v, "name", strconv.Quote(y.g.Name)+" is no name", "use up to 64 small letters, digits, - and _, the first a letter")
			}
		case "stages", "steps", "dead":
			late[key] = v
		case "tests":
			tests = v
		default:
			y.unknown(k, "is not part of a pipe", known)
		}
	})
	if n := late["stages"]; n != nil {
		y.pairs(n, "stages", func(key string, k, v *yaml.Node) {
			if !goodName(key) {
				y.fail(k, key, "is no name", "use up to 64 small letters, digits, - and _, the first a letter")
			}
			y.named[key] = y.stepList(v, 0)
			y.g.loose = append(y.g.loose, loose(y.named[key])...)
		})
	}
	if n := late["steps"]; n != nil {
		y.g.Steps = y.stepList(n, 0)
	} else if root.Kind == yaml.MappingNode {
		y.fail(root, "steps", "is missing", "write steps: and a list that begins with a source")
	}
	if n := late["dead"]; n != nil {
		y.g.Dead = y.stepList(n, 0)
	}
	if tests != nil {
		y.tests(tests)
	}
}

func goodName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !(digit(c) || c == '-' || c == '_')) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// stepList reads steps: a text, or a list of steps.
func (y *yamlReader) stepList(n *yaml.Node, depth int) (steps []Step) {
	switch {
	case depth > MaxDepth:
		y.fail(n, "steps", "pipes are too deep in pipes", "make several pipes of it, over topics")
	case n.Kind == yaml.ScalarNode:
		steps = y.textSteps(n)
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			steps = append(steps, y.step(c, depth)...)
		}
	default:
		y.fail(n, "steps", "is neither a list nor a text", "write a list of steps, each with a - before it")
	}
	if y.steps += len(steps); y.steps > MaxSteps {
		y.steps = 0
		y.fail(n, "steps", fmt.Sprintf("there are more than %d", MaxSteps), "make several pipes of it, over topics")
		return nil
	}
	return steps
}

// textSteps reads steps that are written as text.
func (y *yamlReader) textSteps(n *yaml.Node) []Step {
	steps, err := parseSteps(n.Value, 0)
	if err != nil {
		e, _ := errorsAs(err)
		y.fail(n, strings.TrimPrefix(e.Field, "pipe, "), e.Detail, e.Fix)
		return nil
	}
	at := Pos{Line: n.Line, Column: n.Column}
	inside(steps, at)
	return y.putIn(steps, at, false)
}

func errorsAs(err error) (*parley.Error, bool) {
	if e, ok := errors.AsType[*parley.Error](err); ok {
		return e, true
	}
	return &parley.Error{Detail: err.Error()}, false
}

func (y *yamlReader) step(n *yaml.Node, depth int) []Step {
	if n.Kind == yaml.ScalarNode {
		return y.textSteps(n)
	}
	s := Step{At: Pos{Line: n.Line, Column: n.Column}}
	var used []Step
	y.pairs(n, "a step", func(key string, k, v *yaml.Node) {
		kind, ok := KindNamed(key)
		switch {
		case key == "name":
			s.Name = y.word(v, "name")
		case key == "use":
			if s.Kind != "" {
				y.fail(k, key, "is a second stage in one step", "put a - before it")
				return
			}
			at := Pos{Line: v.Line, Column: v.Column}
			use := Step{Kind: "use", Args: map[string]Arg{"name": {Words: []string{y.word(v, "use")}, At: at}}, At: at}
			used = y.putIn([]Step{use}, at, false)
			s.Kind = "use"
		case !ok && strings.Contains(key, " "):
			y.fail(k, "step", "it is text with a : in it, which YAML takes for a key", "put quotes around it, as in - 'map {id: .id}'")
		case !ok:
			y.unknown(k, "is not a source, stage or sink", append(KindNames(), "name"))
		case s.Kind != "":
			y.fail(k, key, "is a second stage in one step", "put a - before it")
		default:
			s.Kind = key
			s.Args = y.args(kind, v, depth)
		}
	})
	switch {
	case s.Kind == "use":
		return used
	case s.Kind == "":
		return nil
	}
	return []Step{s}
}

// args reads arguments: a word or list for the first parameter, or a mapping.
func (y *yamlReader) args(k Kind, n *yaml.Node, depth int) map[string]Arg {
	args := map[string]Arg{}
	if n.Kind == yaml.MappingNode {
		y.pairs(n, k.Name, func(key string, kn, v *yaml.Node) {
			p, ok := k.param(key)
			if !ok || p.Name != key {
				y.unknown(kn, "is not a parameter of "+k.Name, k.paramNames())
				return
			}
			args[key] = y.arg(k, p, v, depth)
		})
		return args
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return args
	}
	if len(k.Params) == 0 {
		y.fail(n, k.Name, "takes nothing", "write it without a value")
		return args
	}
	p := k.Params[0]
	args[p.Name] = y.arg(k, p, n, depth)
	return args
}

func (y *yamlReader) arg(k Kind, p Param, n *yaml.Node, depth int) Arg {
	a := Arg{At: Pos{Line: n.Line, Column: n.Column}}
	if p.Type == Pipe || p.Type == Source {
		several := n.Kind == yaml.SequenceNode && len(n.Content) > 0 && p.Many
		for _, c := range n.Content {
			several = several && c.Kind != yaml.MappingNode
		}
		if !several {
			a.Pipes = append(a.Pipes, y.stepList(n, depth+1))
			return a
		}
		for _, c := range n.Content {
			a.Pipes = append(a.Pipes, y.stepList(c, depth+1))
		}
		return a
	}
	if p.Type == Schema && n.Kind != yaml.ScalarNode {
		a.Words = []string{y.schema(n, k.Name+", "+p.Name)}
		return a
	}
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode && p.Many {
		nodes = n.Content
	}
	for _, c := range nodes {
		w := y.word(c, k.Name+", "+p.Name)
		if bad := p.accepts(w); bad != "" && c.Kind == yaml.ScalarNode {
			y.fail(c, k.Name+", "+p.Name, strconv.Quote(w)+" "+bad, p.Doc)
		}
		a.Words = append(a.Words, w)
	}
	return a
}

func (y *yamlReader) word(n *yaml.Node, field string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!binary" {
		y.fail(n, field, "is no single value", "write one word, with quotes if it has a : or #")
		return ""
	}
	return n.Value
}
