package schema

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
)

// parser reads the keywords of one node. It keeps its first error.
type parser struct {
	d   *document
	n   *node
	err error
}

func (p *parser) fail(keyword, text string) {
	if p.err == nil {
		p.err = refuse(child(p.n.path, keyword), text)
	}
}

// get gives the value of a keyword while nothing has failed.
func (p *parser) get(keyword string) (any, bool) {
	v, ok := p.n.raw[keyword]
	return v, ok && p.err == nil
}

// counted reads a count; there says that the keyword is.
func (p *parser) counted(keyword string) (n int, there bool) {
	v, there := p.get(keyword)
	if !there {
		return noCount, false
	}
	n, ok := count(v)
	if !ok {
		p.fail(keyword, "is "+brief(v)+", not a whole number of 0 or more")
	}
	return n, ok
}

// list reads an array of strings.
func (p *parser) list(path string, v any) []string {
	items, ok := v.([]any)
	var out []string
	for _, item := range items {
		text, isText := item.(string)
		ok = ok && isText
		out = append(out, text)
	}
	if !ok {
		p.fail(path, "is "+brief(v)+", not an array of strings")
	}
	return out
}

// schema reads a keyword that is one schema; nil when it is absent.
func (p *parser) schema(keyword string) *node {
	v, ok := p.get(keyword)
	if !ok {
		return nil
	}
	n, err := p.d.parse(v, child(p.n.path, keyword))
	p.err = err
	return n
}

// schemaList reads a keyword that is an array of schemas.
func (p *parser) schemaList(keyword string) []*node {
	v, ok := p.get(keyword)
	if !ok {
		return nil
	}
	items, ok := v.([]any)
	if !ok || len(items) == 0 {
		p.fail(keyword, "is "+brief(v)+", not an array of schemas")
	}
	var out []*node
	for i, item := range items {
		n, err := p.d.parse(item, child(child(p.n.path, keyword), strconv.Itoa(i)))
		if err != nil {
			p.err = err
			return nil
		}
		out = append(out, n)
	}
	return out
}

// schemas reads a keyword that is schemas by name.
func (p *parser) schemas(keyword string) map[string]*node {
	v, ok := p.get(keyword)
	if !ok {
		return nil
	}
	members, ok := v.(map[string]any)
	if !ok {
		p.fail(keyword, "is "+brief(v)+", not an object of schemas")
		return nil
	}
	out := make(map[string]*node, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		n, err := p.d.parse(members[name], child(child(p.n.path, keyword), name))
		if err != nil {
			p.err = err
			return nil
		}
		out[name] = n
	}
	return out
}

// values reads what is asked of values of any kind, and of numbers.
func (p *parser) values() {
	if v, ok := p.get("type"); ok {
		names := []string{""}
		if text, one := v.(string); one {
			names[0] = text
		} else {
			names = p.list("type", v)
		}
		for _, name := range names {
			k := kindsNamed(name)
			if k == 0 {
				p.fail("type", "is "+brief(v)+"; types are null, boolean, number, integer, string, array and object")
			}
			p.n.types |= k
		}
	}
	if v, ok := p.get("enum"); ok {
		values, isList := v.([]any)
		if !isList {
			p.fail("enum", "is "+brief(v)+", not an array")
		}
		p.n.allowed = newAllowed("enum", values)
	}
	if v, ok := p.get("const"); ok {
		p.constant(v)
	}
	var n numbers
	there := false
	for _, each := range []struct {
		name string
		to   **big.Rat
	}{{"minimum", &n.min}, {"maximum", &n.max}, {"exclusiveMinimum", &n.above}, {"exclusiveMaximum", &n.below}, {"multipleOf", &n.multiple}} {
		name, to := each.name, each.to
		v, ok := p.get(name)
		if !ok {
			continue
		}
		text, isNumber := v.(json.Number)
		if !isNumber || name == "multipleOf" && number(text).Sign() <= 0 {
			p.fail(name, "is "+brief(v)+", not a number that it could be")
			continue
		}
		*to, there = number(text), true
	}
	if there {
		p.n.num = &n
	}
}

