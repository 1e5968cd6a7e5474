package schema

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a schema.
const (
	MaxSchema = 64 << 10 // bytes
	maxNodes  = 2000     // subschemas
)

// node is one schema of a document, with its keywords as validation wants them.
type node struct {
	doc     *document
	path    string         // JSON Pointer in the document
	raw     map[string]any // nil for true and false
	never   bool           // the schema false
	ref     *node
	types   kinds // 0 = no such keyword
	allowed *allowed
	num     *numbers
	text    *texts
	arr     *arrays
	obj     *objects
	branch  branches
}

type allowed struct {
	keyword string // enum or const
	values  []any
	canon   map[string]bool
}

type numbers struct{ min, max, above, below, multiple *big.Rat }

// Lengths and counts are noCount when their keyword is absent.
type texts struct {
	min, max int
	pattern  *pattern
}

type arrays struct {
	min, max           int
	unique             bool
	prefix             []*node
	items, unevaluated *node
	contains           *node
	minHas, maxHas     int
}

type objects struct {
	min, max                        int
	required                        []string
	names                           []string // of properties, sorted
	properties                      map[string]*node
	patterns                        []patterned // sorted
	additional, nameOf, unevaluated *node
	needs                           map[string][]string // dependentRequired
	dependent                       map[string]*node
}

type patterned struct {
	pattern *pattern
	node    *node
}

type branches struct {
	all, any, one             []*node
	not, cond, yes, otherwise *node
}

const noCount = -1

// document is a schema that was read, within all bounds.
type document struct {
	root        *node
	value       any // as it was decoded
	nodes       map[string]*node
	anchors     map[string]*node
	unevaluated bool // some node needs to know what was looked at
	steps       int  // of all patterns
}

// refuse is why a schema cannot be: path is a JSON Pointer in it.
func refuse(path, text string) error { return &broken{path, text} }

// readDocument reads a schema. Errors are of the type *broken.
func readDocument(b []byte) (*document, error) {
	if len(b) > MaxSchema {
		return nil, refuse("", "has more than "+strconv.Itoa(MaxSchema)+" bytes")
	}
	v, err := decode(b, schemaDepth)
	if err != nil {
		return nil, err
	}
	d := &document{value: v, nodes: map[string]*node{}, anchors: map[string]*node{}}
	if d.root, err = d.parse(v, ""); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(d.nodes)) {
		if err := d.resolve(d.nodes[path]); err != nil {
			return nil, err
		}
	}
	if err := d.checkCycles(); err != nil {
		return nil, err
	}
	return d, nil
}

// Keywords that are refused, with what to do instead.
var notSpoken = map[string]string{
	"$dynamicRef": "use $ref", "$dynamicAnchor": "use $anchor", "$recursiveRef": "use $ref", "$recursiveAnchor": "use $anchor",
	"$vocabulary": "leave it away", "dependencies": "use dependentRequired or dependentSchemas", "additionalItems": "use prefixItems and items",
	"divisibleBy": "use multipleOf", "extends": "use allOf", "disallow": "use not",
}

const dialect = "https://json-schema.org/draft/2020-12/schema"

func (d *document) parse(v any, path string) (*node, error) {
	if len(d.nodes) == maxNodes {
		return nil, refuse(path, "is one subschema too many: "+strconv.Itoa(maxNodes)+" may be")
	}
	n := &node{doc: d, path: path}
	d.nodes[path] = n
	switch v := v.(type) {
	case bool:
		n.never = !v
		return n, nil
	case map[string]any:
		n.raw = v
	default:
		return nil, refuse(path, "is no schema: it has to be an object, true or false")
	}
	if err := d.head(n); err != nil {
		return nil, err
	}
	p := &parser{d: d, n: n}
	p.values()
	p.strings()
	p.arrays()
	p.objects()
	p.branches()
	for _, name := range []string{"$defs", "definitions"} {
		p.schemas(name)
	}
	p.schema("contentSchema")
	return n, p.err
}

// head reads what says which dialect a schema is written in and what it is called.
func (d *document) head(n *node) error {
	for _, name := range slices.Sorted(maps.Keys(n.raw)) {
		if fix, ok := notSpoken[name]; ok {
			return refuse(child(n.path, name), "is a keyword that is not taken: "+fix)
		}
	}
	if s, ok := n.raw["$schema"]; ok && s != dialect && s != dialect+"#" {
		return refuse(child(n.path, "$schema"), "is "+brief(s)+"; only "+dialect+" is spoken")
	}
	if id, ok := n.raw["$id"]; ok && n.path != "" {
		return refuse(child(n.path, "$id"), "is "+brief(id)+"; only the root may have one: use $anchor")
	}
	name, ok := n.raw["$anchor"].(string)
	if !ok {
		return nil
	}
	if d.anchors[name] != nil {
		return refuse(child(n.path, "$anchor"), "is "+strconv.Quote(name)+", which is there already")
	}
	d.anchors[name] = n
	return nil
}

// resolve finds what a node refers to.
func (d *document) resolve(n *node) error {
	v, ok := n.raw["$ref"]
	if !ok {
		return nil
	}
	path := child(n.path, "$ref")
	ref, ok := v.(string)
	name, inside := strings.CutPrefix(ref, "#")
	if !ok || !inside {
		return refuse(path, "is "+brief(v)+"; a reference may not leave the schema: copy what it means to $defs and write #/$defs/NAME")
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return refuse(path, "is "+brief(v)+", which is no JSON Pointer")
	}
	n.ref = d.anchors[name]
	if name == "" || name[0] == '/' {
		n.ref = d.nodes[name]
	}
	if n.ref == nil {
		return refuse(path, "is "+brief(v)+", where there is no schema")
	}
	return nil
}

// checkCycles refuses a schema that would be asked about one value for ever.
func (d *document) checkCycles() error {
	const open, done = 1, 2
	state := map[*node]int{}
	var visit func(n *node) error
	visit = func(n *node) error {
		switch state[n] {
		case done:
			return nil
		case open:
			return refuse(n.path, "refers to itself without going into a property or an item")
		}
		state[n] = open
		for _, next := range n.same() {
			if err := visit(next); err != nil {
				return err
			}
		}
		state[n] = done
		return nil
	}
	for _, path := range slices.Sorted(maps.Keys(d.nodes)) {
		if err := visit(d.nodes[path]); err != nil {
			return err
		}
	}
	return nil
}

// same are the schemas that a node applies to the value it is asked about.
func (n *node) same() []*node {
	b := &n.branch
	out := slices.Concat(b.all, b.any, b.one)
	for _, one := range []*node{n.ref, b.not, b.cond, b.yes, b.otherwise} {
		if one != nil {
			out = append(out, one)
		}
	}
	if n.obj != nil {
		for _, name := range slices.Sorted(maps.Keys(n.obj.dependent)) {
			out = append(out, n.obj.dependent[name])
		}
	}
	return out
}

// count reads a keyword that is a whole number of at least 0.
func count(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok || !whole(n) {
		return noCount, false
	}
	r := number(n)
	if r.Sign() < 0 {
		return noCount, false
	}
	if !r.Num().IsInt64() || r.Num().Int64() > math.MaxInt32 {
		return math.MaxInt32, true
	}
	return int(r.Num().Int64()), true
}
