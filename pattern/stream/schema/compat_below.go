package schema

import (
	"maps"
	"math/big"
	"slices"
	"strconv"
)

// exists says whether one of the schemas says something that is enough.
func (l values) exists(enough func(a *node) bool) bool { return slices.ContainsFunc(l.nodes, enough) }

func atLeast(a, b *big.Rat) bool { return a != nil && a.Cmp(b) >= 0 }
func atMost(a, b *big.Rat) bool  { return a != nil && a.Cmp(b) <= 0 }

func (p *prover) numbers(l values, b *node) (reasons []Reason) {
	if b.num == nil || l.kinds&kNumber == 0 {
		return nil
	}
	has := func(enough func(n *numbers) bool) bool {
		return l.exists(func(a *node) bool { return a.num != nil && enough(a.num) })
	}
	k := b.num
	if k.min != nil && !has(func(n *numbers) bool { return atLeast(n.min, k.min) || atLeast(n.above, k.min) }) {
		reasons = append(reasons, why(b, "minimum", "the other takes smaller numbers")...)
	}
	if k.above != nil && !has(func(n *numbers) bool { return atLeast(n.above, k.above) || n.min != nil && n.min.Cmp(k.above) > 0 }) {
		reasons = append(reasons, why(b, "exclusiveMinimum", "the other takes smaller numbers")...)
	}
	if k.max != nil && !has(func(n *numbers) bool { return atMost(n.max, k.max) || atMost(n.below, k.max) }) {
		reasons = append(reasons, why(b, "maximum", "the other takes larger numbers")...)
	}
	if k.below != nil && !has(func(n *numbers) bool { return atMost(n.below, k.below) || n.max != nil && n.max.Cmp(k.below) < 0 }) {
		reasons = append(reasons, why(b, "exclusiveMaximum", "the other takes larger numbers")...)
	}
	one := big.NewRat(1, 1)
	divides := func(m *big.Rat) bool { return m != nil && new(big.Rat).Quo(m, k.multiple).IsInt() }
	if k.multiple != nil && !has(func(n *numbers) bool { return divides(n.multiple) }) && (l.kinds&kBroken != 0 || !divides(one)) {
		reasons = append(reasons, why(b, "multipleOf", "the other takes other numbers")...)
	}
	return reasons
}

func (p *prover) texts(l values, b *node) (reasons []Reason) {
	if b.text == nil || l.kinds&kString == 0 {
		return nil
	}
	has := func(enough func(t *texts) bool) bool {
		return l.exists(func(a *node) bool { return a.text != nil && enough(a.text) })
	}
	k := b.text
	if k.min > 0 && !has(func(t *texts) bool { return t.min >= k.min }) {
		reasons = append(reasons, why(b, "minLength", "the other takes shorter strings")...)
	}
	if k.max >= 0 && !has(func(t *texts) bool { return t.max >= 0 && t.max <= k.max }) {
		reasons = append(reasons, why(b, "maxLength", "the other takes longer strings")...)
	}
	if k.pattern != nil && !has(func(t *texts) bool { return t.pattern != nil && t.pattern.text == k.pattern.text }) {
		reasons = append(reasons, unknown(b, "pattern", "patterns are compared by their text, and the other has no such one")...)
	}
	return reasons
}

func (p *prover) arrays(l values, b *node) (reasons []Reason) {
	if b.arr == nil || l.kinds&kArray == 0 {
		return nil
	}
	k, most, least := b.arr, l.mostItems(), l.leastItems()
	if k.min > least {
		reasons = append(reasons, why(b, "minItems", "the other takes shorter arrays")...)
	}
	if k.max >= 0 && (most < 0 || most > k.max) {
		reasons = append(reasons, why(b, "maxItems", "the other takes longer arrays")...)
	}
	if k.unique && most != 0 && most != 1 && !l.exists(func(a *node) bool { return a.arr != nil && a.arr.unique }) {
		reasons = append(reasons, why(b, "uniqueItems", "the other takes arrays with equal items")...)
	}
	for i, sub := range k.prefix {
		if most < 0 || i < most {
			reasons = append(reasons, p.sub(l.item(i), sub)...)
		}
	}
	if k.items != nil {
		// Those that a prefix of l has, and one beyond them, which stands for the rest.
		for i := len(k.prefix); i <= max(l.longest(), len(k.prefix)); i++ {
			if most < 0 || i < most {
				reasons = append(reasons, p.sub(l.item(i), k.items)...)
			}
		}
	}
	if k.contains != nil {
		reasons = append(reasons, p.contains(l, b, least)...)
	}
	if k.unevaluated != nil && !l.exists(func(a *node) bool { return p.same(a, b, nil) }) {
		reasons = append(reasons, unknown(b, "unevaluatedItems", "it depends on all that stands beside it, which is different")...)
	}
	return reasons
}

