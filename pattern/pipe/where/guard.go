package where

import (
	"errors"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/regex"
)

// tank is what an expression may spend on one event.
type tank struct {
	left   int
	weight int // of a step that does more than compare with constants
	meter  regex.Meter
}

var errEmpty = errors.New("it takes more than a million steps")

func (t *tank) take(n int) error {
	if t.left -= n; t.left < 0 {
		return errEmpty
	}
	return nil
}

// The functions that a guard puts into an expression.
const (
	spendName = "__spend"
	sizedName = "__sized"
	matchName = "__match"
)

// spend pays for one step of a predicate: its tank, whether it is a heavy one, and
// its value, which is given back.
func spend(args ...any) (any, error) {
	t, heavy := args[0].(*tank), args[1].(bool)
	n := 1
	if heavy {
		n = t.weight
	}
	return args[2], t.take(n)
}

// sized pays for a text that was put together.
func sized(args ...any) (any, error) {
	text, ok := args[1].(string)
	if !ok {
		return args[1], nil
	}
	if len(text) > maxText {
		return nil, errors.New("a text has more than 1 MiB")
	}
	return text, args[0].(*tank).take(len(text) / 100)
}

// matches does what the operator does: nil matches nothing. known has the expressions
// that are constants.
func (g *guard) matches(args ...any) (any, error) {
	t := args[0].(*tank)
	if args[1] == nil || args[2] == nil {
		return false, nil
	}
	text, isText := args[1].(string)
	pattern, isPattern := args[2].(string)
	if !isText || !isPattern {
		return nil, errors.New("matches needs a text on both sides")
	}
	r := g.known[pattern]
	if r == nil {
		if err := t.take(compiling + 10*len(pattern)); err != nil {
			return nil, err
		}
		var err error
		if r, err = regex.Compile(pattern); err != nil {
			return nil, err
		}
	}
	return r.MatchString(&t.meter, text)
}

// compiling is what it costs to read a regular expression that is no constant, but for
// its length: its repetitions make at most regex.MaxProgram steps of it.
const compiling = 1000

// guard refuses what has no bound, and puts a toll on what has to be counted.
type guard struct {
	err   error
	known map[string]*regex.Regex
}

// Visit implements ast.Visitor; parts come before what they are part of.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		g.refuse("variables and ; are not part of an expression", "write it without them, or use map before it")
	case *ast.IdentifierNode:
		if strings.HasPrefix(n.Value, "__") && n.Value != "__tank" && n.Value != spendName && n.Value != sizedName && n.Value != matchName {
			g.refuse("names that begin with __ are not for use", "use another name")
		}
	case *ast.PredicateNode:
		n.Node = call(spendName, n.Node, &ast.BoolNode{Value: !light(n.Node)}, n.Node)
	case *ast.BinaryNode:
		if n.Operator == "matches" {
			g.pattern(n.Right)
			ast.Patch(node, call(matchName, n, n.Left, n.Right))
			return
		}
		if n.Operator == "+" && !constant(n.Left) && !constant(n.Right) || n.Operator == "+" && isText(n) {
			ast.Patch(node, call(sizedName, n, n))
		}
	}
}

// pattern reads a regular expression if it is a constant.
func (g *guard) pattern(n ast.Node) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return
	}
	r, err := regex.Compile(text.Value)
	if err != nil {
		g.refuse("matches "+strconv.Quote(shortened(text.Value))+": "+err.Error(), "make it simpler; the syntax is RE2's")
		return
	}
	if g.known == nil {
		g.known = map[string]*regex.Regex{}
	}
	g.known[text.Value] = r
}

// shortened keeps a message readable.
func shortened(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return text
}

func (g *guard) refuse(what, fix string) {
	if g.err == nil {
		g.err = parley.BadField("expression", what, fix)
	}
}

func isText(n *ast.BinaryNode) bool {
	_, left := n.Left.(*ast.StringNode)
	_, right := n.Right.(*ast.StringNode)
	return left || right
}

func constant(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode, *ast.StringNode:
		return true
	}
	return false
}

// call calls one of our functions with the tank, at the place of a node.
func call(name string, at ast.Node, args ...ast.Node) ast.Node {
	all := append([]ast.Node{&ast.IdentifierNode{Value: "__tank"}}, args...)
	c := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: all}
	c.SetLocation(at.Location())
	return c
}

// light says that a predicate only looks at members and compares them with
// constants, whose size is ours.
func light(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.PointerNode, *ast.IdentifierNode:
		return true
	case *ast.MemberNode:
		return light(n.Node) && constant(n.Property)
	case *ast.ChainNode:
		return light(n.Node)
	case *ast.UnaryNode:
		return light(n.Node)
	case *ast.CallNode: // a predicate within has paid for itself
		id, ok := n.Callee.(*ast.IdentifierNode)
		return ok && id.Value == spendName
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&", "or", "||", "not":
			return light(n.Left) && light(n.Right)
		case "==", "!=", "<", ">", "<=", ">=", "startsWith", "endsWith":
			return light(n.Left) && constant(n.Right) || constant(n.Left) && light(n.Right)
		}
		return false
	}
	return constant(n)
}
