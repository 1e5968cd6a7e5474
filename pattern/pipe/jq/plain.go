package jq

import (
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// plain is a program, or a part of one, that needs no interpreter: a constant, a
// member of the input, or an object of such.
type plain struct {
	constant any
	path     []string // nil = it is no member
	names    []string
	members  []plain // as many as names; nil = it is no object
}

// run does what the program does; not ok means that it fails, and the interpreter
// knows how to say so.
func (p plain) run(input any) (v any, ok bool) {
	switch {
	case p.path != nil:
		for _, name := range p.path {
			switch object := input.(type) {
			case map[string]any:
				input = object[name]
			case nil: // a member of null is null
			default:
				return nil, false
			}
		}
		return input, true
	case p.members != nil:
		object := make(map[string]any, len(p.names))
		for i, m := range p.members {
			if object[p.names[i]], ok = m.run(input); !ok {
				return nil, false
			}
		}
		return object, true
	}
	return p.constant, true
}

// plainOf recognizes a program.
func plainOf(q *gojq.Query) (plain, bool) {
	if q == nil || q.Term == nil || q.Meta != nil || len(q.Imports)+len(q.FuncDefs)+len(q.Patterns) > 0 || q.Left != nil || q.Right != nil {
		return plain{}, false
	}
	t := q.Term
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeIndex:
		return pathOf(t)
	}
	if len(t.SuffixList) > 0 {
		return plain{}, false
	}
	switch t.Type {
	case gojq.TermTypeObject:
		return objectOf(t.Object)
	case gojq.TermTypeNull:
		return plain{}, true
	case gojq.TermTypeTrue, gojq.TermTypeFalse:
		return plain{constant: t.Type == gojq.TermTypeTrue}, true
	case gojq.TermTypeString:
		return plain{constant: t.Str.Str}, len(t.Str.Queries) == 0
	case gojq.TermTypeNumber:
		n, err := strconv.Atoi(t.Number)
		return plain{constant: n}, err == nil
	}
	return plain{}, false
}

func pathOf(t *gojq.Term) (plain, bool) {
	p := plain{path: []string{}}
	indexes := []*gojq.Index{t.Index}
	if t.Index == nil {
		indexes = nil
	}
	for _, s := range t.SuffixList {
		if s.Index == nil || s.Iter || s.Optional {
			return plain{}, false
		}
		indexes = append(indexes, s.Index)
	}
	for _, i := range indexes {
		switch {
		case i.IsSlice || i.Start != nil || i.End != nil || i.Str != nil && len(i.Str.Queries) > 0:
			return plain{}, false
		case i.Str != nil:
			p.path = append(p.path, i.Str.Str)
		default:
			p.path = append(p.path, i.Name)
		}
	}
	return p, true
}

func objectOf(o *gojq.Object) (plain, bool) {
	p := plain{members: []plain{}}
	for _, kv := range o.KeyVals {
		name := kv.Key
		switch {
		case kv.KeyQuery != nil || strings.HasPrefix(name, "$") || kv.KeyString != nil && len(kv.KeyString.Queries) > 0:
			return plain{}, false
		case kv.KeyString != nil:
			name = kv.KeyString.Str
		}
		value, ok := plain{path: []string{name}}, true // {id} is {id: .id}
		if kv.Val != nil {
			value, ok = plainOf(kv.Val)
		}
		if !ok {
			return plain{}, false
		}
		p.names, p.members = append(p.names, name), append(p.members, value)
	}
	return p, true
}
