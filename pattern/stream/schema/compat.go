package schema

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Reason is one place where a schema is not shown to take all that another takes.
type Reason struct {
	// Path is the JSON Pointer of the keyword in the schema that has to take more.
	Path string `json:"path"`
	// Keyword is the last token of Path.
	Keyword string `json:"keyword"`
	// Text says what is in the way, for people.
	Text string `json:"text"`
	// Undecided says that the values may all be taken, but that nothing here can
	// prove it.
	Undecided bool `json:"undecided,omitempty"`
}

// Error implements error.
func (r Reason) Error() string {
	if r.Undecided {
		return at(r.Path) + ": cannot be decided: " + r.Text
	}
	return at(r.Path) + ": " + r.Text
}

// Bounds of a proof.
const (
	maxProof   = 500_000 // steps
	maxReasons = 20
	maxEmpty   = 8 // levels at which values are shown not to exist
)

// takesAll proves that every value that a takes is taken by b too, or gives what is
// in the way of the proof. It never errs on the side of yes: whatever a says beyond
// what is understood here only makes a smaller, and whatever b says so is undecided.
func takesAll(a, b *document) []Reason {
	p := &prover{steps: maxProof, left: a, open: map[string]bool{}}
	reasons := p.sub(values{nodes: []*node{a.root}, kinds: kAll}, b.root)
	if p.steps < 0 { // whatever was found is not all
		return unknown(b.root, "", "the schemas are too large to be compared")
	}
	return reasons
}

// values are those that all of some schemas take, of some kinds.
type values struct {
	nodes []*node // with what they refer to, once they are spread
	kinds kinds
	split []*node // whose alternatives are among the nodes already
}

type prover struct {
	steps int
	left  *document
	open  map[string]bool // under proof: assumed, since it can come again only one level deeper
}

func why(b *node, keyword, text string) []Reason {
	return []Reason{{Path: child(b.path, keyword), Keyword: keyword, Text: text}}
}

func unknown(b *node, keyword, text string) []Reason {
	path := b.path
	if keyword != "" {
		path = child(path, keyword)
	}
	return []Reason{{Path: path, Keyword: keyword, Text: text, Undecided: true}}
}

// with gives the values that further schemas take too.
func (l values) with(more ...*node) values {
	l.nodes = append(slices.Clone(l.nodes), more...)
	return l.spread()
}

// spread adds what the schemas refer to, and narrows the kinds. Nothing else of a
// schema has to be known for it to hold.
func (l values) spread() values {
	seen := make(map[*node]bool, len(l.nodes))
	var all []*node
	var visit func(n *node)
	visit = func(n *node) {
		if n == nil || seen[n] || n.raw == nil && !n.never {
			return
		}
		seen[n] = true
		all = append(all, n)
		if n.never {
			l.kinds = 0
		}
		if n.types != 0 {
			l.kinds &= n.types
		}
		visit(n.ref)
		for _, sub := range n.branch.all {
			visit(sub)
		}
	}
	for _, n := range l.nodes {
		visit(n)
	}
	l.nodes = all
	return l
}

// key names a proof.
func (p *prover) key(l values, b *node) string {
	name := func(n *node) string {
		if n.doc == p.left {
			return "a" + n.path
		}
		return "b" + n.path
	}
	var names []string
	for _, n := range l.nodes {
		names = append(names, name(n))
	}
	slices.Sort(names)
	for _, n := range l.split {
		names = append(names, "|"+name(n))
	}
	return strings.Join(names, " ") + " " + strconv.Itoa(int(l.kinds)) + " " + name(b)
}

// listed gives the values when there are only so many.
func (p *prover) listed(l values) (list []any, ok bool) {
	candidates := []any{nil, true, false}
	if l.kinds&^(kNull|kBool) != 0 {
		i := slices.IndexFunc(l.nodes, func(n *node) bool { return n.allowed != nil })
		if i < 0 {
			return nil, false
		}
		candidates = l.nodes[i].allowed.values
	}
	for _, v := range candidates {
		if kindOf(v)&l.kinds != 0 && p.take(l, v) {
			list = append(list, v)
		}
	}
	return list, true
}

// take tells whether all of the schemas take a value, as far as that can be found
// out.
func (p *prover) take(l values, v any) bool {
	for _, n := range l.nodes {
		if p.steps -= tried; p.steps < 0 {
			return true
		}
		if f := n.doc.checkValue(n, v, tryout); f != nil && f.Keyword != "" {
			return false
		}
	}
	return true
}

