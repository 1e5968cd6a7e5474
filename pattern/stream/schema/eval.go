package schema

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Work that one value may cost: a step is a schema that looks at a value.
const (
	MaxSteps     = 100_000 // for any value, and
	StepsPerByte = 4       // more for each byte of it
)

// Failure says where a value breaks a schema.
type Failure struct {
	// Path is the JSON Pointer of the value at fault in the data, "" for all of it.
	Path string `json:"path"`
	// Keyword is the one that it breaks, "" when the data could not be looked at.
	Keyword string `json:"keyword,omitempty"`
	// Schema is the JSON Pointer of the keyword in the schema.
	Schema string `json:"schema,omitempty"`
	// Text says what is wrong, for people.
	Text string `json:"text"`
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Keyword == "" {
		return at(f.Path) + " " + f.Text
	}
	return at(f.Path) + " " + f.Text + " (" + f.Keyword + " at " + f.Schema + ")"
}

// eval is one value being looked at.
type eval struct {
	doc   *document
	steps int // left
	spent *Failure
}

// check tells how JSON breaks the schema; nil when it does not.
func (d *document) check(data []byte) *Failure {
	v, err := decode(data, dataDepth)
	if err != nil {
		b, ok := err.(*broken) //nolint:errorlint // decode gives no other
		if !ok {
			return &Failure{Text: err.Error()}
		}
		return &Failure{Path: b.path, Text: b.text}
	}
	return d.checkValue(d.root, v, MaxSteps+StepsPerByte*len(data))
}

func (d *document) checkValue(n *node, v any, steps int) *Failure {
	e := &eval{doc: d, steps: steps}
	_, f := e.node(n, v, "")
	if e.spent != nil {
		return e.spent
	}
	return f
}

// spend takes steps; it answers false once none are left, and everything that is
// under way then fails.
func (e *eval) spend(n int, path string) bool {
	e.steps -= n
	if e.steps < 0 && e.spent == nil {
		e.spent = &Failure{Path: path, Text: "costs more work than a value of its size may"}
	}
	return e.spent == nil
}

func (n *node) fail(path, keyword, text string) *Failure {
	return &Failure{Path: path, Keyword: keyword, Schema: child(n.path, keyword), Text: text}
}

// node looks at a value with a schema. It tells which members and items were
// looked at, when the document wants to know.
func (e *eval) node(n *node, v any, path string) (seen, *Failure) {
	var s seen
	if !e.spend(1, path) {
		return s, e.spent
	}
	if n.raw == nil {
		if n.never {
			return s, &Failure{Path: path, Keyword: "false", Schema: n.path, Text: "may not be there"}
		}
		return s, nil
	}
	if f := e.plain(n, v, path); f != nil {
		return s, f
	}
	var f *Failure
	switch v := v.(type) {
	case map[string]any:
		if n.obj != nil {
			f = e.object(n, v, path, &s)
		}
	case []any:
		if n.arr != nil {
			f = e.array(n, v, path, &s)
		}
	}
	if f == nil {
		f = e.branches(n, v, path, &s)
	}
	if f == nil && e.doc.unevaluated {
		f = e.rest(n, v, path, &s)
	}
	return s, f
}

// plain looks at what needs no other schema.
func (e *eval) plain(n *node, v any, path string) *Failure {
	if n.types != 0 && kindOf(v)&n.types == 0 {
		return n.fail(path, "type", "is "+kindOf(v).String()+", not "+n.types.String())
	}
	if a := n.allowed; a != nil {
		written := canon(v)
		if !e.spend(len(written)/64, path) {
			return e.spent
		}
		if !a.canon[written] {
			text := "is " + brief(v) + ", not one of " + brief(a.values)
			if a.keyword == "const" {
				text = "is " + brief(v) + ", not " + brief(n.raw["const"])
			}
			return n.fail(path, a.keyword, text)
		}
	}
	switch v := v.(type) {
	case json.Number:
		if n.num != nil {
			return n.number(v, path)
		}
	case string:
		if n.text != nil {
			return e.string(n, v, path)
		}
	}
	return nil
}

