package schema

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is one difference between two schemas, in words.
type Change struct {
	// At is the field that it is about, such as order.items[].price; "" is the whole
	// data.
	At string `json:"at"`
	// Text says what is different, such as "added required field price (number)".
	Text string `json:"text"`
}

// String writes a change on one line.
func (c Change) String() string {
	if c.At == "" {
		return c.Text
	}
	return c.At + ": " + c.Text
}

// MaxChanges bounds what Diff gives.
const MaxChanges = 1000

// Diff tells in words what is different in a schema. Errors: Invalid and TooLarge,
// for one that cannot be.
func Diff(old, fresh []byte) ([]Change, error) {
	a, err := compileField("old", old)
	if err != nil {
		return nil, err
	}
	b, err := compileField("new", fresh)
	if err != nil {
		return nil, err
	}
	d := &differ{seen: map[[2]*node]bool{}}
	d.nodes("", a.root, b.root)
	return d.changes, nil
}

type differ struct {
	changes []Change
	seen    map[[2]*node]bool
}

func (d *differ) add(at, text string) {
	if len(d.changes) < MaxChanges {
		d.changes = append(d.changes, Change{at, text})
	}
}

// target follows a node that only refers to another.
func (n *node) target() *node {
	for n.ref != nil && len(n.words()) == 1 {
		n = n.ref
	}
	return n
}

func (d *differ) nodes(at string, a, b *node) {
	a, b = a.target(), b.target()
	pair := [2]*node{a, b}
	if d.seen[pair] || len(d.changes) == MaxChanges {
		return
	}
	d.seen[pair] = true
	if a.raw == nil || b.raw == nil {
		if describe(a) != describe(b) {
			d.add(at, "changed from "+describe(a)+" to "+describe(b))
		}
		return
	}
	d.types(at, a, b)
	d.enums(at, a, b)
	d.fields(at, a, b)
	for _, word := range changed(a, b) {
		d.word(at, word, a, b)
	}
}

// told are the keywords that have words of their own.
var told = []string{"type", "enum", "properties", "required"}

// more are the keywords beyond validity that people want to hear of.
var more = []string{"format", "default", "title", "description", "deprecated"}

// changed gives the keywords that one of the schemas has, but for those that are
// told apart, sorted.
func changed(a, b *node) (out []string) {
	for _, word := range slices.Concat(validity, more) {
		_, in := a.raw[word]
		_, and := b.raw[word]
		if (in || and) && !slices.Contains(told, word) {
			out = append(out, word)
		}
	}
	return out
}

func (d *differ) types(at string, a, b *node) {
	if one, other := a.types, b.types; one != other {
		d.add(at, "type changed from "+typeName(one)+" to "+typeName(other))
	}
}

func typeName(k kinds) string {
	if k == 0 || k == kAll {
		return "anything"
	}
	return k.String()
}

// describe names what a schema is about.
func describe(n *node) string {
	n = n.target()
	switch {
	case n.never:
		return "nothing"
	case n.raw == nil:
		return "anything"
	case n.types == 0 && n.allowed != nil:
		return n.allowed.keyword + " " + brief(n.raw[n.allowed.keyword])
	}
	return typeName(n.types)
}

func (d *differ) enums(at string, a, b *node) {
	one, had := a.raw["enum"].([]any)
	other, has := b.raw["enum"].([]any)
	switch {
	case had && !has:
		d.add(at, "values are not listed any more: "+brief(one))
	case has && !had:
		d.add(at, "values are listed now: "+brief(other))
	case had && has:
		if gone := without(one, other); len(gone) > 0 {
			d.add(at, "removed values "+brief(gone))
		}
		if come := without(other, one); len(come) > 0 {
			d.add(at, "added values "+brief(come))
		}
	}
}

// without gives the values of a that are not in b.
func without(a, b []any) (out []any) {
	in := newAllowed("", b)
	for _, v := range a {
		if !in.canon[canon(v)] {
			out = append(out, v)
		}
	}
	return out
}

func (d *differ) fields(at string, a, b *node) {
	one, other := a.obj, b.obj
	if one == nil {
		one = &objects{}
	}
	if other == nil {
		other = &objects{}
	}
	names := slices.Concat(one.names, one.required, other.names, other.required)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, is := one.properties[name], other.properties[name]
		needed, needs := slices.Contains(one.required, name), slices.Contains(other.required, name)
		switch {
		case was == nil && is != nil:
			d.add(at, "added "+optional(needs)+" field "+name+" ("+describe(is)+")")
			continue
		case was != nil && is == nil:
			d.add(at, "removed "+optional(needed)+" field "+name+" ("+describe(was)+")")
			continue
		case needs && !needed:
			d.add(at, "field "+name+" is required now")
		case needed && !needs:
			d.add(at, "field "+name+" is optional now")
		}
		if was != nil && is != nil {
			d.nodes(below(at, name), was, is)
		}
	}
}

func optional(required bool) string {
	if required {
		return "required"
	}
	return "optional"
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// word tells of a keyword that has no words of its own, or goes into its schemas.
func (d *differ) word(at, word string, a, b *node) {
	one, two := a.raw[word], b.raw[word]
	n, m := a.doc.nodes[child(a.path, word)], b.doc.nodes[child(b.path, word)]
	switch {
	case word == "additionalProperties" && closing(n) != closing(m):
		if closing(m) {
			d.add(at, "fields that are not declared are refused now")
		} else {
			d.add(at, "fields that are not declared are taken now")
		}
	case word == "$ref" && a.ref != nil && b.ref != nil:
		d.nodes(at, a.ref, b.ref)
	case n != nil && m != nil:
		d.nodes(at+inside[word], n, m)
	case holdsSchemas[word] && slices.Equal(tokens(one), tokens(two)):
		for _, token := range tokens(one) {
			d.nodes(at+"("+word+" "+token+")", a.doc.nodes[child(child(a.path, word), token)], b.doc.nodes[child(child(b.path, word), token)])
		}
	case canon(one) == canon(two):
	case one == nil:
		d.add(at, word+" added: "+brief(two))
	case two == nil:
		d.add(at, word+" removed, was "+brief(one))
	case holdsSchemas[word]:
		d.add(at, word+" changed: it has "+strconv.Itoa(len(tokens(one)))+" and then "+strconv.Itoa(len(tokens(two)))+" schemas"+renamed(one, two))
	default:
		d.add(at, word+" changed from "+brief(one)+" to "+brief(two))
	}
}

// renamed names the members that came and went.
func renamed(one, two any) string {
	a, ok := one.(map[string]any)
	b, and := two.(map[string]any)
	if !ok || !and {
		return ""
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if _, there := b[name]; !there {
			out = append(out, "-"+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if _, there := a[name]; !there {
			out = append(out, "+"+name)
		}
	}
	return ": " + strings.Join(out, ", ")
}

// closing says whether a schema takes nothing.
func closing(n *node) bool { return n != nil && n.never }

// inside is how fields below a keyword are written.
var inside = map[string]string{
	"items": "[]", "contains": "[]", "additionalProperties": ".*", "propertyNames": "(name)", "not": "(not)", "if": "(if)", "then": "(then)", "else": "(else)",
	"unevaluatedProperties": ".*", "unevaluatedItems": "[]",
}