func (p *prover) contains(l values, b *node, least int) []Reason {
	k := b.arr
	need := max(k.minHas, 0)
	if k.minHas < 0 {
		need = 1
	}
	enough := need == 0 || l.exists(func(a *node) bool {
		if a.arr == nil || a.arr.contains == nil {
			return false
		}
		has := a.arr.minHas
		if has < 0 {
			has = 1
		}
		return has >= need && p.sub(values{nodes: []*node{a.arr.contains}, kinds: kAll}, k.contains) == nil
	})
	if !enough && least >= need {
		enough = true
		for i := 0; i <= l.longest(); i++ {
			enough = enough && p.sub(l.item(i), k.contains) == nil
		}
	}
	if !enough {
		return unknown(b, "contains", "it is not shown that every array of the other has such items")
	}
	few := k.maxHas < 0 || l.exists(func(a *node) bool {
		return a.arr != nil && a.arr.contains != nil && a.arr.maxHas >= 0 && a.arr.maxHas <= k.maxHas &&
			p.sub(values{nodes: []*node{k.contains}, kinds: kAll}, a.arr.contains) == nil
	})
	if !few {
		return unknown(b, "maxContains", "it is not shown that no array of the other has more such items")
	}
	return nil
}

// mostItems is how many items an array has at most; noCount without a bound.
func (l values) mostItems() int {
	most := noCount
	for _, n := range l.nodes {
		if n.arr == nil {
			continue
		}
		if bound := n.arr.max; bound >= 0 && (most < 0 || bound < most) {
			most = bound
		}
		if a := n.arr; a.items != nil && a.items.raw == nil && a.items.never && (most < 0 || len(a.prefix) < most) {
			most = len(a.prefix)
		}
	}
	return most
}

func (l values) leastItems() int {
	least := 0
	for _, n := range l.nodes {
		if n.arr != nil {
			least = max(least, n.arr.min)
		}
	}
	return least
}

// longest is how many items have a schema of their own.
func (l values) longest() int {
	longest := 0
	for _, n := range l.nodes {
		if n.arr != nil {
			longest = max(longest, len(n.arr.prefix))
		}
	}
	return longest
}

// item gives what item i can be.
func (l values) item(i int) values {
	out := values{kinds: kAll}
	for _, n := range l.nodes {
		switch {
		case n.arr == nil:
		case i < len(n.arr.prefix):
			out.nodes = append(out.nodes, n.arr.prefix[i])
		case n.arr.items != nil:
			out.nodes = append(out.nodes, n.arr.items)
		}
	}
	return out
}

