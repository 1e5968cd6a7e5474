package graph

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// YAML writes the graph as a file, in its one form: defaults left out, stages that
// were used written where they are used, comments gone.
func (g *Graph) YAML() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	if g.Name != "" {
		put(root, "name", word(g.Name))
	}
	put(root, "steps", stepsNode(g.Steps))
	if len(g.Dead) > 0 {
		put(root, "dead", stepsNode(g.Dead))
	}
	if len(g.Tests) > 0 {
		put(root, "tests", testsNode(g.Tests))
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

func put(m *yaml.Node, key string, v *yaml.Node) { m.Content = append(m.Content, word(key), v) }

// word is a scalar that is read again as the same text: it gets quotes if a reader
// of YAML would take it for something else.
func word(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// plain is a scalar that may be taken for a number.
func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

func stepsNode(steps []Step) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range steps {
		k, _ := KindNamed(s.Kind)
		m := &yaml.Node{Kind: yaml.MappingNode}
		put(m, s.Kind, argsNode(k, s))
		if s.Name != "" {
			put(m, "name", word(s.Name))
		}
		list.Content = append(list.Content, m)
	}
	return list
}

func argsNode(k Kind, s Step) *yaml.Node {
	if len(s.Args) == 0 {
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	}
	if a, ok := s.Args[first(k)]; ok && len(s.Args) == 1 {
		return argNode(k.Params[0], a)
	}
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range k.Params {
		if a, ok := s.Args[p.Name]; ok {
			put(m, p.Name, argNode(p, a))
		}
	}
	return m
}

func first(k Kind) string {
	if len(k.Params) == 0 {
		return ""
	}
	return k.Params[0].Name
}

func argNode(p Param, a Arg) *yaml.Node {
	if len(a.Pipes) > 0 {
		if len(a.Pipes) == 1 {
			return stepsNode(a.Pipes[0])
		}
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, steps := range a.Pipes {
			list.Content = append(list.Content, stepsNode(steps))
		}
		return list
	}
	scalar := word
	if p.Type == Number || p.Type == Switch || p.Type == Duration || p.Type == Size || p.Type == Rate {
		scalar = plain
	}
	if len(a.Words) == 1 {
		return scalar(a.Text())
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, w := range a.Words {
		list.Content = append(list.Content, scalar(w))
	}
	return list
}
