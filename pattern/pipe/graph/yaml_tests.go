package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
)

func (y *yamlReader) tests(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		y.fail(n, "tests", "is no list", "write tests with a - before each")
		return
	}
	for i, c := range n.Content {
		t := Test{Name: "test " + strconv.Itoa(i+1), At: Pos{Line: c.Line, Column: c.Column}, Expect: map[string][]Wanted{}}
		y.pairs(c, "a test", func(key string, k, v *yaml.Node) {
			switch key {
			case "name":
				t.Name = y.word(v, "name")
			case "input":
				t.Input = y.input(v)
			case "expect":
				y.pairs(v, "expect", func(sink string, _, list *yaml.Node) { t.Expect[sink] = y.wanted(list) })
			case "dead":
				t.Dead = y.wantedDead(v)
			case "end":
				if v.Value != "true" && v.Value != "false" {
					y.fail(v, "end", "is neither true nor false", "write end: false when the source goes on")
				}
				t.Open = v.Value == "false"
			default:
				y.unknown(k, "is not part of a test", []string{"name", "input", "expect", "dead", "end"})
			}
		})
		y.g.Tests = append(y.g.Tests, t)
	}
}

// only gives the value of a mapping's one member, if it has one of these names.
func only(n *yaml.Node, names ...string) (string, *yaml.Node) {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && slices.Contains(names, n.Content[0].Value) {
		return n.Content[0].Value, n.Content[1]
	}
	return "", n
}

func (y *yamlReader) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		y.fail(n, what, "is no list", "write events with a - before each")
		return nil
	}
	return n.Content
}

func (y *yamlReader) input(n *yaml.Node) (all []Given) {
	for i, c := range y.list(n, "input") {
		said, v := only(c, "data", "event", "wait")
		blank := parley.Event{ID: "test-" + strconv.Itoa(i+1), Source: "/tests", Type: "test"}
		switch said {
		case "wait":
			d, err := time.ParseDuration(v.Value)
			if err != nil || d <= 0 {
				y.fail(v, "wait", strconv.Quote(v.Value)+" is no duration", "write it like 90s")
			}
			all = append(all, Given{Wait: d})
		case "event":
			all = append(all, Given{Event: y.event(v, blank)})
		default:
			blank.Data, blank.DataContentType = y.data(v)
			all = append(all, Given{Event: blank})
		}
	}
	return all
}

// data gives a value as an event's data: text as it is, all else as JSON.
func (y *yamlReader) data(n *yaml.Node) (data []byte, contentType string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return []byte(n.Value), "text/plain"
	}
	v, err := jsonOf(n)
	if err == nil {
		data, err = json.Marshal(v)
	}
	if err != nil {
		y.fail(n, "data", "is nothing that JSON has: "+err.Error(), "write maps with text as keys, lists, text and numbers")
	}
	return data, "application/json"
}