// constant narrows an enum that is there too: both hold.
func (p *parser) constant(v any) {
	one := newAllowed("const", []any{v})
	if p.n.allowed != nil && !p.n.allowed.canon[canon(v)] {
		one.values, one.canon = nil, nil
	}
	p.n.allowed = one
}

func newAllowed(keyword string, values []any) *allowed {
	a := &allowed{keyword, values, make(map[string]bool, len(values))}
	for _, v := range values {
		a.canon[canon(v)] = true
	}
	return a
}

func (p *parser) strings() {
	s := texts{}
	var a, b, c bool
	s.min, a = p.counted("minLength")
	s.max, b = p.counted("maxLength")
	if v, ok := p.get("pattern"); ok {
		text, isText := v.(string)
		if !isText {
			p.fail("pattern", "is "+brief(v)+", not a string")
			return
		}
		s.pattern, c = p.compile("pattern", text), true
	}
	if a || b || c {
		p.n.text = &s
	}
}

func (p *parser) compile(keyword, text string) *pattern {
	re, wrong := compilePattern(text)
	if wrong != "" {
		p.fail(keyword, wrong)
		return nil
	}
	if p.d.steps += re.size; p.d.steps > 10*maxProgram {
		p.fail(keyword, "makes the patterns of the schema too large together")
	}
	return re
}

func (p *parser) arrays() {
	a := arrays{}
	a.min, _ = p.counted("minItems")
	a.max, _ = p.counted("maxItems")
	a.minHas, _ = p.counted("minContains")
	a.maxHas, _ = p.counted("maxContains")
	if v, ok := p.get("uniqueItems"); ok {
		if a.unique, ok = v.(bool); !ok {
			p.fail("uniqueItems", "is "+brief(v)+", not true or false")
		}
	}
	a.prefix = p.schemaList("prefixItems")
	a.items = p.schema("items")
	a.contains = p.schema("contains")
	a.unevaluated = p.schema("unevaluatedItems")
	p.d.unevaluated = p.d.unevaluated || a.unevaluated != nil
	if a.min >= 0 || a.max >= 0 || a.unique || a.prefix != nil || a.items != nil || a.contains != nil || a.unevaluated != nil {
		p.n.arr = &a
	}
}

func (p *parser) objects() {
	o := objects{}
	o.min, _ = p.counted("minProperties")
	o.max, _ = p.counted("maxProperties")
	if v, ok := p.get("required"); ok {
		o.required = p.list("required", v)
		slices.Sort(o.required)
	}
	o.properties = p.schemas("properties")
	o.names = slices.Sorted(maps.Keys(o.properties))
	byPattern := p.schemas("patternProperties")
	for _, text := range slices.Sorted(maps.Keys(byPattern)) {
		o.patterns = append(o.patterns, patterned{p.compile("patternProperties", text), byPattern[text]})
	}
	o.additional = p.schema("additionalProperties")
	o.nameOf = p.schema("propertyNames")
	o.unevaluated = p.schema("unevaluatedProperties")
	p.d.unevaluated = p.d.unevaluated || o.unevaluated != nil
	o.dependent = p.schemas("dependentSchemas")
	p.needs(&o)
	if p.err == nil && !o.empty() {
		p.n.obj = &o
	}
}

func (p *parser) needs(o *objects) {
	v, ok := p.get("dependentRequired")
	if !ok {
		return
	}
	members, isObject := v.(map[string]any)
	if !isObject {
		p.fail("dependentRequired", "is "+brief(v)+", not an object")
	}
	o.needs = make(map[string][]string, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o.needs[name] = p.list("dependentRequired", members[name])
	}
}

func (o *objects) empty() bool {
	return o.min < 0 && o.max < 0 && len(o.required) == 0 && len(o.properties) == 0 && o.patterns == nil &&
		o.additional == nil && o.nameOf == nil && o.unevaluated == nil && o.needs == nil && len(o.dependent) == 0
}

func (p *parser) branches() {
	b := &p.n.branch
	b.all = p.schemaList("allOf")
	b.any = p.schemaList("anyOf")
	b.one = p.schemaList("oneOf")
	b.not = p.schema("not")
	b.cond, b.yes, b.otherwise = p.schema("if"), p.schema("then"), p.schema("else")
	if b.cond == nil { // then and else say nothing without it
		b.yes, b.otherwise = nil, nil
	}
}