// required gives the members that are always there, sorted.
func (l values) required() []string {
	var all []string
	for _, n := range l.nodes {
		if n.obj != nil {
			all = append(all, n.obj.required...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// declared gives the members that have a schema of their own, sorted.
func (l values) declared() []string {
	var all []string
	for _, n := range l.nodes {
		if n.obj != nil {
			all = append(all, n.obj.names...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// property gives what the member of a name can be.
func (p *prover) property(l values, name string) values {
	out := values{kinds: kAll}
	for _, n := range l.nodes {
		if n.obj == nil {
			continue
		}
		sub, found := n.obj.properties[name]
		if found {
			out.nodes = append(out.nodes, sub)
		}
		for _, q := range n.obj.patterns {
			if p.match(q.pattern, name) {
				out.nodes, found = append(out.nodes, q.node), true
			}
		}
		if !found && n.obj.additional != nil {
			out.nodes = append(out.nodes, n.obj.additional)
		}
	}
	return out
}

// match costs what it takes RE2 at worst.
func (p *prover) match(q *pattern, name string) bool {
	p.steps -= len(name) * q.size / 16
	return p.steps >= 0 && q.re.MatchString(name)
}

// closed says that there are no other members than those that are declared.
func (l values) closed() bool {
	return l.exists(func(a *node) bool {
		return a.obj != nil && a.obj.patterns == nil && a.obj.additional != nil && a.obj.additional.raw == nil && a.obj.additional.never
	})
}

// absent says that no value has the member.
func (p *prover) absent(l values, name string) bool { return p.empty(p.property(l, name), maxEmpty) }

func (p *prover) objects(l values, b *node) (reasons []Reason) {
	if b.obj == nil || l.kinds&kObject == 0 {
		return nil
	}
	k, had := b.obj, l.required()
	for _, name := range k.required {
		if !slices.Contains(had, name) {
			reasons = append(reasons, why(b, "required", strconv.Quote(name)+" is required here; the other takes objects without it")...)
		}
	}
	if k.min > len(had) && !l.exists(func(a *node) bool { return a.obj != nil && a.obj.min >= k.min }) {
		reasons = append(reasons, why(b, "minProperties", "the other takes objects of fewer members")...)
	}
	if k.max >= 0 && !l.exists(func(a *node) bool { return a.obj != nil && a.obj.max >= 0 && a.obj.max <= k.max }) && !(l.closed() && len(l.declared()) <= k.max) {
		reasons = append(reasons, why(b, "maxProperties", "the other takes objects of more members")...)
	}
	for _, name := range k.names {
		reasons = append(reasons, p.member(l, name, k.properties[name])...)
	}
	for _, q := range k.patterns {
		reasons = append(reasons, p.patterned(l, q)...)
	}
	if k.additional != nil {
		reasons = append(reasons, p.additional(l, b)...)
	}
	if k.nameOf != nil {
		reasons = append(reasons, p.names(l, b)...)
	}
	reasons = append(reasons, p.dependent(l, b)...)
	if k.unevaluated != nil && !l.exists(func(a *node) bool { return p.same(a, b, nil) }) {
		reasons = append(reasons, unknown(b, "unevaluatedProperties", "it depends on all that stands beside it, which is different")...)
	}
	return reasons
}

// member proves what is asked of one member. That nothing was said about it is the
// most common reason why not, and not easy to see.
func (p *prover) member(l values, name string, sub *node) []Reason {
	of := p.property(l, name)
	reasons := p.sub(of, sub)
	if reasons != nil && len(of.spread().nodes) == 0 {
		return []Reason{{Path: sub.path, Keyword: "properties", Text: strconv.Quote(name) + " can be anything by the other, whose objects are open to undeclared members (additionalProperties)"}}
	}
	return reasons
}

// patterned proves what is asked of the members whose names match a pattern.
func (p *prover) patterned(l values, q patterned) (reasons []Reason) {
	for _, name := range l.declared() {
		if p.match(q.pattern, name) {
			reasons = append(reasons, p.member(l, name, q.node)...)
		}
	}
	known := values{kinds: kAll}
	for _, n := range l.nodes {
		if n.obj == nil {
			continue
		}
		for _, own := range n.obj.patterns {
			if own.pattern.text == q.pattern.text {
				known.nodes = append(known.nodes, own.node)
			}
		}
	}
	return append(reasons, p.undeclared(l, known, q.node, nil)...)
}

// undeclared proves something of the members that no schema of l declares: known is
// what they are in any case, and those of the names covered do not matter. Such a
// member is what additionalProperties says, or what one of the patterns does.
func (p *prover) undeclared(l, known values, sub *node, covered []patterned) []Reason {
	for _, n := range l.nodes {
		if n.obj != nil && n.obj.patterns == nil && n.obj.additional != nil {
			known.nodes = append(known.nodes, n.obj.additional)
		}
	}
	reasons := p.sub(known, sub)
	for _, n := range l.nodes {
		if reasons == nil {
			return nil
		}
		if n.obj == nil || n.obj.patterns == nil || n.obj.additional == nil {
			continue
		}
		proven := p.sub(known.with(n.obj.additional), sub) == nil
		for _, q := range n.obj.patterns {
			same := slices.ContainsFunc(covered, func(own patterned) bool { return own.pattern.text == q.pattern.text })
			proven = proven && (same || p.sub(known.with(q.node), sub) == nil)
		}
		if proven {
			return nil
		}
	}
	return reasons
}

// additional proves what is asked of members that b does not declare.
func (p *prover) additional(l values, b *node) (reasons []Reason) {
	k := b.obj
	for _, name := range l.declared() {
		_, declared := k.properties[name]
		for _, q := range k.patterns {
			declared = declared || p.match(q.pattern, name)
		}
		if declared {
			continue
		}
		if found := p.sub(p.property(l, name), k.additional); found != nil {
			reasons = append(reasons, why(b, "additionalProperties", strconv.Quote(name)+" is declared by the other and not here: "+found[0].Text)...)
		}
	}
	if found := p.undeclared(l, values{kinds: kAll}, k.additional, k.patterns); found != nil {
		reasons = append(reasons, why(b, "additionalProperties", "the other takes undeclared members that are not taken here: "+found[0].Text)...)
	}
	return reasons
}

// names proves what is asked of the names of members.
func (p *prover) names(l values, b *node) []Reason {
	k := b.obj.nameOf
	if l.closed() {
		for _, name := range l.declared() {
			if k.doc.checkValue(k, name, tryout) != nil && !p.absent(l, name) {
				return why(b, "propertyNames", "the other takes a member "+strconv.Quote(name))
			}
		}
		return nil
	}
	for _, n := range l.nodes {
		if n.obj != nil && n.obj.nameOf != nil && p.sub(values{nodes: []*node{n.obj.nameOf}, kinds: kString}, k) == nil {
			return nil
		}
	}
	if p.sub(values{kinds: kString}, k) == nil {
		return nil
	}
	return why(b, "propertyNames", "the other takes members of other names")
}

// dependent proves what the presence of a member asks for.
func (p *prover) dependent(l values, b *node) (reasons []Reason) {
	had := l.required()
	for _, name := range slices.Sorted(maps.Keys(b.obj.needs)) {
		for _, also := range b.obj.needs[name] {
			given := slices.Contains(had, also) || also == name ||
				l.exists(func(a *node) bool { return a.obj != nil && slices.Contains(a.obj.needs[name], also) })
			if !given && !p.absent(l, name) {
				reasons = append(reasons, why(b, "dependentRequired", "the other takes objects with "+strconv.Quote(name)+" and without "+strconv.Quote(also))...)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.obj.dependent)) {
		if p.absent(l, name) {
			continue
		}
		under := l
		for _, n := range l.nodes {
			if n.obj != nil && n.obj.dependent[name] != nil {
				under = under.with(n.obj.dependent[name])
			}
		}
		reasons = append(reasons, p.sub(under, b.obj.dependent[name])...)
	}
	return reasons
}
