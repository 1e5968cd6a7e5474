package schema

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTakesAll has pairs of schemas; what is in the way is "", or the path of the
// first reason, with a "?" when it is undecided.
func TestTakesAll(t *testing.T) {
	closed := `"type":"object","additionalProperties":false,"properties":`
	for _, c := range []struct{ a, b, want string }{
		{`true`, `true`, ""},
		{`false`, `{"type":"string"}`, ""},
		{`{}`, `{"type":"string"}`, "/type"},
		{`{"type":"integer"}`, `{"type":"number"}`, ""},
		{`{"type":"number"}`, `{"type":"integer"}`, "/type"},
		{`{"type":["string","null"]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`, ""},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"type":["string","null"]}`, ""},
		{`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"type":"string"}`, "/type"},
		{`{"enum":["a","b"]}`, `{"enum":["b","c","a"]}`, ""},
		{`{"enum":["a","b"]}`, `{"enum":["b"]}`, "/enum"},
		{`{"enum":["a","b",7],"type":"string"}`, `{"pattern":"^[ab]$","type":"string"}`, ""},
		{`{"type":"boolean"}`, `{"enum":[true,false]}`, ""},
		{`{"type":"string"}`, `{"enum":["a"]}`, "/enum"},
		{`{"minimum":3}`, `{"minimum":2}`, ""},
		{`{"minimum":3}`, `{"exclusiveMinimum":3}`, "/exclusiveMinimum"},
		{`{"exclusiveMinimum":3}`, `{"minimum":3}`, ""},
		{`{"maximum":3}`, `{"maximum":2}`, "/maximum"},
		{`{"type":"string"}`, `{"minimum":2}`, ""},
		{`{"multipleOf":6}`, `{"multipleOf":3}`, ""},
		{`{"type":"integer"}`, `{"multipleOf":0.5}`, ""},
		{`{"multipleOf":3}`, `{"multipleOf":6}`, "/multipleOf"},
		{`{"type":"string","maxLength":5}`, `{"maxLength":6}`, ""},
		{`{"type":"string","maxLength":5}`, `{"maxLength":4}`, "/maxLength"},
		{`{"type":"string","pattern":"^a"}`, `{"pattern":"^a"}`, ""},
		{`{"type":"string","pattern":"^ab"}`, `{"pattern":"^a"}`, "/pattern?"},
		{`{` + closed + `{"a":{"type":"string"}}}`, `{` + closed + `{"a":{"type":"string"},"b":{"type":"integer"}}}`, ""},
		{`{` + closed + `{"a":{"type":"string"},"b":true}}`, `{` + closed + `{"a":{"type":"string"}}}`, "/additionalProperties"},
		{`{"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"},"b":{"type":"integer"}}}`, "/properties/b"},
		{`{"type":"object","required":["a","b"]}`, `{"required":["a"]}`, ""},
		{`{"type":"object","required":["a"]}`, `{"required":["a","b"]}`, "/required"},
		{`{"type":"object","required":["a","b"]}`, `{"minProperties":2}`, ""},
		{`{` + closed + `{"a":true,"b":true}}`, `{"maxProperties":2,"propertyNames":{"maxLength":1}}`, ""},
		{`{"additionalProperties":{"type":"integer"}}`, `{"properties":{"x":{"type":"number"}},"additionalProperties":{"type":"number"}}`, ""},
		{`{"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false}`, `{"patternProperties":{"^x":{"type":"number"}},"additionalProperties":false}`, ""},
		{`{"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false}`, `{"patternProperties":{"^xy":{"type":"number"}},"additionalProperties":false}`, "/additionalProperties"},
		{`{"type":"array","items":{"type":"integer"},"maxItems":2}`, `{"items":{"type":"number"},"maxItems":3}`, ""},
		{`{"type":"array","prefixItems":[{"type":"string"}],"items":false}`, `{"prefixItems":[{"type":"string"},{"type":"null"}],"maxItems":1}`, ""},
		{`{"type":"array","prefixItems":[{"type":"string"}]}`, `{"items":{"type":"string"}}`, "/items/type"},
		{`{"type":"array","minItems":1,"items":{"const":1}}`, `{"contains":{"type":"integer"}}`, ""},
		{`{"type":"array","items":{"const":1}}`, `{"contains":{"type":"integer"}}`, "/contains?"},
		{`{"type":"array","maxItems":1}`, `{"uniqueItems":true}`, ""},
		{`{"type":"array"}`, `{"uniqueItems":true}`, "/uniqueItems"},
		{`{"required":["kind"],"properties":{"kind":{"const":"a"}},"type":"object"}`, `{"oneOf":[{"properties":{"kind":{"const":"a"}},"required":["kind"]},{"properties":{"kind":{"const":"b"}},"required":["kind"]}]}`, ""},
		{`{"type":"string"}`, `{"not":{"type":"integer"}}`, ""},
		{`{"type":"string"}`, `{"not":{"minLength":2}}`, "/not?"},
		{
			`{"$defs":{"t":{"type":"object","properties":{"next":{"$ref":"#/$defs/t"}},"additionalProperties":false}},"$ref":"#/$defs/t"}`,
			`{"$defs":{"u":{"type":"object","properties":{"next":{"$ref":"#/$defs/u"},"more":true},"additionalProperties":false}},"$ref":"#/$defs/u"}`, "",
		},
		{
			`{"$defs":{"t":{"properties":{"next":{"$ref":"#/$defs/t"},"v":{"type":"number"}}}},"$ref":"#/$defs/t"}`,
			`{"$defs":{"u":{"properties":{"next":{"$ref":"#/$defs/u"},"v":{"type":"integer"}}}},"$ref":"#/$defs/u"}`, "/$defs/u/properties/v/type",
		},
		{`{"dependentRequired":{"a":["b"]},"type":"object"}`, `{"dependentRequired":{"a":["b"]}}`, ""},
		{`{"type":"object"}`, `{"dependentRequired":{"a":["b"]}}`, "/dependentRequired"},
		{`{"if":{"type":"string"},"then":{"minLength":1}}`, `{"if":{"type":"string"},"then":{"minLength":1}}`, ""},
		{`{"type":"string","minLength":1}`, `{"if":{"type":"string"},"then":{"minLength":1},"else":{"minimum":7}}`, ""},
		{`{"type":["string","integer"]}`, `{"if":{"type":"string"},"then":{"minLength":1}}`, "/if?"},
		{`{"unevaluatedProperties":false,"properties":{"a":true}}`, `{"properties":{"a":true},"unevaluatedProperties":false,"title":"x"}`, ""},
		{`{"properties":{"a":true},"unevaluatedProperties":false}`, `{"properties":{"a":true,"b":true},"unevaluatedProperties":false}`, "/unevaluatedProperties?"},
		{`{"title":"a","description":"b","type":"string"}`, `{"title":"c","type":"string","format":"date"}`, ""},
	} {
		got := ""
		if reasons := takesAll(mustCompile(t, c.a), mustCompile(t, c.b)); reasons != nil {
			if got = reasons[0].Path; reasons[0].Undecided {
				got += "?"
			}
			if reasons[0].Text == "" {
				t.Errorf("%s → %s: no words", c.a, c.b)
			}
		}
		if got != c.want {
			t.Errorf("%s → %s: %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

// TestWhatIsProvenHolds looks for a value that a schema takes and another one does
// not, although it was shown to take all of them. The second is the first with a
// change, so that many proofs succeed.
func TestWhatIsProvenHolds(t *testing.T) {
	pairs, proven, met := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := genDocument(2).Draw(t, "schema")
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		var changed string
		if rapid.IntRange(0, 9).Draw(t, "fresh") == 0 {
			changed = genDocument(2).Draw(t, "other")
		} else {
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				v = mutate(t, v)
			}
			changed = jsonOf(v)
		}
		a, err := compile([]byte(text))
		if err != nil {
			t.Skip(err)
		}
		b, err := compile([]byte(changed))
		if err != nil {
			t.Skip(err)
		}
		for _, pair := range [][2]*document{{a, b}, {b, a}} {
			pairs++
			if takesAll(pair[0], pair[1]) != nil {
				continue
			}
			proven++
			for range 12 {
				data := []byte(jsonOf(genValue(2).Draw(t, "value")))
				if pair[0].check(data) != nil {
					continue
				}
				met++
				if f := pair[1].check(data); f != nil {
					t.Fatalf("%s\n%s\ntakes all: not %s: %v", text, changed, data, f)
				}
			}
		}
	})
	t.Logf("%d of %d pairs proven, %d values looked at", proven, pairs, met)
	if proven == 0 || met == 0 {
		t.Error("nothing was proven: the test says nothing")
	}
}

