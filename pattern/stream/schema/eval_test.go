package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

func mustCompile(t testing.TB, text string) *document {
	t.Helper()
	d, err := compile([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func TestFailures(t *testing.T) {
	order := `{"type":"object","required":["id","items"],"properties":{"id":{"type":"string","pattern":"^[a-z]+$"},
		"items":{"type":"array","minItems":1,"maxItems":3,"uniqueItems":true,"items":{"type":"object","properties":{"price":{"minimum":0},"n/m":{"const":1}},"additionalProperties":false}},
		"tags":{"contains":{"const":"x"}},"kind":{"enum":["a",1,{"b":[2]}]},"pair":{"prefixItems":[true,{"type":"integer"}],"items":false}},"dependentRequired":{"tags":["kind"]}}`
	for _, c := range []struct{ data, path, keyword, schema string }{
		{`{"id":"a","items":[{"price":1.5}]}`, "", "", ""},
		{`{"id":"a","items":[{"price":1},{"price":-1}]}`, "/items/1/price", "minimum", "/properties/items/items/properties/price/minimum"},
		{`{"items":[{}]}`, "", "required", "/required"},
		{`{"id":7,"items":[{}]}`, "/id", "type", "/properties/id/type"},
		{`{"id":"A","items":[{}]}`, "/id", "pattern", "/properties/id/pattern"},
		{`{"id":"a","items":[]}`, "/items", "minItems", "/properties/items/minItems"},
		{`{"id":"a","items":[{},{},{},{}]}`, "/items", "maxItems", "/properties/items/maxItems"},
		{`{"id":"a","items":[{"price":1},{"price":1.0}]}`, "/items", "uniqueItems", "/properties/items/uniqueItems"},
		{`{"id":"a","items":[{"n/m":2}]}`, "/items/0/n~1m", "const", "/properties/items/items/properties/n~1m/const"},
		{`{"id":"a","items":[{"x":1}]}`, "/items/0", "additionalProperties", "/properties/items/items/additionalProperties"},
		{`{"id":"a","items":[{}],"kind":"a","tags":["y"]}`, "/tags", "contains", "/properties/tags/contains"},
		{`{"id":"a","items":[{}],"tags":["x"]}`, "", "dependentRequired", "/dependentRequired"},
		{`{"id":"a","items":[{}],"kind":{"b":[2.0]}}`, "", "", ""},
		{`{"id":"a","items":[{}],"kind":true}`, "/kind", "enum", "/properties/kind/enum"},
		{`{"id":"a","items":[{}],"pair":[0,1.0]}`, "", "", ""},
		{`{"id":"a","items":[{}],"pair":[0,1.5]}`, "/pair/1", "type", "/properties/pair/prefixItems/1/type"},
		{`{"id":"a","items":[{}],"pair":[0,1,2]}`, "/pair/2", "false", "/properties/pair/items"},
		{`[]`, "", "type", "/type"},
	} {
		f := mustCompile(t, order).check([]byte(c.data))
		if c.keyword == "" && f == nil {
			continue
		}
		if f == nil || f.Path != c.path || f.Keyword != c.keyword || f.Schema != c.schema || f.Text == "" {
			t.Errorf("%s: %+v, want %+v", c.data, f, c)
		}
	}
}

// TestDataThatCannotBeLookedAt is refused before any schema.
// A schema that is read once says the same as one that is read for each event.
func TestCompile(t *testing.T) {
	const text = `{"properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}`
	fits, err := Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{`{"n": 3}`, `{"n": 2}`, `{"n": "x"}`, `{}`, `[1]`, `5`, `{"n"`, ``} {
		err := fits([]byte(data))
		f, _ := Validate([]byte(text), []byte(data))
		if (f == nil) != (err == nil) || f != nil && f.Error() != err.Error() {
			t.Errorf("%s: %v, and read anew %v", data, err, f)
		}
	}
	if err := fits([]byte(`{"n": 2}`)); err == nil || !strings.Contains(err.Error(), "/n") {
		t.Errorf("it does not say where: %v", err)
	}
	for _, bad := range []string{"", "5", `{"type": "objekt"}`, `{"$ref": "http://localhost/x"}`, strings.Repeat(" ", MaxSchema) + "{}"} {
		if _, err := Compile(bad); parley.CodeOf(err) != parley.Invalid && parley.CodeOf(err) != parley.TooLarge || err == nil {
			t.Errorf("%.20s: %v", bad, err)
		}
	}
}

func TestDataThatCannotBeLookedAt(t *testing.T) {
	d := mustCompile(t, `true`)
	for data, text := range map[string]string{
		``:                             "cut short",
		`{"a":`:                        "cut short",
		`{} {}`:                        "followed by something else",
		`nul`:                          "JSON",
		"\"\xff\"":                     "UTF-8",
		`{"a":1,"b":2,"a":3}`:          "comes twice",
		`[1e401]`:                      "digits",
		`[1e99999999999999]`:           "digits",
		`1` + strings.Repeat("0", 400): "digits",
		strings.Repeat("[", 129) + strings.Repeat("]", 129): "too deep",
	} {
		if f := d.check([]byte(data)); f == nil || !strings.Contains(f.Text, text) || f.Keyword != "" {
			t.Errorf("%.40s: %v, want %s", data, f, text)
		}
	}
	if f := d.check([]byte(strings.Repeat("[", 128) + strings.Repeat("]", 128))); f != nil {
		t.Error(f)
	}
}

// TestWorkIsBounded has schemas whose work grows with two to the depth, or with
// the product of two lengths.
func TestWorkIsBounded(t *testing.T) {
	double := `{"$defs":{"a":{"type":"object","anyOf":[{"properties":{"x":{"$ref":"#/$defs/a"}}},{"properties":{"x":{"$ref":"#/$defs/a"}}}]}},"$ref":"#/$defs/a"}`
	bad := strings.Repeat(`{"x":`, 60) + `1` + strings.Repeat("}", 60)
	slow := `{"pattern":"(a?b?){30}(a|b|aa|bb){30}$"}`
	for what, c := range map[string][2]string{"recursion": {double, bad}, "pattern": {slow, `"` + strings.Repeat("ab", 400_000) + `"`}} {
		f := mustCompile(t, c[0]).check([]byte(c[1]))
		if f == nil || !strings.Contains(f.Text, "work") {
			t.Errorf("%s: %v", what, f)
		}
	}
	fan := `{"$defs":{"c0":true`
	for i := range 40 {
		fan += fmt.Sprintf(`,"c%d":{"allOf":[{"$ref":"#/$defs/c%d"},{"$ref":"#/$defs/c%d"}]}`, i+1, i, i)
	}
	f := mustCompile(t, fan+`},"$ref":"#/$defs/c40"}`).check([]byte(`1`))
	if f == nil || !strings.Contains(f.Text, "work") {
		t.Errorf("fan: %v", f)
	}
}

// oracle validates with the library.
func oracle(schema string) (func(data string) bool, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	if err := c.AddResource(location, doc); err != nil {
		return nil, err
	}
	s, err := c.Compile(location)
	if err != nil {
		return nil, err
	}
	return func(data string) bool {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(data))
		return err == nil && s.Validate(v) == nil
	}, nil
}

// TestTheLibraryAgrees holds every verdict to another implementation's.
func TestTheLibraryAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genDocument(2).Draw(t, "schema")
		d, err := compile([]byte(text))
		if err != nil {
			t.Skip(err) // it refers to itself
		}
		valid, err := oracle(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for range 10 {
			data := jsonOf(genValue(2).Draw(t, "value"))
			if f := d.check([]byte(data)); (f == nil) != valid(data) {
				t.Fatalf("%s\nof %s: %v", text, data, f)
			}
		}
	})
}
