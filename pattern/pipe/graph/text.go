package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// IsText says whether a text is a pipe over events: one of its stages is something
// that only those have. Others are pipes over bytes, of package unix.
func IsText(text string) bool {
	p, err := lang.ParseWith(text, whole)
	if err != nil {
		for part := range strings.SplitSeq(text, "|") {
			if name, _, _ := strings.Cut(strings.TrimSpace(part), " "); onlyEvents(name) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(p.Stages, func(s lang.Stage) bool { return onlyEvents(s.Name.Text) })
}

func onlyEvents(name string) bool {
	k, ok := KindNamed(name)
	if !ok {
		return false
	}
	switch k.Name {
	case "exec", "sort", "uniq", "head", "tail", "wc", "cut", "grep", "tee": // package unix has them, too
		return false
	}
	return true
}

// ParseText reads a graph that is written as one line. An error is a *parley.Error
// with a *lang.Mistake in its chain.
func ParseText(text string) (*Graph, error) {
	g := &Graph{text: text}
	steps, err := parseSteps(text, 0)
	g.Steps = steps
	return g, err
}

// MaxDepth bounds how deep pipes are in pipes.
const MaxDepth = 8

func parseSteps(text string, depth int) ([]Step, error) {
	for at, r := range text {
		if _, size := utf8.DecodeRuneInString(text[at:]); r == utf8.RuneError && size == 1 {
			return nil, lang.Wrong(&lang.Mistake{Text: text, Pos: at, End: at + 1, What: "this is not UTF-8"}, "write it in UTF-8")
		}
	}
	parsed, err := lang.ParseWith(text, whole)
	if err != nil {
		return nil, firstWrong(text, err)
	}
	var steps []Step
	for _, s := range parsed.Stages {
		r := reader{text: text, depth: depth, stage: s}
		step, err := r.read()
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// firstWrong finds a stage that is not known before the place of an error: with its
// right name, there might be none.
func firstWrong(text string, err error) error {
	m, ok := errors.AsType[*lang.Mistake](err)
	if !ok {
		return err
	}
	at := 0
	for part := range strings.SplitSeq(text[:m.Pos], "|") {
		name := strings.TrimSpace(part)
		pos := at + strings.Index(part, name)
		name, _, _ = strings.Cut(name, " ")
		at += len(part) + 1
		if _, known := KindNamed(name); known || name == "" || strings.ContainsAny(name, "'\"\\") {
			continue
		}
		r := reader{text: text, stage: lang.Stage{Name: lang.Word{Text: name, Raw: name, Pos: pos}}}
		_, err := r.read()
		return err
	}
	return err
}

// reader reads the words of one stage.
type reader struct {
	text  string
	depth int
	stage lang.Stage
	kind  Kind
	step  Step
}

func span(w lang.Word) Pos { return Pos{from: w.Pos, to: w.Pos + len(w.Raw)} }

func (r *reader) read() (Step, error) {
	name := r.stage.Name
	kind, ok := KindNamed(name.Text)
	if !ok {
		fix := "use one of " + strings.Join(KindNames(), ", ")
		if name.Text == "cat" {
			fix = "begin a pipe over events with: file " + strings.Join(wordsOf(r.stage.Args), " ")
		}
		return Step{}, lang.Wrong(&lang.Mistake{
			Text: r.text, Pos: name.Pos, End: name.Pos + len(name.Raw), Word: name.Text, Known: KindNames(),
			What: strconv.Quote(name.Text) + " is not a stage of a pipe over events",
		}, fix)
	}
	if kind.Absent {
		return Step{}, r.wrong(name, absent(kind), "use a topic in its place")
	}
	r.kind = kind
	r.step = Step{Kind: kind.Name, Args: map[string]Arg{}, At: span(name)}
	options := true
	for i := 0; i < len(r.stage.Args); i++ {
		w := r.stage.Args[i]
		var err error
		switch {
		case whole(kind.Name) && strings.HasPrefix(w.Raw, "--") && len(kind.Params) > 1:
			err = r.wholeOption(w)
		case whole(kind.Name):
			err = r.set(kind.Params[0], w, w.Text)
		case options && w.Raw == "--":
			options = false
		case options && strings.HasPrefix(w.Raw, "--"):
			i, err = r.long(i)
		case options && len(w.Text) > 1 && w.Raw[0] == '-' && !digit(w.Text[1]):
			i, err = r.short(i)
		default:
			options = options && !kind.rest
			err = r.place(w)
		}
		if err != nil {
			return Step{}, err
		}
	}
	return r.step, nil
}

func absent(k Kind) string { return k.Name + " is not available in pipes of this version" }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordsOf(all []lang.Word) (texts []string) {
	for _, w := range all {
		texts = append(texts, w.Raw)
	}
	return texts
}

func (r *reader) wrong(w lang.Word, what, fix string) error {
	return lang.At(r.text, w, fix, "%s", what)
}

func (r *reader) noOption(w lang.Word, name string) error {
	return lang.Wrong(&lang.Mistake{
		Text: r.text, Pos: w.Pos, End: w.Pos + len(w.Raw), Word: name, Known: r.kind.paramNames(),
		What: r.kind.Name + " has no option " + w.Text,
	}, "write it like: "+r.kind.Synopsis())
}

// long reads --name value, --name=value and --switch.
func (r *reader) long(i int) (int, error) {
	w := r.stage.Args[i]
	name, value, joined := strings.Cut(w.Text[2:], "=")
	p, ok := r.kind.param(name)
	if !ok || len(name) < 2 {
		return i, r.noOption(w, name)
	}
	switch {
	case p.Type == Switch && !joined:
		value = "true"
	case !joined:
		if i++; i >= len(r.stage.Args) {
			return i, r.wrong(w, w.Text+" needs a value", "give the "+string(p.Type)+" behind it: "+p.Doc)
		}
		w, value = r.stage.Args[i], r.stage.Args[i].Text
	}
	return i, r.set(p, w, value)
}

// wholeOption reads the option of a stage that takes the rest of its text: all of it
// behind the name, with or without quotes.
func (r *reader) wholeOption(w lang.Word) error {
	name, rest, _ := strings.Cut(w.Raw[2:], " ")
	name, joined, _ := strings.Cut(name, "=")
	p, ok := r.kind.param(name)
	if !ok || !p.Option {
		return r.noOption(w, name)
	}
	value := strings.TrimSpace(joined + " " + rest)
	if value == "" {
		return r.wrong(w, "--"+name+" needs a value", "give the "+string(p.Type)+" behind it: "+p.Doc)
	}
	if value[0] == '\'' || value[0] == '"' && !json.Valid([]byte(value)) {
		quoted, err := lang.Parse(value)
		if err != nil || len(quoted.Stages) != 1 || len(quoted.Stages[0].Args) > 0 {
			return r.wrong(w, "something is wrong with the quotes around the "+string(p.Type), "put it all in single quotes")
		}
		value = quoted.Stages[0].Name.Text
	}
	return r.set(p, w, value)
}

// short reads -n value, -nvalue and switches that are joined.
func (r *reader) short(i int) (int, error) {
	w := r.stage.Args[i]
	for at := 1; at < len(w.Text); at++ {
		p, ok := r.kind.param(w.Text[at : at+1])
		if !ok || p.Short == "" {
			return i, r.noOption(w, w.Text[at:at+1])
		}
		if p.Type == Switch {
			if err := r.set(p, w, "true"); err != nil {
				return i, err
			}
			continue
		}
		value := w.Text[at+1:]
		if value == "" {
			if i++; i >= len(r.stage.Args) {
				return i, r.wrong(w, "-"+p.Short+" needs a value", "give the "+string(p.Type)+" behind it: "+p.Doc)
			}
			w, value = r.stage.Args[i], r.stage.Args[i].Text
		}
		return i, r.set(p, w, value)
	}
	return i, nil
}

// place gives a word that is no option to the first parameter that it can be meant
// for.
func (r *reader) place(w lang.Word) error {
	var first *Param
	for i, p := range r.kind.Params {
		if _, given := r.step.Args[p.Name]; p.Option || given && !p.Many {
			continue
		}
		if first == nil {
			first = &r.kind.Params[i]
		}
		if p.accepts(w.Text) == "" {
			return r.set(p, w, w.Text)
		}
	}
	if first == nil {
		return r.wrong(w, w.Text+" is one argument too many", "write it like: "+r.kind.Synopsis())
	}
	return r.set(*first, w, w.Text)
}

func (r *reader) set(p Param, w lang.Word, value string) error {
	arg, given := r.step.Args[p.Name]
	if given && !p.Many {
		return r.wrong(w, p.Name+" is there twice", "leave one of the two")
	}
	if !given {
		arg.At = span(w)
	}
	if p.Type != Pipe && p.Type != Source {
		if bad := p.accepts(value); bad != "" {
			return r.wrong(w, strconv.Quote(value)+" "+bad, "see "+p.Name+": "+p.Doc)
		}
		arg.Words = append(arg.Words, value)
		r.step.Args[p.Name] = arg
		return nil
	}
	if r.depth >= MaxDepth {
		return r.wrong(w, "pipes are too deep in pipes", "write the graph as YAML, or in several pipes over topics")
	}
	steps, err := parseSteps(value, r.depth+1)
	if err != nil {
		e, _ := errorsAs(err)
		return r.wrong(w, "in it, "+e.Field+": "+e.Detail, e.Fix)
	}
	inside(steps, span(w))
	arg.Pipes = append(arg.Pipes, steps)
	r.step.Args[p.Name] = arg
	return nil
}

// inside gives steps that were in one word the place of that word.
func inside(steps []Step, at Pos) {
	for i := range steps {
		steps[i].At = at
		for name, a := range steps[i].Args {
			a.At = at
			steps[i].Args[name] = a
			for _, p := range a.Pipes {
				inside(p, at)
			}
		}
	}
}

// problem makes an error of what is wrong at a place.
func (g *Graph) problem(at Pos, e *parley.Error) error {
	if g.text != "" && at.to > 0 {
		told := *e
		told.Field = "pipe, column " + strconv.Itoa(at.from+1)
		told.Err = &lang.Mistake{Text: g.text, Pos: at.from, End: at.to, What: e.Detail}
		return &told
	}
	return &Problem{File: g.file, At: at, Err: e}
}

// Text writes the graph on one line, in its one form. Names of steps, tests and
// Dead have no place there.
func (g *Graph) Text() string { return textOf(g.Steps) }

func textOf(steps []Step) string {
	var parts []string
	for _, s := range steps {
		parts = append(parts, s.Text())
	}
	return strings.Join(parts, " | ")
}

// Text writes the step as text.
func (s Step) Text() string {
	k, _ := KindNamed(s.Kind)
	out := s.Kind
	if whole(s.Kind) {
		for _, p := range k.Params[1:] {
			if a, ok := s.Args[p.Name]; ok {
				return out + " --" + p.Name + " " + schemaText(a.Text())
			}
		}
		if len(s.Args) == 0 {
			return out
		}
		text := s.Args[k.Params[0].Name].Text()
		if len(k.Params) > 1 && strings.HasPrefix(text, "--") {
			return out + " " + quoted(text) // it is no option
		}
		return out + " " + expressionText(text)
	}
	var behind []string
	for _, p := range k.Params {
		a, ok := s.Args[p.Name]
		if !ok {
			continue
		}
		values := make([]string, 0, len(a.Words)+len(a.Pipes))
		for _, w := range a.Words {
			values = append(values, quoteValue(w))
		}
		for _, steps := range a.Pipes {
			values = append(values, lang.Quote(textOf(steps)))
		}
		switch {
		case p.Type == Switch:
			if a.Text() == "true" {
				out += " --" + p.Name
			}
		case p.Option || !p.Need && !p.Many && p.Type != Duration && p.Type != Size && p.Type != Number && p.Type != Expression:
			for _, v := range values {
				out += " --" + p.Name + " " + v
			}
		default:
			behind = append(behind, placed(k, p, s, values)...)
		}
	}
	if len(behind) > 0 {
		out += " " + strings.Join(behind, " ")
	}
	return out
}

// placed gives values by their place if they would be read as those of p, and by
// name otherwise.
func placed(k Kind, p Param, s Step, values []string) []string {
	for _, other := range k.Params {
		if other.Name == p.Name {
			break
		}
		if _, given := s.Args[other.Name]; !other.Option && !given && len(s.Args[p.Name].Words) > 0 && other.accepts(s.Args[p.Name].Text()) == "" {
			return []string{"--" + p.Name + " " + strings.Join(values, " --"+p.Name+" ")}
		}
	}
	return values
}

// quoteValue quotes a value, and what would be read as an option.
func quoteValue(w string) string {
	if strings.HasPrefix(w, "-") {
		return quoted(w)
	}
	return lang.Quote(w)
}

func quoted(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" }

// schemaText quotes JSON. An apostrophe in it is escaped as JSON has it, so that the
// quotes hold wherever it is read.
func schemaText(schema string) string {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(schema)) == nil {
		schema = compact.String()
	}
	return "'" + strings.ReplaceAll(schema, "'", `\u0027`) + "'"
}

// expressionText leaves quotes away where an expression needs none.
func expressionText(e string) string {
	p, err := lang.ParseWith("where "+e, whole)
	if err == nil && len(p.Stages) == 1 && len(p.Stages[0].Args) == 1 && p.Stages[0].Args[0].Text == e && p.Stages[0].Args[0].Raw == e {
		return e
	}
	return quoted(e)
}