// mutate changes one thing of a schema: takes a keyword away, or puts in one of
// another schema, here or below.
func mutate(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		names := tokens(v)
		if len(names) == 0 {
			break
		}
		name := rapid.SampledFrom(names).Draw(t, "member")
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			if name != "$defs" && name != "d" {
				delete(v, name)
			}
		case 1:
			if other, ok := genSchema(1).Draw(t, "from").(map[string]any); ok && v["type"] != nil {
				for _, word := range tokens(other) {
					v[word] = other[word]
					break
				}
			}
		default:
			v[name] = mutate(t, v[name])
		}
		return v
	case []any:
		if len(v) > 0 {
			i := rapid.IntRange(0, len(v)-1).Draw(t, "item")
			v[i] = mutate(t, v[i])
		}
		return v
	case float64:
		return rapid.IntRange(0, 3).Draw(t, "number")
	}
	return v
}

// TestProofsAreBounded has schemas over which a proof without bounds would not end.
func TestProofsAreBounded(t *testing.T) {
	alternatives := func(n int, extra string) string {
		var parts []string
		for range n {
			parts = append(parts, `{"anyOf":[{"properties":{"x":{"minLength":1}}},{"properties":{"y":{"minLength":1}}}]}`)
		}
		return `{"allOf":[` + strings.Join(parts, ",") + `]` + extra + `}`
	}
	reasons := takesAll(mustCompile(t, alternatives(100, "")), mustCompile(t, alternatives(99, `,"required":["z"]`)))
	if len(reasons) == 0 {
		t.Fatal("proven")
	}
}

// TestLongListsAreCompared has as many listed values as fit into a schema.
func TestLongListsAreCompared(t *testing.T) {
	list := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, strconv.Itoa(i))
		}
		return `{"enum":[` + strings.Join(all, ",") + `]}`
	}
	if reasons := takesAll(mustCompile(t, list(4000)), mustCompile(t, list(4001))); reasons != nil {
		t.Error(reasons)
	}
	if reasons := takesAll(mustCompile(t, list(4001)), mustCompile(t, list(4000))); len(reasons) == 0 || reasons[0].Undecided {
		t.Error(reasons)
	}
	if reasons := takesAll(mustCompile(t, list(11_000)), mustCompile(t, list(11_001))); len(reasons) == 0 || !reasons[0].Undecided {
		t.Error(reasons)
	}
}
