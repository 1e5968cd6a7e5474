package graph

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/regex"
)

// eval is a compiled expression over an event.
type eval struct {
	looks
	run  func(e *parley.Event, data any) (any, error)
	test func(e func() *parley.Event, members [][]byte) (yes, ok bool) // nil = there is none

	at   glimpse // what test looks at
	item *item   // that test asks for
	open func() *parley.Event
}

// expr compiles the expression of a parameter; nil when it was not given.
func (c *compiler) expr(s *spec, param string) (*eval, error) {
	text := s.text(param)
	if text == "" {
		return nil, nil
	}
	if c.o.Expr == nil {
		return nil, s.wrong(param, "expressions are not available here", "give Options.Expr")
	}
	condition := param == "expr" || param == "when"
	f, err := c.o.Expr(text, condition)
	if err != nil {
		e, _ := errorsAs(err)
		return nil, s.wrong(param, e.Detail, e.Fix)
	}
	e := &eval{run: f, looks: looksAt(c.o.Fields, text)}
	if c.o.Test == nil || c.mach == nil || !condition {
		return e, nil
	}
	if paths, test := c.o.Test(text); test != nil {
		e.test, e.at = test, c.mach.glimpse(paths)
		e.open = func() *parley.Event {
			e.item.open()
			return &e.item.event
		}
	}
	return e, nil
}

// looks is which of the data something looks at.
type looks struct {
	all  bool  // all of it,
	need *need // or these members, nil = none
}

func looksAt(fields func(text string) ([][]string, bool), text string) looks {
	if fields == nil {
		return looks{all: true}
	}
	paths, ok := fields(text)
	if !ok || len(paths) == 0 {
		return looks{all: !ok}
	}
	return looks{need: needs(paths)}
}

// on evaluates an expression for an item.
func (f *eval) on(it *item) (any, error) {
	it.open()
	data, err := f.data(it)
	if err != nil {
		return nil, err
	}
	return f.run(&it.event, data)
}

// data decodes what is looked at.
func (f *looks) data(it *item) (any, error) {
	switch {
	case f.all || it.state != notYet:
		return it.value()
	case f.need == nil:
		return nil, nil
	case it.mayBeJSON():
		if part, err := decodeOnly(it.event.Data, f.need); err == nil {
			return part, nil
		}
	}
	return it.value()
}

func (f *eval) truth(it *item) (bool, error) {
	if f.test != nil {
		if parts, ok := f.at.at(it, lacking); ok {
			f.item = it
			if yes, ok := f.test(f.open, parts); ok {
				return yes, nil
			}
		}
	}
	v, err := f.on(it)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, parley.Errorf(parley.Unprocessable, "the expression gives %s where true or false is needed", kindOf(v))
	}
	return b, nil
}

// key gives what an expression says as text.
func (f *eval) key(it *item) (string, error) {
	v, err := f.on(it)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, int, *big.Int:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", parley.Errorf(parley.Unprocessable, "the key is %s; text, a number, true or false is needed", kindOf(v))
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "text"
	case int, float64, *big.Int:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v)
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, !math.IsInf(f, 0)
	}
	return 0, false
}

// each is a stage that makes any number of items of each.
type each struct {
	stage
	do   func(it *item, to []item) ([]item, error)
	lazy bool // do opens what it needs
}

func (s *each) care() care {
	if s.lazy {
		return little
	}
	return opened
}

func (s *each) push(items []item) error {
	out := s.buf[:0]
	for i := range items {
		n := len(out)
		more, err := s.do(&items[i], out)
		if err != nil {
			clear(out[n:])
			out = out[:n]
			if err := s.fail(&items[i], err, 1); err != nil {
				return err
			}
			continue
		}
		out = more
	}
	s.buf = out
	err := s.emit(out)
	clear(s.buf)
	return err
}

func makeWhere(c *compiler, s *spec) (node, error) {
	f, err := c.expr(s, "expr")
	return &each{lazy: true, do: func(it *item, to []item) ([]item, error) {
		ok, err := f.truth(it)
		if ok {
			to = append(to, *it)
		}
		return to, err
	}}, err
}

func makeSplit(c *compiler, s *spec) (node, error) {
	f, err := c.expr(s, "of")
	n := &each{}
	lines := func(it *item, to []item) ([]item, error) {
		i := 0
		for line := range bytes.Lines(it.event.Data) {
			to = append(to, n.with(it, bytes.TrimSuffix(line, []byte("\n")), it.event.DataContentType, i))
			i++
		}
		return to, nil
	}
	list := func(it *item, to []item) ([]item, error) {
		read := it.value
		if f != nil {
			read = func() (any, error) { return f.on(it) }
		}
		v, err := read()
		all, ok := v.([]any)
		if err == nil && !ok {
			err = parley.Errorf(parley.Unprocessable, "there is %s where a list is needed", kindOf(v))
		}
		for i := range all {
			made, err := n.become(it, all[i], i)
			if err != nil {
				return to, err
			}
			to = append(to, made)
		}
		return to, err
	}
	if n.do = list; s.on("lines") {
		n.do = lines
	}
	return n, err
}

func makeGrep(_ *compiler, s *spec) (node, error) {
	text := s.text("pattern")
	if s.on("fixed-strings") {
		text = regexp.QuoteMeta(text)
	}
	if s.on("ignore-case") {
		text = "(?i)" + text
	}
	x, err := regex.Compile(text)
	if err != nil {
		return nil, s.wrong("pattern", err.Error()+" (of grep)", "make it simpler (the syntax is RE2's), or take it as it is with -F")
	}
	invert := s.on("invert-match")
	n := &each{lazy: true}
	n.do = func(it *item, to []item) ([]item, error) {
		var meter regex.Meter
		yes, err := x.Match(n.m.ctx, &meter, it.event.Data)
		if err != nil {
			return to, err
		}
		if yes != invert {
			to = append(to, *it)
		}
		return to, nil
	}
	return n, nil
}
