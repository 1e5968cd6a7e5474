package graph

import (
	"context"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// program is a compiled jq program.
type program struct {
	looks
	run     func(ctx context.Context, data any) ([]any, error)
	at      glimpse  // what stands between
	between []string // texts of the one value that it gives, one more than members; nil = not known
}

// jq compiles the program of a stage.
func (c *compiler) jq(s *spec) (*program, error) {
	if c.o.JQ == nil {
		return nil, s.wrong("jq", "jq is not available here", "give Options.JQ")
	}
	text := s.text("jq")
	f, err := c.o.JQ(text)
	if err != nil {
		e, _ := errorsAs(err)
		return nil, s.wrong("jq", e.Detail, e.Fix)
	}
	p := &program{run: f, looks: looks{all: true}}
	if c.o.Template == nil {
		return p, nil
	}
	between, paths, ok := c.o.Template(text)
	if p.looks = looksAt(func(string) ([][]string, bool) { return paths, ok }, text); ok && c.mach != nil {
		p.between, p.at = between, c.mach.glimpse(paths)
	}
	return p, nil
}

func makeMap(c *compiler, s *spec) (node, error) { return makeProgram(c, s, true) }
func makeJQ(c *compiler, s *spec) (node, error)  { return makeProgram(c, s, false) }

func makeProgram(c *compiler, s *spec, one bool) (node, error) {
	p, err := c.jq(s)
	n := &each{lazy: true}
	n.do = func(it *item, to []item) ([]item, error) {
		if made, ok := n.fill(p, it); ok {
			return append(to, made), nil
		}
		data, err := p.data(it)
		if err != nil {
			return to, err
		}
		all, err := p.run(n.m.ctx, data)
		if err != nil {
			return to, err
		}
		if one && len(all) != 1 {
			return to, parley.Errorf(parley.Unprocessable, "the program gives %d values; map needs one, jq takes any number", len(all))
		}
		for i, v := range all {
			made, err := n.become(it, v, i)
			if err != nil {
				return to, err
			}
			to = append(to, made)
		}
		return to, nil
	}
	return n, err
}

// fill does what a program does by copying members into its text. It is not ok when
// there is more to it: the program can say what.
func (s *stage) fill(p *program, it *item) (made item, ok bool) {
	if p.between == nil {
		return item{}, false
	}
	parts, ok := p.at.at(it, nowhere)
	if !ok {
		return item{}, false
	}
	b := append(s.m.page.begin(), p.between[0]...)
	for i, part := range parts {
		if b, ok = appendMember(b, part); !ok {
			return item{}, false
		}
		b = append(b, p.between[i+1]...)
	}
	if len(b)-len(s.m.page.b) > MaxData {
		return item{}, false
	}
	return s.with(it, s.m.page.end(b), jsonType, 0), true
}

// appendMember writes a value of JSON as encode writes it once it was decoded. Most
// values stand in the data as they are written; nil is null.
func appendMember(to, value []byte) ([]byte, bool) {
	switch {
	case value == nil:
		return append(to, "null"...), true
	case value[0] == '"' && asWritten(value[1:len(value)-1]), value[0] == 't', value[0] == 'f', value[0] == 'n', isPlainInt(value):
		return append(to, value...), true
	}
	v, err := decode(value)
	if err != nil {
		return to, false
	}
	b, err := appendValue(to, v)
	if err != nil {
		return to, false
	}
	return b, true
}

// asWritten says that a string is written as it stands between its quotes.
func asWritten(text []byte) bool {
	ascii := true
	for _, c := range text {
		if c == '\\' || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(text)
}

// isPlainInt says that a number is an int, and is written as it stands. -0 is not.
func isPlainInt(text []byte) bool {
	digits := text
	if digits[0] == '-' {
		digits = digits[1:]
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return false
		}
	}
	return len(digits) <= 18 && (digits[0] != '0' || len(text) == 1)
}
