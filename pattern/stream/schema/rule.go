package schema

import (
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// Rule says how a new version has to fit those before it.
type Rule string

// The rules. A transitive one looks at every version, the others at the newest.
const (
	None               Rule = "none"
	Backward           Rule = "backward" // the new schema takes all that the old one took: who reads by the new one understands old events
	Forward            Rule = "forward"  // the old schema takes all that the new one takes: who reads by the old one understands new events
	Full               Rule = "full"     // both
	BackwardTransitive Rule = "backward_transitive"
	ForwardTransitive  Rule = "forward_transitive"
	FullTransitive     Rule = "full_transitive"
)

// DefaultRule is that of a subject whose owner leaves it open.
const DefaultRule = Backward

var rules = []Rule{None, Backward, Forward, Full, BackwardTransitive, ForwardTransitive, FullTransitive}

// ParseRule reads a rule; "" is DefaultRule. Error: Invalid.
func ParseRule(text string) (Rule, error) {
	if text == "" {
		return DefaultRule, nil
	}
	var names []string
	for _, r := range rules {
		if string(r) == text {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", parley.BadField("compatibility", strconv.Quote(text[:min(len(text), 40)])+" is no rule", "send one of "+strings.Join(names, ", "))
}

func (r Rule) transitive() bool { return strings.HasSuffix(string(r), "_transitive") }
func (r Rule) backward() bool {
	return strings.HasPrefix(string(r), "backward") || strings.HasPrefix(string(r), "full")
}

func (r Rule) forward() bool {
	return strings.HasPrefix(string(r), "forward") || strings.HasPrefix(string(r), "full")
}

// Conflict is a Reason why a schema does not fit a version before it.
type Conflict struct {
	// Direction is Backward, and Path is in the new schema; or Forward, and Path is
	// in the old one.
	Direction Rule `json:"direction"`
	Version   int  `json:"version"` // the one that it does not fit
	Reason
}

// Error implements error.
func (c Conflict) Error() string {
	return string(c.Direction) + " of version " + strconv.Itoa(c.Version) + ": " + c.Reason.Error()
}

// Incompatible is the cause of a refusal: all that was found.
type Incompatible struct{ Conflicts []Conflict }

// Error implements error.
func (i *Incompatible) Error() string {
	if len(i.Conflicts) == 0 {
		return "incompatible"
	}
	return i.Conflicts[0].Error()
}

// compare holds a new schema to the rule.
func compare(rule Rule, version int, old, fresh *document) (conflicts []Conflict) {
	add := func(direction Rule, reasons []Reason) {
		for _, r := range reasons {
			conflicts = append(conflicts, Conflict{direction, version, r})
		}
	}
	if rule.backward() {
		add(Backward, takesAll(old, fresh))
	}
	if rule.forward() {
		add(Forward, takesAll(fresh, old))
	}
	return conflicts
}

// Compare holds a new schema to a rule against an old one, whose version is named
// in what it finds. Errors: Invalid, for a schema that cannot be.
func Compare(rule Rule, version int, old, fresh []byte) ([]Conflict, error) {
	a, err := compileField("old", old)
	if err != nil {
		return nil, err
	}
	b, err := compileField("schema", fresh)
	if err != nil {
		return nil, err
	}
	return compare(rule, version, a, b), nil
}

// compileField reads a schema that came from outside.
func compileField(field string, b []byte) (*document, error) {
	if len(b) > MaxSchema {
		return nil, &parley.Error{Code: parley.TooLarge, Field: field, Detail: "a schema has at most " + strconv.Itoa(MaxSchema) + " bytes", Fix: "take examples and comments out, or split the events by type"}
	}
	d, err := compile(b)
	if err != nil {
		return nil, &parley.Error{Code: parley.Invalid, Field: field, Detail: err.Error(), Fix: "send a JSON Schema of draft 2020-12", Err: err}
	}
	return d, nil
}

// Validate holds data to a schema; nil, nil when it is valid. Errors: Invalid and
// TooLarge, for a schema that cannot be.
func Validate(schema, data []byte) (*Failure, error) {
	d, err := compileField("schema", schema)
	if err != nil {
		return nil, err
	}
	return d.check(data), nil
}

// Compile reads a schema once, for data that comes again and again: fits tells how
// data breaks it, as a *Failure, or nil. Errors: as Validate.
func Compile(schema string) (fits func(data []byte) error, err error) {
	d, err := compileField("schema", []byte(schema))
	if err != nil {
		return nil, err
	}
	return func(data []byte) error {
		if f := d.check(data); f != nil {
			return f
		}
		return nil
	}, nil
}
