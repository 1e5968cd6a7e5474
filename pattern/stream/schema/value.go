package schema

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// kinds is a set of kinds of JSON values. Numbers are two: whole ones, however
// they are written, and others.
type kinds uint8

const (
	kNull kinds = 1 << iota
	kBool
	kWhole
	kBroken // a number with a fraction
	kString
	kArray
	kObject

	kNumber = kWhole | kBroken
	kAll    = kObject<<1 - 1
)

var kindNames = []struct {
	name string
	set  kinds
}{{"null", kNull}, {"boolean", kBool}, {"number", kNumber}, {"integer", kWhole}, {"string", kString}, {"array", kArray}, {"object", kObject}}

func kindsNamed(name string) kinds {
	for _, k := range kindNames {
		if k.name == name {
			return k.set
		}
	}
	return 0
}

func (k kinds) String() string {
	var names []string
	for _, each := range kindNames {
		if k&each.set == each.set && (each.set != kWhole || k&kBroken == 0) {
			names = append(names, each.name)
		}
	}
	if len(names) == 0 && k&kBroken != 0 {
		return "number with a fraction"
	}
	return strings.Join(names, " or ")
}

func kindOf(v any) kinds {
	switch v := v.(type) {
	case nil:
		return kNull
	case bool:
		return kBool
	case json.Number:
		if whole(v) {
			return kWhole
		}
		return kBroken
	case string:
		return kString
	case []any:
		return kArray
	}
	return kObject
}

// whole says whether a number has no fraction: 1.0 and 1e2 have none.
func whole(n json.Number) bool {
	if !strings.ContainsAny(string(n), ".eE") {
		return true
	}
	return number(n).IsInt()
}

// number gives the exact value. The decoder has bounded its digits.
func number(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return new(big.Rat)
	}
	return r
}

// canonical writes a value so that equal values are written equally: members in
// order, numbers by their value (JSON Schema core §4.2.2).
func canonical(out []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(out, "null"...)
	case bool:
		return strconv.AppendBool(out, v)
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") && v != "-0" {
			return append(out, v...)
		}
		return append(out, number(v).RatString()...)
	case string:
		return strconv.AppendQuote(out, v)
	case []any:
		out = append(out, '[')
		for _, item := range v {
			out = append(canonical(out, item), ',')
		}
		return append(out, ']')
	case map[string]any:
		out = append(out, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(strconv.AppendQuote(out, name), ':')
			out = append(canonical(out, v[name]), ',')
		}
		return append(out, '}')
	}
	return out
}

func canon(v any) string { return string(canonical(nil, v)) }

// brief writes a value for people, cut when it is long.
func brief(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(b) > 60 {
		return strings.ToValidUTF8(string(b[:57]), "") + "…"
	}
	return string(b)
}
