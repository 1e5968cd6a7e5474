package where

import (
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Fields says which members of the data an expression looks at, as paths from the
// top: of `data.total > 100 && data.customer.name != ""` these are total, and
// customer and name. Whoever evaluates it needs to decode no others: of an object one
// that has only those, if they are there, will do. With ok false it may look at all of the data.
func Fields(text string) (paths [][]string, ok bool) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, false // Compile says why
	}
	f := &fields{uses: map[ast.Node][]string{}}
	ast.Walk(&tree.Node, f)
	if f.all {
		return nil, false
	}
	for _, path := range f.uses {
		if len(path) == 0 {
			return nil, false
		}
		paths = append(paths, path)
	}
	slices.SortFunc(paths, slices.Compare[[]string])
	return slices.CompactFunc(paths, slices.Equal[[]string]), true
}

// fields follows the data into its members.
type fields struct {
	uses map[ast.Node][]string // what is the data, or a part of it at a path
	all  bool
}

// Visit implements ast.Visitor; parts come before what they are part of.
func (f *fields) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "data":
			f.uses[n] = []string{}
		case "$env": // has the data as a member, by any name
			f.all = true
		}
	case *ast.MemberNode:
		path, is := f.uses[n.Node]
		name, named := n.Property.(*ast.StringNode)
		if is && named {
			delete(f.uses, n.Node)
			f.uses[n] = append(slices.Clone(path), name.Value)
		}
	}
}
