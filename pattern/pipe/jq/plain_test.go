package jq

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/itchyny/gojq"
)

var plainPrograms = map[string]string{ // by what they look at
	`.`: "false", `.a`: "[[a]]", `.a.b`: "[[a b]]", `."a"`: "[[a]]", `."a".b`: "[[a b]]", `.a."b"`: "[[a b]]",
	`{id}`: "[[id]]", `{id: .a.b, "x y": .c, n: 1, t: true, f: false, z: null, s: "s"}`: "[[a b] [c]]", `{"a"}`: "[[a]]",
	`{a: {b: .c.d}}`: "[[c d]]", `{a: .b, a: .c}`: "false", `{}`: "[]", `1`: "[]", `"x"`: "[]", `{and: .or}`: "[[or]]",
	`{a: .}`: "false",
}

var otherPrograms = []string{`.a?`, `.a[]`, `.[0]`, `.a[1:2]`, `."\(.b)"`, `{"\(.a)": 1}`, `{(.a): 1}`, `{$__loc__}`, `{a: 1}.a`, `.a | .b`, `.a + 1`, `def f: .; .a`, `"x\(.a)"`, `-1`, `1.5`, `.. | .a`, `@base64`, `[.a]`, `.a as $x | $x`}

var inputs = []any{
	nil, 1, "text",
	[]any{1},
	map[string]any{},
	map[string]any{"a": map[string]any{"b": 1, "x": 2}, "id": 7, "c": map[string]any{"d": nil}},
	map[string]any{"a": "b", "b": []any{1}, "c": 1.5},
	map[string]any{"a": nil, "or": false},
}

// What is done without the interpreter is what it does.
func TestPlain(t *testing.T) {
	for text, want := range plainPrograms {
		query, err := gojq.Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		p, ok := plainOf(query)
		if !ok {
			t.Errorf("%s is not plain", text)
			continue
		}
		_, paths, ok := Template(text)
		if got := fmt.Sprint(paths); ok && got != want || !ok && want != "false" {
			t.Errorf("%s looks at %s, want %s", text, got, want)
		}
		for _, in := range inputs {
			v, _ := query.Run(in).Next()
			failed := false
			if _, is := v.(error); is {
				v, failed = nil, true
			}
			if got, ok := p.run(in); ok == failed || !reflect.DeepEqual(got, v) {
				t.Errorf("%s of %v: %v %v, want %v", text, in, got, ok, v)
			}
		}
	}
	for _, text := range otherPrograms {
		query, err := gojq.Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if _, ok := plainOf(query); ok {
			t.Errorf("%s is plain", text)
		}
		if _, _, ok := Template(text); ok {
			t.Errorf("%s has a template", text)
		}
	}
}

// Also the function that Compile gives says what fails, and how.
func TestPlainFails(t *testing.T) {
	f, err := Compile(`{id: .a.b}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f(t.Context(), map[string]any{"a": "text"}); err == nil || err.Error() != `unprocessable: the program fails: expected an object but got: string ("text"); use ? or // for what may be missing` {
		t.Error(err)
	}
	if v, err := f(t.Context(), map[string]any{"a": map[string]any{"b": 1}}); err != nil || !reflect.DeepEqual(v, []any{map[string]any{"id": 1}}) {
		t.Error(v, err)
	}
}
