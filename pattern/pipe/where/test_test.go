package where

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// membersOf finds members as Test wants them; not ok is for what it is not asked about.
func membersOf(data string, paths [][]string) (members [][]byte, ok bool) {
	for _, path := range paths {
		at := json.RawMessage(data)
		for i, name := range path {
			var object map[string]json.RawMessage
			if at == nil || json.Unmarshal(at, &object) != nil || object == nil {
				return nil, false
			}
			if at = object[name]; at == nil && i < len(path)-1 {
				return nil, false
			}
		}
		members = append(members, at)
	}
	return members, true
}

// goValues decodes as the graph does: ints are ints.
func goValues(t *rapid.T, data string) any {
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var fix func(v any) any
	fix = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			if n, err := strconv.Atoi(string(v)); err == nil {
				return n
			}
			f, _ := v.Float64()
			return f
		case map[string]any:
			for k := range v {
				v[k] = fix(v[k])
			}
		case []any:
			for i := range v {
				v[i] = fix(v[i])
			}
		}
		return v
	}
	return fix(v)
}

var (
	values    = rapid.SampledFrom([]string{"null", "true", "false", "0", "-0", "7", "-7", "7.0", "7.5", "7e0", "1e3", "999999999999999999", "9223372036854775807", `""`, `"a"`, `"b\n"`, `"\u0061"`, `"é"`, `[]`, `{}`, `{"c":7}`, `{"c":"a"}`})
	constants = rapid.SampledFrom([]string{"nil", "true", "false", "0", "7", "-7", "7.0", "7.5", "1000", "999999999999999999", `""`, `"a"`, `"b\n"`, `"é"`})
	operands  = rapid.SampledFrom([]string{"data.a", "data.b", "data.a.c", `data["b"]`, "data?.a", "type", "id", "ext.region", "subject"})
	operators = rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="})
)

func conditions(t *rapid.T, deep int) string {
	switch n := rapid.IntRange(0, 4).Draw(t, "kind"); {
	case deep > 0 && n == 0:
		return "not (" + conditions(t, deep-1) + ")"
	case deep > 0 && n == 1:
		return "(" + conditions(t, deep-1) + ") " + rapid.SampledFrom([]string{"and", "or", "&&", "||"}).Draw(t, "join") + " (" + conditions(t, deep-1) + ")"
	}
	a, b := operands.Draw(t, "operand"), constants.Draw(t, "constant")
	if rapid.Bool().Draw(t, "turned") {
		a, b = b, a
	}
	return a + " " + operators.Draw(t, "operator") + " " + b
}

// What a test says is what the interpreter says, of all conditions and data.
func TestTestIsTheSame(t *testing.T) {
	told := 0
	rapid.Check(t, func(t *rapid.T) {
		text := conditions(t, 2)
		run, err := Compile(text, true)
		if err != nil {
			t.Skip() // types that do not fit
		}
		paths, test := Test(text)
		if test == nil {
			return
		}
		data := `{"a":` + values.Draw(t, "a") + `,"b":` + values.Draw(t, "b") + `}`
		if rapid.Bool().Draw(t, "one") {
			data = `{"a":` + values.Draw(t, "a") + `}`
		}
		members, ok := membersOf(data, paths)
		if !ok {
			return
		}
		e := order
		e.Data = []byte(data)
		yes, ok := test(func() *parley.Event { return &e }, members)
		if !ok {
			return
		}
		told++
		want, err := run(&e, goValues(t, data))
		if err != nil || want != yes {
			t.Fatalf("%s of %s: %v, want %v %v", text, data, yes, want, err)
		}
	})
	if told == 0 {
		t.Error("no test said anything")
	}
}

// Which expressions have a test, and what it looks at.
func TestWhatHasATest(t *testing.T) {
	for text, want := range map[string]string{
		`data.total > 100`: "total", `100 < data.total and not (data.city == "Bonn")`: "total city", `data.a.b == nil or data.a.b != 1.5`: "a.b",
		`type == "order.placed" && ext.region != "eu"`: "",
		`data.a > data.b`: "none", `data?.a == 1`: "none", `any(data.items, .price > 1)`: "none", `data.paid`: "none",
		`data == 1`: "none", `data.a == true`: "a", `data.a > true`: "none", `type == 1`: "none", `data.items[0] == 1`: "none", `data.`: "none",
	} {
		paths, test := Test(text)
		var names []string
		for _, path := range paths {
			names = append(names, strings.Join(path, "."))
		}
		got := strings.Join(names, " ")
		if test == nil {
			got = "none"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func BenchmarkTest(b *testing.B) {
	_, test := Test(`data.total > 100 and type == "order.placed"`)
	e, members := func() *parley.Event { return &order }, [][]byte{[]byte("120")}
	b.ReportAllocs()
	for b.Loop() {
		if yes, ok := test(e, members); !yes || !ok {
			b.Fatal(yes, ok)
		}
	}
}