// tryout is what one value may cost in a proof, in steps of looking at values, and
// tried what it costs in steps of proofs.
const (
	tryout = 1000
	tried  = 50
)

// sub proves that b takes all of l; what is in the way otherwise.
func (p *prover) sub(l values, b *node) []Reason {
	l = l.spread()
	if l.kinds == 0 || b.raw == nil && !b.never {
		return nil
	}
	if p.steps -= 1 + len(l.nodes); p.steps < 0 {
		return unknown(b, "", "the schemas are too large to be compared")
	}
	if list, ok := p.listed(l); ok {
		return p.listedIn(list, b)
	}
	key := p.key(l, b)
	if p.open[key] || slices.ContainsFunc(l.nodes, func(a *node) bool { return p.same(a, b, nil) }) {
		return nil
	}
	p.open[key] = true
	defer delete(p.open, key)
	reasons := p.constraints(l, b)
	if reasons == nil || p.steps < 0 {
		return reasons
	}
	return p.bySplitting(l, b, reasons)
}

// listedIn tries every value.
func (p *prover) listedIn(list []any, b *node) []Reason {
	for _, v := range list {
		if p.steps -= tried; p.steps < 0 {
			return unknown(b, "", "the schemas are too large to be compared")
		}
		if f := b.doc.checkValue(b, v, tryout); f != nil {
			return []Reason{{Path: f.Schema, Keyword: f.Keyword, Text: "the other takes " + brief(v) + ", which here " + f.Text}}
		}
	}
	return nil
}

// bySplitting takes the alternatives of l one by one, and then the kinds of values:
// that each of them is taken may be provable alone.
func (p *prover) bySplitting(l values, b *node, reasons []Reason) []Reason {
	for _, n := range l.nodes {
		for _, list := range [][]*node{n.branch.any, n.branch.one} {
			if len(list) == 0 || slices.Contains(l.split, n) {
				continue
			}
			for _, alternative := range list {
				part := l.with(alternative)
				part.split = append(slices.Clone(l.split), n)
				if found := p.sub(part, b); found != nil {
					return found
				}
			}
			return nil
		}
	}
	if len(b.branch.any)+len(b.branch.one) == 0 {
		return reasons
	}
	for _, k := range []kinds{kNull, kBool, kNumber, kString, kArray, kObject} {
		part := l
		part.kinds &= k
		if part.kinds == l.kinds {
			return reasons
		}
		if part.kinds != 0 && p.sub(part, b) != nil {
			return reasons
		}
	}
	return nil
}

// constraints proves each thing that b asks for.
func (p *prover) constraints(l values, b *node) (reasons []Reason) {
	if b.raw == nil {
		if p.empty(l, maxEmpty) {
			return nil
		}
		return []Reason{{Path: b.path, Keyword: "false", Text: "nothing is taken here"}}
	}
	if out := l.kinds; b.types != 0 && out&^b.types != 0 {
		reasons = append(reasons, why(b, "type", "the other takes "+(out&^b.types).String()+" values")...)
		l.kinds &= b.types // what else is wrong concerns the rest
	}
	if b.allowed != nil {
		reasons = append(reasons, why(b, b.allowed.keyword, "only listed values are taken here, the other takes more")...)
	}
	for _, rule := range []func(values, *node) []Reason{p.numbers, p.texts, p.arrays, p.objects, p.branches} {
		if len(reasons) < maxReasons {
			reasons = append(reasons, rule(l, b)...)
		}
	}
	if reasons == nil {
		return nil
	}
	return reasons[:min(len(reasons), maxReasons)]
}

func (p *prover) branches(l values, b *node) (reasons []Reason) {
	if b.ref != nil {
		reasons = append(reasons, p.sub(l, b.ref)...)
	}
	for _, sub := range b.branch.all {
		reasons = append(reasons, p.sub(l, sub)...)
	}
	if len(b.branch.any) > 0 && !slices.ContainsFunc(b.branch.any, func(sub *node) bool { return p.sub(l, sub) == nil }) {
		reasons = append(reasons, unknown(b, "anyOf", "no alternative is shown to take all that the other takes")...)
	}
	if len(b.branch.one) > 0 && !p.exactlyOne(l, b.branch.one) {
		reasons = append(reasons, unknown(b, "oneOf", "no alternative is shown to take all that the other takes, and no other one any of it")...)
	}
	if b.branch.not != nil && !p.empty(l.with(b.branch.not), maxEmpty) {
		reasons = append(reasons, unknown(b, "not", "it is not shown that the other takes none of this")...)
	}
	if b.branch.cond != nil {
		reasons = append(reasons, p.conditional(l, b)...)
	}
	return reasons
}

