package schema

import (
	"maps"
	"slices"
	"strconv"
)

// seen is which members or items of one value a schema has looked at
// (JSON Schema core §11).
type seen struct {
	members map[string]bool
	items   int          // the first so many
	more    map[int]bool // and these
}

func (s *seen) member(name string) {
	if s.members == nil {
		s.members = map[string]bool{}
	}
	s.members[name] = true
}

func (s *seen) item(i int) {
	if s.more == nil {
		s.more = map[int]bool{}
	}
	s.more[i] = true
}

func (s *seen) merge(o seen) {
	for name := range o.members {
		s.member(name)
	}
	for i := range o.more {
		s.item(i)
	}
	s.items = max(s.items, o.items)
}

func (e *eval) object(n *node, v map[string]any, path string, s *seen) *Failure {
	o := n.obj
	switch {
	case o.min > len(v):
		return n.fail(path, "minProperties", "has "+strconv.Itoa(len(v))+" members, fewer than "+strconv.Itoa(o.min))
	case o.max >= 0 && o.max < len(v):
		return n.fail(path, "maxProperties", "has "+strconv.Itoa(len(v))+" members, more than "+strconv.Itoa(o.max))
	}
	for _, name := range o.required {
		if _, ok := v[name]; !ok {
			return n.fail(path, "required", "lacks the member "+strconv.Quote(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.needs)) {
		if _, ok := v[name]; !ok {
			continue
		}
		for _, also := range o.needs[name] {
			if _, ok := v[also]; !ok {
				return n.fail(path, "dependentRequired", "lacks the member "+strconv.Quote(also)+", which "+strconv.Quote(name)+" needs")
			}
		}
	}
	if f := e.members(n, v, path, s); f != nil {
		return f
	}
	for _, name := range slices.Sorted(maps.Keys(o.dependent)) {
		if _, ok := v[name]; !ok {
			continue
		}
		if f := e.same(o.dependent[name], v, path, s); f != nil {
			return f
		}
	}
	return nil
}

// members looks at the members: those that are declared in order, then the rest.
func (e *eval) members(n *node, v map[string]any, path string, s *seen) *Failure {
	o := n.obj
	for _, name := range o.names {
		value, ok := v[name]
		if !ok {
			continue
		}
		if f := e.member(o.properties[name], value, path, name, s); f != nil {
			return f
		}
	}
	if o.patterns == nil && o.additional == nil && o.nameOf == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if o.nameOf != nil {
			if _, f := e.node(o.nameOf, name, path); f != nil {
				return n.fail(path, "propertyNames", "has a member "+strconv.Quote(name)+", which may not be called so: "+f.Text)
			}
		}
		_, declared := o.properties[name]
		for _, p := range o.patterns {
			if !e.match(p.pattern, name, path) {
				continue
			}
			declared = true
			if f := e.member(p.node, v[name], path, name, s); f != nil {
				return f
			}
		}
		if declared || o.additional == nil {
			continue
		}
		if o.additional.raw == nil && o.additional.never {
			return n.fail(path, "additionalProperties", "has a member "+strconv.Quote(name)+", which is not declared")
		}
		if f := e.member(o.additional, v[name], path, name, s); f != nil {
			return f
		}
	}
	return nil
}

func (e *eval) member(sub *node, value any, path, name string, s *seen) *Failure {
	if e.doc.unevaluated {
		s.member(name)
	}
	_, f := e.node(sub, value, child(path, name))
	return f
}

func (e *eval) array(n *node, v []any, path string, s *seen) *Failure {
	a := n.arr
	switch {
	case a.min > len(v):
		return n.fail(path, "minItems", "has "+strconv.Itoa(len(v))+" items, fewer than "+strconv.Itoa(a.min))
	case a.max >= 0 && a.max < len(v):
		return n.fail(path, "maxItems", "has "+strconv.Itoa(len(v))+" items, more than "+strconv.Itoa(a.max))
	}
	for i, item := range v {
		sub := a.items
		if i < len(a.prefix) {
			sub = a.prefix[i]
		}
		if sub == nil {
			break
		}
		s.items = i + 1
		if _, f := e.node(sub, item, child(path, strconv.Itoa(i))); f != nil {
			return f
		}
	}
	if a.unique {
		if f := e.unique(n, v, path); f != nil {
			return f
		}
	}
	if a.contains == nil {
		return nil
	}
	return e.contains(n, v, path, s)
}

func (e *eval) unique(n *node, v []any, path string) *Failure {
	first := make(map[string]int, len(v))
	for i, item := range v {
		written := canon(item)
		if !e.spend(1+len(written)/64, path) {
			return e.spent
		}
		if j, twice := first[written]; twice {
			return n.fail(path, "uniqueItems", "has equal items "+strconv.Itoa(j)+" and "+strconv.Itoa(i))
		}
		first[written] = i
	}
	return nil
}

func (e *eval) contains(n *node, v []any, path string, s *seen) *Failure {
	a, found := n.arr, 0
	for i, item := range v {
		if _, f := e.node(a.contains, item, path); f == nil {
			found++
			if e.doc.unevaluated {
				s.item(i)
			}
		}
	}
	switch {
	case a.minHas < 0 && found == 0:
		return n.fail(path, "contains", "has no item of the kind that it has to contain")
	case found < a.minHas:
		return n.fail(path, "minContains", "has "+strconv.Itoa(found)+" items of a kind, fewer than "+strconv.Itoa(a.minHas))
	case a.maxHas >= 0 && found > a.maxHas:
		return n.fail(path, "maxContains", "has "+strconv.Itoa(found)+" items of a kind, more than "+strconv.Itoa(a.maxHas))
	}
	return nil
}

// rest looks at what no other keyword has looked at.
func (e *eval) rest(n *node, v any, path string, s *seen) *Failure {
	switch v := v.(type) {
	case map[string]any:
		if n.obj == nil || n.obj.unevaluated == nil {
			return nil
		}
		sub := n.obj.unevaluated
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if s.members[name] {
				continue
			}
			if sub.raw == nil && sub.never {
				return n.fail(path, "unevaluatedProperties", "has a member "+strconv.Quote(name)+", which is not declared")
			}
			if f := e.member(sub, v[name], path, name, s); f != nil {
				return f
			}
		}
	case []any:
		if n.arr == nil || n.arr.unevaluated == nil {
			return nil
		}
		for i, item := range v {
			if i < s.items || s.more[i] {
				continue
			}
			if _, f := e.node(n.arr.unevaluated, item, child(path, strconv.Itoa(i))); f != nil {
				return f
			}
		}
		s.items = len(v)
	}
	return nil
}
