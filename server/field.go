package server

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/suggest"
)

// Field is one setting: how it is called everywhere, what it may be, and where
// its value goes.
type Field struct {
	Path    string // in the file: "limits.body"
	Type    string // for people: "size"
	Default string // as it would be written; "" = nothing
	Doc     string // what it does, in sentences
	Example string // a value as YAML, where the default is nothing
	Flag    string // of `parley serve`, without dashes; "" = none
	Usage   string // how the flag's value is written, where it is not as Type says
	OneOf   []string

	set func(*Config, *yaml.Node) error
}

// Env is the name of the field's environment variable.
func (f Field) Env() string { return "PARLEY_" + strings.ToUpper(strings.ReplaceAll(f.Path, ".", "_")) }

// section is the part of the file that the field is in.
func (f Field) section() string {
	top, _, _ := strings.Cut(f.Path, ".")
	return top
}

// IsBool says whether the field's flag can stand alone.
func (f Field) IsBool() bool { return f.Type == "true or false" }

// setText sets the field from an environment variable or a flag: what a scalar
// cannot say is written as YAML, of which JSON is a part.
func (f Field) setText(c *Config, text string) error {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err == nil && len(doc.Content) == 1 {
			node = doc.Content[0]
		}
	}
	return f.set(c, node)
}

// scalar completes a field that is one value.
func scalar[T any](f Field, at func(*Config) *T, parse func(string) (T, error)) Field {
	f.set = func(c *Config, n *yaml.Node) error {
		text, err := textOf(n)
		if err != nil {
			return err
		}
		v, err := parse(text)
		if err != nil {
			return err
		}
		*at(c) = v
		return nil
	}
	return f
}

// choice completes a field that is one of some words.
func choice(f Field, at func(*Config) *string) Field {
	f.Type = strings.Join(f.OneOf, " or ")
	return scalar(f, at, func(text string) (string, error) {
		for _, word := range f.OneOf {
			if text == word {
				return word, nil
			}
		}
		fix := "use " + f.Type
		if near := suggest.Closest(text, f.OneOf); near != "" {
			fix = "did you mean " + near + "?"
		}
		return "", parley.BadField("", strconv.Quote(text)+" is not a value of this field", fix)
	})
}

// list completes a field that is several values: a YAML list, or in one text
// with commas between them.
func list(f Field, at func(*Config) *[]string, check func(string) error) Field {
	f.set = func(c *Config, n *yaml.Node) error {
		values, err := texts(n)
		if err != nil {
			return err
		}
		for _, v := range values {
			if err := check(v); err != nil {
				return err
			}
		}
		*at(c) = values
		return nil
	}
	return f
}

func texts(n *yaml.Node) ([]string, error) {
	var values []string
	if n.Kind != yaml.SequenceNode {
		text, err := textOf(n)
		if err != nil {
			return nil, err
		}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				values = append(values, part)
			}
		}
		return values, nil
	}
	for _, item := range n.Content {
		text, err := textOf(item)
		if err != nil {
			return nil, at(item, err)
		}
		values = append(values, text)
	}
	return values, nil
}

// textOf gives the text of a scalar.
func textOf(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", parley.BadField("", "is an alias", "write the value out")
	case n.Kind == yaml.MappingNode:
		return "", parley.BadField("", "has members, where one value belongs", "write one value")
	case n.Kind == yaml.SequenceNode:
		return "", parley.BadField("", "is a list, where one value belongs", "write one value")
	case n.Tag == "!!null":
		return "", parley.BadField("", "has no value", "write one, or remove the line")
	}
	return n.Value, nil
}

// lineError is an error whose line is known more exactly than that of its field.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// at says where in the file an error is; the innermost place counts.
func at(n *yaml.Node, err error) error {
	var inner *lineError
	if err == nil || n.Line == 0 || errors.As(err, &inner) {
		return err
	}
	return &lineError{n.Line, err}
}

// below puts a path before the field of an error, and keeps its line.
func below(path string, err error) error {
	if line, ok := errors.AsType[*lineError](err); ok {
		return &lineError{line.line, inside(path, line.err)}
	}
	return inside(path, err)
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, parley.BadField("", strconv.Quote(text)+" is neither true nor false", "write true or false")
}

func parseText(text string) (string, error) { return text, nil }
