package jq

import (
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/parleyhq/parley"
)

// Template gives a program that only takes members of its input, as {id: .id, city:
// .customer.city} does, as the JSON text of its one result: between has one text more
// than there are paths, and the member at a path goes between two of them, null if it is
// not there. An object that has only those members, if they are there, will do as the
// program's input. With ok false the program is another, and has to be run.
func Template(text string) (between []string, paths [][]string, ok bool) {
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, nil, false // Compile says why
	}
	p, ok := plainOf(query)
	if !ok {
		return nil, nil, false
	}
	t := template{between: []string{""}}
	if !t.add(p) {
		return nil, nil, false
	}
	return t.between, t.paths, true
}

type template struct {
	between []string
	paths   [][]string
}

func (t *template) write(text string) { t.between[len(t.between)-1] += text }

// add adds a part of a program. Members of objects stand in the order of their names; of
// two with one name the first may fail and is not seen, which is for the interpreter.
func (t *template) add(p plain) bool {
	switch {
	case p.path != nil:
		t.paths, t.between = append(t.paths, p.path), append(t.between, "")
		return len(p.path) > 0
	case p.members == nil:
		t.write(constantJSON(p.constant))
		return true
	}
	order := make([]int, len(p.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(p.names[a], p.names[b]) })
	t.write("{")
	for n, i := range order {
		if n > 0 {
			if p.names[i] == p.names[order[n-1]] {
				return false
			}
			t.write(",")
		}
		t.write(string(parley.AppendJSONString(nil, p.names[i])) + ":")
		if !t.add(p.members[i]) {
			return false
		}
	}
	t.write("}")
	return true
}

// constantJSON writes what plainOf takes for a constant.
func constantJSON(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case string:
		return string(parley.AppendJSONString(nil, v))
	}
	return "null"
}
