package graph

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// paths reads fields; those that hold others come first.
func paths(s *spec) ([][]string, error) {
	var all [][]string
	for _, w := range s.step.Args["fields"].Words {
		p := strings.Split(w, ".")
		if slices.Contains(p, "") {
			return nil, s.wrong("fields", strconv.Quote(w)+" is no member", "write names with dots between them, as in customer.name")
		}
		all = append(all, p)
	}
	return all, nil
}

func object(it *item) (map[string]any, error) {
	v, err := it.value()
	if err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, parley.Errorf(parley.Unprocessable, "the data is %s; an object is needed", kindOf(v))
	}
	return o, nil
}

func makePick(_ *compiler, s *spec) (node, error) {
	fields, err := paths(s)
	n := &each{}
	n.do = func(it *item, to []item) ([]item, error) {
		from, err := object(it)
		if err != nil {
			return to, err
		}
		out := map[string]any{}
		for _, p := range fields {
			pick(out, from, p)
		}
		made, err := n.become(it, out, 0)
		return append(to, made), err
	}
	return n, err
}

// pick copies one member, if it is there.
func pick(to, from map[string]any, path []string) {
	v, there := from[path[0]]
	if !there {
		return
	}
	if len(path) == 1 {
		to[path[0]] = v
		return
	}
	inner, ok := v.(map[string]any)
	if !ok {
		return
	}
	out, ok := to[path[0]].(map[string]any)
	if !ok {
		out = map[string]any{}
		to[path[0]] = out
	} else if same(out, inner) {
		return // all of it was picked
	}
	pick(out, inner, path[1:])
}

// same says that two objects are one: what was picked as a whole is not copied.
func same(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, there := b[k]; !there {
			return false
		}
	}
	return true
}

func makeDrop(_ *compiler, s *spec) (node, error) {
	fields, err := paths(s)
	n := &each{}
	n.do = func(it *item, to []item) ([]item, error) {
		from, err := object(it)
		if err != nil {
			return to, err
		}
		out := from
		for _, p := range fields {
			out = without(out, p)
		}
		made, err := n.become(it, out, 0)
		return append(to, made), err
	}
	return n, err
}

// without gives an object that lacks a member; what it has in common with from is
// shared.
func without(from map[string]any, path []string) map[string]any {
	v, there := from[path[0]]
	if !there {
		return from
	}
	inner, isObject := v.(map[string]any)
	if len(path) > 1 && !isObject {
		return from
	}
	out := make(map[string]any, len(from))
	maps.Copy(out, from)
	if len(path) == 1 {
		delete(out, path[0])
	} else {
		out[path[0]] = without(inner, path[1:])
	}
	return out
}

// part is places from one to another, from 1.
type part struct{ from, to int }

func makeCut(_ *compiler, s *spec) (node, error) {
	parts, ok := parseParts(s.text("fields"))
	if !ok {
		return nil, s.wrong("fields", strconv.Quote(s.text("fields"))+" is no list of places", "write it like 1,3-5,7-")
	}
	delimiter := s.text("delimiter")
	if delimiter == "" {
		delimiter = "\t"
	}
	n := &each{}
	n.do = func(it *item, to []item) ([]item, error) {
		text := string(it.event.Data)
		if !strings.Contains(text, delimiter) {
			return append(to, *it), nil
		}
		var kept []string
		for i, field := range strings.Split(text, delimiter) {
			if slices.ContainsFunc(parts, func(p part) bool { return p.from <= i+1 && i+1 <= p.to }) {
				kept = append(kept, field)
			}
		}
		return append(to, n.with(it, []byte(strings.Join(kept, delimiter)), "text/plain", 0)), nil
	}
	return n, nil
}

func parseParts(list string) ([]part, bool) {
	var all []part
	for word := range strings.SplitSeq(list, ",") {
		a, b, isRange := strings.Cut(word, "-")
		p := part{1, math.MaxInt}
		var errA, errB error
		if a != "" {
			p.from, errA = strconv.Atoi(a)
		}
		switch {
		case !isRange:
			p.to = p.from
		case b != "":
			p.to, errB = strconv.Atoi(b)
		}
		if errA != nil || errB != nil || p.from < 1 || p.to < p.from || a == "" && b == "" {
			return nil, false
		}
		all = append(all, p)
	}
	return all, true
}
