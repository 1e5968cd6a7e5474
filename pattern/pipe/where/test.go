package where

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/parleyhq/parley"
)

// Test gives a condition that needs no interpreter: comparisons of members of the data
// and of attributes with constants, put together by and, or and not. It is told by the
// JSON of those members as it stands in the data, nil for one that its object lacks, in
// the order of paths; e gives the event, and is asked for attributes only. Not ok means
// that there is more to it, as when it fails: the function that Compile gives says. The
// test is nil for any other expression.
func Test(text string) (paths [][]string, test func(e func() *parley.Event, members [][]byte) (yes, ok bool)) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, nil // Compile says why
	}
	c := tester{}
	t := c.condition(tree.Node)
	if t == nil {
		return nil, nil
	}
	return c.paths, t
}

// condition is a part of a test.
type condition = func(e func() *parley.Event, members [][]byte) (yes, ok bool)

// tester makes tests.
type tester struct{ paths [][]string }

// condition gives nil for what it does not know.
func (c *tester) condition(n ast.Node) condition {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if of := c.condition(n.Node); of != nil && (n.Operator == "not" || n.Operator == "!") {
			return func(e func() *parley.Event, m [][]byte) (bool, bool) {
				yes, ok := of(e, m)
				return !yes, ok
			}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&", "or", "||":
			return both(c.condition(n.Left), c.condition(n.Right), n.Operator == "or" || n.Operator == "||")
		case "==", "!=", "<", "<=", ">", ">=":
			return c.comparison(n)
		}
	}
	return nil
}

// both joins two conditions; the second counts unless the first says enough.
func both(a, b condition, enough bool) condition {
	if a == nil || b == nil {
		return nil
	}
	return func(e func() *parley.Event, m [][]byte) (bool, bool) {
		if yes, ok := a(e, m); !ok || yes == enough {
			return yes, ok
		}
		return b(e, m)
	}
}

// comparison compares a member or an attribute, on either side, with a constant.
func (c *tester) comparison(n *ast.BinaryNode) condition {
	of, with, operator := n.Left, n.Right, n.Operator
	if isConstant(of) {
		of, with, operator = with, of, turned(operator)
	}
	if attribute := attributeOf(of); attribute != nil {
		if want, is := with.(*ast.StringNode); is {
			return func(e func() *parley.Event, _ [][]byte) (bool, bool) {
				return holds(operator, compare(attribute(e()), want.Value)), true
			}
		}
		return nil
	}
	path := pathOf(of)
	if path == nil {
		return nil
	}
	order, isEqual := compareWith(with)
	if order == nil && isEqual == nil {
		return nil
	}
	at := c.member(path)
	if operator == "==" || operator == "!=" {
		return func(_ func() *parley.Event, m [][]byte) (bool, bool) {
			yes, ok := isEqual(m[at])
			return yes == (operator == "=="), ok
		}
	}
	if order == nil {
		return nil
	}
	return func(_ func() *parley.Event, m [][]byte) (bool, bool) {
		by, ok := order(m[at])
		return holds(operator, by), ok
	}
}

func (c *tester) member(path []string) int {
	for i := range c.paths {
		if slices.Equal(c.paths[i], path) {
			return i
		}
	}
	c.paths = append(c.paths, path)
	return len(c.paths) - 1
}

func isConstant(n ast.Node) bool {
	order, isEqual := compareWith(n)
	return order != nil || isEqual != nil
}

// turned gives an operator whose sides have changed places.
func turned(operator string) string {
	switch operator[0] {
	case '<':
		return ">" + operator[1:]
	case '>':
		return "<" + operator[1:]
	}
	return operator
}

func holds(operator string, by int) bool {
	switch operator {
	case "==":
		return by == 0
	case "!=":
		return by != 0
	case "<":
		return by < 0
	case "<=":
		return by <= 0
	case ">":
		return by > 0
	}
	return by >= 0
}

