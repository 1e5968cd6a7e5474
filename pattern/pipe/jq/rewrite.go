package jq

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// bounded compiles a program whose single steps are bounded: operators are exchanged
// for functions that look at their operands first, and functions for those of the
// prelude.
func bounded(text string) (*gojq.Code, error) {
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	r := rewriter{}
	if r.walk(reflect.ValueOf(query)); r.err != nil {
		return nil, r.err
	}
	functions, err := definitions(sizes + searches)
	if err != nil {
		return nil, err
	}
	inner := rewriter{ours: true}
	inner.walk(reflect.ValueOf(functions))
	query.FuncDefs = append(functions, query.FuncDefs...)
	plus, err := operation("+")
	if err != nil {
		return nil, err
	}
	times, err := operation("*")
	if err != nil {
		return nil, err
	}
	s := &searcher{}
	return gojq.Compile(query,
		gojq.WithFunction("__plus", 2, 2, plus), gojq.WithFunction("__times", 2, 2, times),
		gojq.WithFunction("__sized", 0, 0, sized), gojq.WithFunction("__joins", 1, 1, joins),
		gojq.WithFunction("__turns", 0, 0, turns), gojq.WithFunction("__place", 1, 1, place), gojq.WithFunction("__search", 3, 3, s.search),
	)
}

// operation makes an operator that looks at its operands before jq does it.
func operation(operator string) (func(any, []any) any, error) {
	query, err := gojq.Parse(".[0] " + operator + " .[1]")
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query)
	return func(_ any, args []any) any {
		l, r := args[0], args[1]
		if v, ok := quick(operator, l, r); ok {
			return v
		}
		if err := fits(operator, l, r); err != nil {
			return err
		}
		v, _ := code.Run([]any{l, r}).Next()
		return v
	}, err
}

func definitions(text string) ([]*gojq.FuncDef, error) {
	query, err := gojq.Parse(text + " .")
	if err != nil {
		return nil, err
	}
	return query.FuncDefs, nil
}

// rewriter exchanges parts of a program.
type rewriter struct {
	ours bool // names of ours may be used
	err  error
}

var (
	queryType = reflect.TypeFor[*gojq.Query]()
	termType  = reflect.TypeFor[*gojq.Term]()
	funcType  = reflect.TypeFor[*gojq.Func]()
	defType   = reflect.TypeFor[*gojq.FuncDef]()
)

// walk goes through a syntax tree, which is structs, pointers and slices; parts come
// before what they are part of.
func (r *rewriter) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		r.walk(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			r.walk(v.Index(i))
		}
		return
	case reflect.Struct:
		for _, field := range v.Fields() {
			r.walk(field)
		}
		return
	default:
		return
	}
	switch v.Type() {
	case queryType:
		r.query(v.Interface().(*gojq.Query))
	case termType:
		r.term(v.Interface().(*gojq.Term))
	case funcType:
		r.name(v.Interface().(*gojq.Func).Name)
	case defType:
		r.name(v.Interface().(*gojq.FuncDef).Name)
	}
}

// name refuses names of ours, and those behind which the operators and searches of jq
// are.
func (r *rewriter) name(name string) {
	if r.ours || r.err != nil {
		return
	}
	if strings.HasPrefix(name, "__") || slices.Contains([]string{"_add", "_multiply", "_match", "_assign", "_modify"}, name) {
		r.err = fmt.Errorf("the function %s is not for use: take another name", name)
	}
}

func (r *rewriter) query(q *gojq.Query) {
	r.sum(q)
	switch q.Op {
	case gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
		r.update(q)
	case gojq.OpPipe:
		if p := q.Right; len(q.Patterns) == 1 && q.Patterns[0].Name == by && p.Op == gojq.OpModify {
			r.update(p)
		}
	}
}

// update looks at the places that are set first, unless they are members by name.
func (r *rewriter) update(q *gojq.Query) {
	if p, plain := plainOf(q.Left); r.ours || plain && p.path != nil {
		return
	}
	set := &gojq.Query{Left: q.Left, Op: q.Op, Right: q.Right}
	*q = gojq.Query{FuncDefs: q.FuncDefs, Meta: q.Meta, Imports: q.Imports, Left: &gojq.Query{Term: call("__paths", q.Left)}, Op: gojq.OpPipe, Right: set}
}

// by is what a place is updated by.
const by = "$__by"

// sum exchanges + and *.
func (r *rewriter) sum(q *gojq.Query) {
	name := ""
	switch q.Op {
	case gojq.OpAdd, gojq.OpUpdateAdd:
		name = "__plus"
	case gojq.OpMul, gojq.OpUpdateMul:
		name = "__times"
	default:
		return
	}
	if isNumber(q.Left) && q.Op == gojq.OpAdd || isNumber(q.Right) && name == "__plus" {
		return
	}
	to := gojq.Query{FuncDefs: q.FuncDefs, Meta: q.Meta, Imports: q.Imports}
	if q.Op == gojq.OpAdd || q.Op == gojq.OpMul {
		to.Term = call(name, q.Left, q.Right)
	} else {
		update := &gojq.Query{Left: q.Left, Op: gojq.OpModify, Right: &gojq.Query{Term: call(name,
			&gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}, &gojq.Query{Term: call(by)})}}
		to.Left, to.Op, to.Patterns, to.Right = q.Right, gojq.OpPipe, []*gojq.Pattern{{Name: by}}, update
	}
	*q = to
}

func call(name string, args ...*gojq.Query) *gojq.Term {
	return &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}}
}

// isNumber says that a part is a number as it is written: what is added to it
// grows no more than the program does steps.
func isNumber(q *gojq.Query) bool {
	return q.Term != nil && len(q.Term.SuffixList) == 0 && q.Term.Type == gojq.TermTypeNumber
}

// term makes sums of texts with values in them, and looks at what a format is made of.
func (r *rewriter) term(t *gojq.Term) {
	switch {
	case t.Str != nil && len(t.Str.Queries) > 0:
		var sum *gojq.Query
		for _, part := range t.Str.Queries {
			if part.Term == nil || part.Term.Str == nil {
				how := &gojq.Query{Term: call("tostring")}
				if t.Format != "" {
					how = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFormat, Format: t.Format}}
					r.term(how.Term)
				}
				part = &gojq.Query{Left: part, Op: gojq.OpPipe, Right: how}
			}
			if sum != nil {
				part = &gojq.Query{Term: call("__plus", sum, part)}
			}
			sum = part
		}
		*t = gojq.Term{Type: gojq.TermTypeQuery, Query: sum, SuffixList: t.SuffixList}
	case t.Type == gojq.TermTypeFormat && t.Str == nil:
		*t = gojq.Term{Type: gojq.TermTypeQuery, SuffixList: t.SuffixList, Query: &gojq.Query{
			Left: &gojq.Query{Term: call("__sized")}, Op: gojq.OpPipe,
			Right: &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFormat, Format: t.Format}},
		}}
	}
}
