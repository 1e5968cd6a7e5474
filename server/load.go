package server

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/suggest"
)

// FileName is the configuration file that is read when none is named and it is
// there.
const FileName = "parley.yaml"

const maxFile = 1 << 20

// Sources are where a configuration comes from. What comes later in the list
// file, environment, flags wins.
type Sources struct {
	File  string              // "" = FileName if it is there
	Env   []string            // as os.Environ gives it
	Flags map[string][]string // the values of flags that were given, by name
}

// Loaded is a configuration, and where each value that is not a default was set.
type Loaded struct {
	Config Config
	File   string            // that was read; "" = none
	From   map[string]string // by path of the field: "parley.yaml:3", "PARLEY_LISTEN", "--listen"
}

// Load reads the configuration and checks it. The error holds every Problem that
// was found, joined by errors.Join.
func Load(src Sources) (Loaded, error) {
	l := loader{Loaded: Loaded{Config: Default(), From: map[string]string{}}, fields: Fields()}
	l.readFile(src.File)
	l.readEnv(src.Env)
	l.readFlags(src.Flags)
	if len(l.problems) == 0 {
		if err := l.Config.check(); err != nil {
			l.add(l.From[fieldOf(err)], "", err)
		}
	}
	return l.Loaded, errors.Join(l.problems...)
}

func fieldOf(err error) string {
	if e, ok := errors.AsType[*parley.Error](err); ok {
		return e.Field
	}
	return ""
}

type loader struct {
	Loaded
	fields   []Field
	problems []error
}

func (l *loader) add(source, path string, err error) {
	if line, ok := errors.AsType[*lineError](err); ok {
		if file, _, ok := strings.Cut(source, ":"); ok {
			source = file + ":" + strconv.Itoa(line.line)
		}
		err = line.err
	}
	l.problems = append(l.problems, &Problem{Source: source, Err: inside(path, err)})
}

func (l *loader) readFile(name string) {
	asked := name != ""
	if !asked {
		name = FileName
	}
	text, err := readBounded(name)
	switch {
	case err != nil && !asked && errors.Is(err, os.ErrNotExist):
		return
	case err != nil:
		l.add("", "config", &parley.Error{Code: parley.NotFound, Detail: err.Error(), Fix: "name a file that can be read, or write one with `parley config init > " + FileName + "`", Err: err})
		return
	}
	l.File = name
	l.parse(filepath.Base(name), text)
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		return nil, parley.Errorf(parley.TooLarge, "%s is over %d bytes", name, maxFile)
	}
	return text, err
}

// parse reads the text of a file.
func (l *loader) parse(name string, text []byte) {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return // nothing but comments
	}
	if err == nil && !errors.Is(d.Decode(&more), io.EOF) {
		err = errors.New("more than one document")
	}
	if err != nil {
		l.syntax(name, err)
		return
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return
	}
	l.mapping(name, "", root)
}

// syntax tells of what is no YAML. The parser names the line in its text.
func (l *loader) syntax(name string, err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, what, ok := strings.Cut(rest, ": "); ok {
			name, text = name+":"+line, what
		}
	}
	fix := "see `parley config init` for an example"
	if strings.Contains(text, "mapping values are not allowed") {
		fix = `put values that hold ": " or end in ":" into quotes, as in data: ":memory:"`
	}
	l.add(name, "", &parley.Error{Code: parley.Invalid, Detail: "not YAML: " + text, Fix: fix})
}

// mapping reads the members of one level of the file.
func (l *loader) mapping(file, prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		l.add(file+":"+strconv.Itoa(n.Line), strings.TrimSuffix(prefix, "."), invalid("", "is not a list of settings", "write one KEY: VALUE a line"))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path, where := prefix+key.Value, file+":"+strconv.Itoa(key.Line)
		if first, twice := seen[key.Value]; twice {
			l.add(where, path, invalid("", "comes twice, first in line "+strconv.Itoa(first), "remove one of them"))
			continue
		}
		seen[key.Value] = key.Line
		l.member(file, where, path, value)
	}
}

func (l *loader) member(file, where, path string, value *yaml.Node) {
	section := false
	for _, f := range l.fields {
		if f.Path == path {
			l.set(f, where, func() error { return f.set(&l.Config, value) })
			return
		}
		section = section || strings.HasPrefix(f.Path, path+".")
	}
	switch {
	case !section:
		l.add(where, path, l.unknown(path))
	case value.Tag == "!!null": // a section whose members are all commented out
	default:
		l.mapping(file, path+".", value)
	}
}

// unknown says what the user may have meant: a key of the same level, or else the
// same word elsewhere.
func (l *loader) unknown(path string) error {
	prefix := path[:strings.LastIndexByte(path, '.')+1]
	var level, all []string
	for _, f := range l.fields {
		if rest, ok := strings.CutPrefix(f.Path, prefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			level = append(level, prefix+name)
		}
		all = append(all, f.Path)
		if f.Path[strings.LastIndexByte(f.Path, '.')+1:] == path[len(prefix):] {
			return invalid("", "there is no such key", "did you mean "+f.Path+"?")
		}
	}
	for _, among := range [][]string{level, all} {
		if near := suggest.Closest(path, among); near != "" {
			return invalid("", "there is no such key", "did you mean "+near+"?")
		}
	}
	return invalid("", "there is no such key", "see `parley config doc` for all keys")
}

func (l *loader) set(f Field, source string, set func() error) {
	if err := set(); err != nil {
		l.add(source, f.Path, err)
		return
	}
	l.From[f.Path] = source
}

func (l *loader) readEnv(env []string) {
	values := map[string]string{}
	for _, pair := range env {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, "PARLEY_") {
			values[name] = value
		}
	}
	for _, f := range l.fields {
		if value, ok := values[f.Env()]; ok {
			l.set(f, f.Env(), func() error { return f.setText(&l.Config, value) })
		}
	}
}

func (l *loader) readFlags(flags map[string][]string) {
	for _, f := range l.fields {
		for _, value := range flags[f.Flag] {
			l.set(f, "--"+f.Flag, func() error { return f.setText(&l.Config, value) })
		}
	}
}