func (p *prover) exactlyOne(l values, list []*node) bool {
	for i, sub := range list {
		if p.sub(l, sub) != nil {
			continue
		}
		alone := true
		for j, other := range list {
			alone = alone && (j == i || p.empty(l.with(other), maxEmpty))
		}
		return alone
	}
	return false
}

func (p *prover) conditional(l values, b *node) []Reason {
	c := b.branch
	holds := func(n *node, under values) bool { return n == nil || p.sub(under, n) == nil }
	if holds(c.yes, l.with(c.cond)) && (holds(c.otherwise, l) || p.sub(l, c.cond) == nil) {
		return nil
	}
	if p.empty(l.with(c.cond), maxEmpty) && holds(c.otherwise, l) {
		return nil
	}
	return unknown(b, "if", "then and else are not shown to take all that the other takes")
}

// empty shows that there are no such values; false when it cannot.
func (p *prover) empty(l values, depth int) bool {
	l = l.spread()
	if p.steps -= 1 + len(l.nodes); p.steps < 0 || depth == 0 {
		return false
	}
	if l.kinds == 0 {
		return true
	}
	if list, ok := p.listed(l); ok {
		return len(list) == 0
	}
	if l.kinds == kObject {
		for _, name := range l.required() {
			if p.empty(p.property(l, name), depth-1) {
				return true
			}
		}
	}
	for _, n := range l.nodes {
		for _, list := range [][]*node{n.branch.any, n.branch.one} {
			if len(list) == 0 || slices.Contains(l.split, n) {
				continue
			}
			none := true
			for _, alternative := range list {
				part := l.with(alternative)
				part.split = append(slices.Clone(l.split), n)
				none = none && p.empty(part, depth)
			}
			return none
		}
	}
	return false
}

// same tells whether two schemas say the same, word by word but for what says
// nothing about validity. A pair that is being compared is the same so far.
func (p *prover) same(a, b *node, under map[[2]*node]bool) bool {
	if p.steps--; p.steps < 0 {
		return false
	}
	if a.raw == nil || b.raw == nil {
		return a.raw == nil && b.raw == nil && a.never == b.never
	}
	pair := [2]*node{a, b}
	if under[pair] {
		return true
	}
	under = maps.Clone(under)
	if under == nil {
		under = map[[2]*node]bool{}
	}
	under[pair] = true
	one, other := a.words(), b.words()
	if !slices.Equal(one, other) {
		return false
	}
	if (a.ref == nil) != (b.ref == nil) || a.ref != nil && !p.same(a.ref, b.ref, under) {
		return false
	}
	for _, word := range one {
		if word == "$ref" {
			continue
		}
		if !p.sameWord(a, b, word, under) {
			return false
		}
	}
	return true
}

// sameWord compares one keyword: its schemas by what they say, all else by value.
func (p *prover) sameWord(a, b *node, word string, under map[[2]*node]bool) bool {
	if n, m := a.doc.nodes[child(a.path, word)], b.doc.nodes[child(b.path, word)]; n != nil && m != nil {
		return p.same(n, m, under)
	}
	if !holdsSchemas[word] {
		return canon(a.raw[word]) == canon(b.raw[word])
	}
	keys, others := tokens(a.raw[word]), tokens(b.raw[word])
	if !slices.Equal(keys, others) {
		return false
	}
	for _, key := range keys {
		n, m := a.doc.nodes[child(child(a.path, word), key)], b.doc.nodes[child(child(b.path, word), key)]
		if n == nil || m == nil || !p.same(n, m, under) {
			return false
		}
	}
	return true
}

// holdsSchemas are the keywords of lists of schemas and of schemas by name.
var holdsSchemas = map[string]bool{"properties": true, "patternProperties": true, "dependentSchemas": true, "allOf": true, "anyOf": true, "oneOf": true, "prefixItems": true}

func tokens(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		return slices.Sorted(maps.Keys(v))
	case []any:
		for i := range v {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}

// validity are the keywords that say something about validity.
var validity = []string{
	"$ref", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependentRequired", "dependentSchemas", "else", "enum",
	"exclusiveMaximum", "exclusiveMinimum", "if", "items", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains",
	"minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "prefixItems",
	"properties", "propertyNames", "required", "then", "type", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
}

func (n *node) words() (out []string) {
	for _, word := range validity {
		if _, ok := n.raw[word]; ok {
			out = append(out, word)
		}
	}
	return out
}