func compare[T string | int | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// attributeOf gives how to read an attribute of text, nil if the node is none.
func attributeOf(n ast.Node) func(*parley.Event) string {
	if m, is := n.(*ast.MemberNode); is {
		of, isName := m.Node.(*ast.IdentifierNode)
		name, isText := m.Property.(*ast.StringNode)
		if isName && isText && of.Value == "ext" && !m.Method {
			return func(e *parley.Event) string { return e.Extensions[name.Value] }
		}
		return nil
	}
	id, is := n.(*ast.IdentifierNode)
	if !is {
		return nil
	}
	return map[string]func(*parley.Event) string{
		"id":              func(e *parley.Event) string { return e.ID },
		"source":          func(e *parley.Event) string { return e.Source },
		"type":            func(e *parley.Event) string { return e.Type },
		"subject":         func(e *parley.Event) string { return e.Subject },
		"datacontenttype": func(e *parley.Event) string { return e.DataContentType },
		"dataschema":      func(e *parley.Event) string { return e.DataSchema },
	}[id.Value]
}

// pathOf gives the path of a member of the data, nil if the node is none.
func pathOf(n ast.Node) []string {
	m, is := n.(*ast.MemberNode)
	if !is || m.Optional || m.Method {
		return nil
	}
	name, is := m.Property.(*ast.StringNode)
	if !is {
		return nil
	}
	if id, is := m.Node.(*ast.IdentifierNode); is && id.Value == "data" {
		return []string{name.Value}
	}
	if above := pathOf(m.Node); above != nil {
		return append(above, name.Value)
	}
	return nil
}

// compareWith gives how JSON is compared with a constant, and how it is found equal;
// order is nil for what has none, and both are for what is no constant.
func compareWith(n ast.Node) (order func(value []byte) (by int, ok bool), isEqual func(value []byte) (yes, ok bool)) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return orderOfNumbers(n.Value, float64(n.Value))
	case *ast.FloatNode:
		return orderOfFloats(n.Value)
	case *ast.StringNode:
		return orderOfTexts([]byte(n.Value))
	case *ast.BoolNode:
		said := strconv.FormatBool(n.Value)
		return nil, func(value []byte) (yes, ok bool) { return string(value) == said, true }
	case *ast.NilNode:
		return nil, func(value []byte) (yes, ok bool) { return isNull(value), true }
	}
	return nil, nil
}

func isNull(value []byte) bool { return value == nil || value[0] == 'n' }

func isNumber(value []byte) bool { return value != nil && (value[0] == '-' || value[0]-'0' < 10) }

// small reads a number that is an int, and not so long that it may be none.
func small(value []byte) (n int, ok bool) {
	digits := value
	if digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if value[0] == '-' {
		n = -n
	}
	return n, true
}

// fraction reads a number that is no int.
func fraction(value []byte) (f float64, ok bool) {
	if !bytes.ContainsAny(value, ".eE") {
		return 0, false // it is a large one
	}
	f, err := strconv.ParseFloat(string(value), 64)
	return f, err == nil
}

// equalBy makes an order of values of one kind a question: those of another kind differ.
func equalBy(order func([]byte) (int, bool), isKind func([]byte) bool) func([]byte) (bool, bool) {
	return func(value []byte) (yes, ok bool) {
		if !isKind(value) {
			return false, true
		}
		by, ok := order(value)
		return by == 0, ok
	}
}

func orderOfNumbers(n int, f float64) (func([]byte) (int, bool), func([]byte) (bool, bool)) {
	order := func(value []byte) (by int, ok bool) {
		if !isNumber(value) {
			return 0, false
		}
		if a, ok := small(value); ok {
			return compare(a, n), true
		}
		a, ok := fraction(value)
		return compare(a, f), ok
	}
	return order, equalBy(order, isNumber)
}

func orderOfFloats(f float64) (func([]byte) (int, bool), func([]byte) (bool, bool)) {
	order := func(value []byte) (by int, ok bool) {
		if !isNumber(value) {
			return 0, false
		}
		if a, ok := small(value); ok {
			return compare(float64(a), f), true
		}
		a, ok := fraction(value)
		return compare(a, f), ok
	}
	return order, equalBy(order, isNumber)
}

// orderOfTexts compares texts that stand for themselves in JSON.
func orderOfTexts(want []byte) (func([]byte) (int, bool), func([]byte) (bool, bool)) {
	isText := func(value []byte) bool { return value != nil && value[0] == '"' }
	order := func(value []byte) (by int, ok bool) {
		if !isText(value) {
			return 0, false
		}
		text := value[1 : len(value)-1]
		return bytes.Compare(text, want), bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text)
	}
	return order, equalBy(order, isText)
}