// jsonOf makes a value for JSON; what YAML takes for a time is text.
func jsonOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := jsonOf(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := jsonOf(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	switch n.Tag {
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		return nil, fmt.Errorf("%s is no number of JSON", n.Value)
	case "!!bool":
		return n.Value == "true", nil
	case "!!null":
		return nil, nil
	}
	return n.Value, nil
}

// event reads attributes and data.
func (y *yamlReader) event(n *yaml.Node, e parley.Event) parley.Event {
	attributes := map[string]string{"specversion": "1.0"}
	y.pairs(n, "event", func(key string, _, v *yaml.Node) {
		if key == "data" {
			e.Data, e.DataContentType = y.data(v)
			return
		}
		attributes[key] = y.word(v, key)
	})
	text, err := json.Marshal(attributes)
	var read parley.Event
	if err == nil {
		read, err = parley.ParsePartialJSON(text)
	}
	if err != nil {
		told, _ := errorsAs(err)
		y.fail(n, told.Field, told.Detail, told.Fix)
		return e
	}
	read.ID, read.Source, read.Type = cmp.Or(read.ID, e.ID), cmp.Or(read.Source, e.Source), cmp.Or(read.Type, e.Type)
	read.Data, read.DataContentType = e.Data, cmp.Or(read.DataContentType, e.DataContentType)
	return read
}

func (y *yamlReader) wanted(n *yaml.Node) (all []Wanted) {
	for _, c := range y.list(n, "expect") {
		said, v := only(c, "data", "event")
		if said != "event" {
			data, _ := y.data(v)
			all = append(all, Wanted{Data: data})
			continue
		}
		w := Wanted{Attributes: map[string]string{}}
		y.pairs(v, "event", func(key string, _, v *yaml.Node) {
			if key == "data" {
				w.Data, _ = y.data(v)
				return
			}
			w.Attributes[key] = y.word(v, key)
		})
		all = append(all, w)
	}
	return all
}

func (y *yamlReader) wantedDead(n *yaml.Node) (all []WantedDead) {
	for _, c := range y.list(n, "dead") {
		var d WantedDead
		y.pairs(c, "dead", func(key string, k, v *yaml.Node) {
			switch key {
			case "stage":
				d.Stage = y.word(v, key)
			case "cause":
				d.Cause = y.word(v, key)
			default:
				y.unknown(k, "is not known of a dead event", []string{"stage", "cause"})
			}
		})
		all = append(all, d)
	}
	return all
}

// testsNode writes tests.
func testsNode(tests []Test) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, t := range tests {
		m := &yaml.Node{Kind: yaml.MappingNode}
		put(m, "name", word(t.Name))
		input := &yaml.Node{Kind: yaml.SequenceNode}
		for i, g := range t.Input {
			one := &yaml.Node{Kind: yaml.MappingNode}
			switch e := g.Event; {
			case g.Wait > 0:
				put(one, "wait", plain(g.Wait.String()))
			case e.ID == "test-"+strconv.Itoa(i+1) && e.Source == "/tests" && e.Type == "test" && e.Subject == "" && e.Time.IsZero() && e.DataSchema == "" && len(e.Extensions) == 0 && e.Data != nil:
				put(one, "data", dataNode(e.Data))
			default:
				put(one, "event", eventNode(e))
			}
			input.Content = append(input.Content, one)
		}
		put(m, "input", input)
		put(m, "expect", expectNode(t.Expect))
		if len(t.Dead) > 0 {
			dead := &yaml.Node{Kind: yaml.SequenceNode}
			for _, d := range t.Dead {
				one := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
				put(one, "stage", word(d.Stage))
				put(one, "cause", word(d.Cause))
				dead.Content = append(dead.Content, one)
			}
			put(m, "dead", dead)
		}
		if t.Open {
			put(m, "end", plain("false"))
		}
		list.Content = append(list.Content, m)
	}
	return list
}

func expectNode(expect map[string][]Wanted) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, sink := range slices.Sorted(maps.Keys(expect)) {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, w := range expect[sink] {
			inner := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			for _, name := range slices.Sorted(maps.Keys(w.Attributes)) {
				put(inner, name, word(w.Attributes[name]))
			}
			if w.Data != nil {
				put(inner, "data", dataNode(w.Data))
			}
			one := &yaml.Node{Kind: yaml.MappingNode}
			if len(w.Attributes) == 0 && w.Data != nil {
				put(one, "data", dataNode(w.Data))
			} else {
				put(one, "event", inner)
			}
			list.Content = append(list.Content, one)
		}
		put(m, sink, list)
	}
	return m
}

func eventNode(e parley.Event) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	data := e.Data
	e.Data = nil
	var attributes map[string]string
	if json.Unmarshal(e.AppendJSON(nil), &attributes) == nil {
		delete(attributes, "specversion")
		for _, name := range slices.Sorted(maps.Keys(attributes)) {
			put(m, name, word(attributes[name]))
		}
	}
	if data != nil {
		put(m, "data", dataNode(data))
	}
	return m
}

// dataNode writes data so that it is read as the same: JSON is YAML, but for text.
func dataNode(data []byte) *yaml.Node {
	var n yaml.Node
	if json.Valid(data) && data[0] != '"' && yaml.Unmarshal(data, &n) == nil && len(n.Content) == 1 {
		return n.Content[0]
	}
	return word(string(data))
}
