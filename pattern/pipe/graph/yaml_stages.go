package graph

import (
	"encoding/json"
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
)

// ParseStages reads a file that has named stages and nothing else, for pipes to use:
//
//	stages:
//	  slim: [{drop: [password]}]
//	  big: where data.total > 100
//
// shelf is false when the file has something else: it may be a pipe then. All that
// is wrong is one joined error of *Problem.
func ParseStages(file string, src []byte, o Options) (stages map[string][]Step, shelf bool, err error) {
	y := &yamlReader{g: &Graph{file: file}, named: map[string][]Step{}}
	root, err := y.document(src)
	if err != nil || root.Kind != yaml.MappingNode {
		return nil, false, err
	}
	var list *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "stages":
			list = root.Content[i+1]
		case "name":
		default:
			return nil, false, nil
		}
	}
	if list == nil {
		return nil, false, nil
	}
	y.pairs(list, "stages", func(key string, k, v *yaml.Node) {
		if !goodName(key) {
			y.fail(k, key, "is no name", "use up to 64 small letters, digits, - and _, the first a letter")
		}
		y.named[key] = y.stepList(v, 0)
		y.errs = append(y.errs, y.checkStages(k, y.named[key], o))
	})
	return y.named, true, errors.Join(y.errs...)
}

// checkStages checks stages alone: between a source and a sink that take anything.
func (y *yamlReader) checkStages(k *yaml.Node, steps []Step, o Options) error {
	if len(steps) == 0 {
		return &Problem{File: y.g.file, At: Pos{Line: k.Line, Column: k.Column}, Err: parley.BadField(k.Value, "has no steps", "write at least one stage")}
	}
	last := steps[len(steps)-1]
	if kind, _ := KindNamed(last.Kind); kind.Roles&IsStage == 0 {
		return (&spec{graph: y.g, step: last, kind: kind, name: k.Value}).wrong("", last.Kind+" cannot be a named stage", "name stages only; sources and sinks stand in the pipe")
	}
	whole := append([]Step{New("generate", nil)}, steps...)
	return Check(&Graph{Steps: append(whole, New("discard", nil)), file: y.g.file}, o)
}

// putIn puts named stages in the places of the steps that use them. What is not known
// stays, for Check to tell. Whoever calls it for steps that are in no other counts
// those that it gives.
func (y *yamlReader) putIn(steps []Step, at Pos, inner bool) []Step {
	var all []Step
	for _, s := range steps {
		if s.Kind != "use" {
			for _, a := range s.Args {
				for i, p := range a.Pipes {
					a.Pipes[i] = y.putIn(p, at, true)
				}
			}
			all = append(all, s)
			continue
		}
		name := s.Args["name"].Text()
		y.uses = append(y.uses, name)
		found, there := y.named[name]
		if !there {
			if found, there = y.shared[name]; there {
				found = putAt(found, at)
			}
		}
		if !there {
			found = []Step{s}
		}
		if y.steps += sizeOf(found); !inner {
			y.steps -= len(found)
		}
		if y.steps > MaxSteps {
			return all // stepList says so
		}
		all = append(all, found...)
	}
	return all
}

// loose finds what steps use and is not there.
func loose(steps []Step) (all []Step) {
	for _, s := range steps {
		if s.Kind == "use" {
			all = append(all, s)
		}
		for _, a := range s.Args {
			for _, p := range a.Pipes {
				all = append(all, loose(p)...)
			}
		}
	}
	return all
}

// sizeOf counts steps with those in their pipes.
func sizeOf(steps []Step) (n int) {
	for _, s := range steps {
		n++
		for _, a := range s.Args {
			for _, p := range a.Pipes {
				n += sizeOf(p)
			}
		}
	}
	return n
}

// schema makes the JSON of a schema that is written as YAML.
func (y *yamlReader) schema(n *yaml.Node, field string) string {
	v, err := jsonOf(n)
	var text []byte
	if err == nil {
		text, err = json.Marshal(v)
	}
	if err != nil {
		y.fail(n, field, "is nothing that JSON has: "+err.Error(), "write it as in JSON")
	}
	return string(text)
}

// putAt copies steps to where they are used, so that what is wrong with them there
// is told there.
func putAt(steps []Step, at Pos) []Step {
	var all []Step
	for _, s := range steps {
		args := map[string]Arg{}
		for name, a := range s.Args {
			c := Arg{Words: a.Words, At: at}
			for _, p := range a.Pipes {
				c.Pipes = append(c.Pipes, putAt(p, at))
			}
			args[name] = c
		}
		s.Args, s.At = args, at
		all = append(all, s)
	}
	return all
}

// Uses lists the names that the steps of a file use, as far as it can be read: for who
// has to know which pipes a shared stage concerns.
func Uses(src []byte) []string {
	y := &yamlReader{g: &Graph{}, named: map[string][]Step{}}
	root, err := y.document(src)
	if err != nil {
		return nil
	}
	y.graph(root)
	return y.uses
}