func (n *node) number(v json.Number, path string) *Failure {
	r, k := number(v), n.num
	switch {
	case k.min != nil && r.Cmp(k.min) < 0:
		return n.fail(path, "minimum", "is "+brief(v)+", below "+brief(n.raw["minimum"]))
	case k.max != nil && r.Cmp(k.max) > 0:
		return n.fail(path, "maximum", "is "+brief(v)+", above "+brief(n.raw["maximum"]))
	case k.above != nil && r.Cmp(k.above) <= 0:
		return n.fail(path, "exclusiveMinimum", "is "+brief(v)+", not above "+brief(n.raw["exclusiveMinimum"]))
	case k.below != nil && r.Cmp(k.below) >= 0:
		return n.fail(path, "exclusiveMaximum", "is "+brief(v)+", not below "+brief(n.raw["exclusiveMaximum"]))
	case k.multiple != nil && !r.Quo(r, k.multiple).IsInt():
		return n.fail(path, "multipleOf", "is "+brief(v)+", no multiple of "+brief(n.raw["multipleOf"]))
	}
	return nil
}

func (e *eval) string(n *node, v, path string) *Failure {
	k := n.text
	if k.min > 0 || k.max >= 0 {
		size := utf8.RuneCountInString(v)
		if k.min > size {
			return n.fail(path, "minLength", "has "+strconv.Itoa(size)+" characters, fewer than "+strconv.Itoa(k.min))
		}
		if k.max >= 0 && k.max < size {
			return n.fail(path, "maxLength", "has "+strconv.Itoa(size)+" characters, more than "+strconv.Itoa(k.max))
		}
	}
	if k.pattern != nil && !e.match(k.pattern, v, path) {
		return n.fail(path, "pattern", "is "+brief(v)+", which does not match "+k.pattern.text)
	}
	return nil
}

// match costs what it takes RE2 at worst.
func (e *eval) match(p *pattern, text, path string) bool {
	return e.spend(len(text)*p.size/16, path) && p.re.MatchString(text)
}

func (e *eval) branches(n *node, v any, path string, s *seen) *Failure {
	b := &n.branch
	if n.ref != nil {
		if f := e.same(n.ref, v, path, s); f != nil {
			return f
		}
	}
	for _, sub := range b.all {
		if f := e.same(sub, v, path, s); f != nil {
			return f
		}
	}
	if len(b.any) > 0 {
		if f := e.anyOf(n, v, path, s); f != nil {
			return f
		}
	}
	if len(b.one) > 0 {
		if f := e.oneOf(n, v, path, s); f != nil {
			return f
		}
	}
	if b.not != nil {
		if _, f := e.node(b.not, v, path); f == nil {
			return n.fail(path, "not", "is what it may not be")
		}
	}
	if b.cond == nil {
		return nil
	}
	next := b.otherwise
	if f := e.same(b.cond, v, path, s); f == nil {
		next = b.yes
	}
	if next == nil {
		return nil
	}
	return e.same(next, v, path, s)
}

// same has another schema look at the same value.
func (e *eval) same(sub *node, v any, path string, s *seen) *Failure {
	theirs, f := e.node(sub, v, path)
	if f == nil && e.doc.unevaluated {
		s.merge(theirs)
	}
	return f
}

func (e *eval) anyOf(n *node, v any, path string, s *seen) *Failure {
	var nearest *Failure
	matched := false
	for _, sub := range n.branch.any {
		f := e.same(sub, v, path, s)
		if f == nil {
			matched = true
			if !e.doc.unevaluated { // else all of them tell what they looked at
				return nil
			}
		}
		nearest = nearer(nearest, f)
	}
	if matched {
		return nil
	}
	return n.none(path, "anyOf", len(n.branch.any), nearest)
}

func (e *eval) oneOf(n *node, v any, path string, s *seen) *Failure {
	var nearest *Failure
	matched := -1
	for i, sub := range n.branch.one {
		f := e.same(sub, v, path, s)
		if f == nil && matched >= 0 {
			return n.fail(path, "oneOf", "matches alternatives "+strconv.Itoa(matched)+" and "+strconv.Itoa(i)+", not one alone")
		}
		if f == nil {
			matched = i
		}
		nearest = nearer(nearest, f)
	}
	if matched >= 0 {
		return nil
	}
	return n.none(path, "oneOf", len(n.branch.one), nearest)
}

// nearer picks the failure that came further into the value.
func nearer(a, b *Failure) *Failure {
	if a == nil || b != nil && len(b.Path) > len(a.Path) {
		return b
	}
	return a
}

func (n *node) none(path, keyword string, alternatives int, nearest *Failure) *Failure {
	text := "matches none of " + strconv.Itoa(alternatives) + " alternatives"
	if nearest != nil {
		text += "; the nearest: " + nearest.Error()
	}
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return n.fail(path, keyword, text)
}
