package schema

import (
	"encoding/json"

	"pgregory.net/rapid"
)

var someName = rapid.SampledFrom([]string{"a", "b", "c"})

// genValue draws JSON over few names and values, so that schemas meet them.
func genValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		top := 7
		if depth == 0 {
			top = 4
		}
		switch rapid.IntRange(0, top).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.IntRange(-3, 4).Draw(t, "int")
		case 3:
			return json.Number(rapid.SampledFrom([]string{"0.5", "1.0", "-1e0", "2.50", "1e1"}).Draw(t, "number"))
		case 4:
			return rapid.SampledFrom([]string{"", "a", "b", "ab", "c", "äbc"}).Draw(t, "string")
		case 5:
			return rapid.SliceOfN(genValue(depth-1), 0, 4).Draw(t, "array")
		}
		return rapid.MapOfN(someName, genValue(depth-1), 0, 3).Draw(t, "object")
	})
}

// drawer fills one schema, keyword by keyword.
type drawer struct {
	t   *rapid.T
	out map[string]any
}

func (d *drawer) some(name string, odds int, draw func() any) {
	if rapid.IntRange(0, odds).Draw(d.t, name) == 0 {
		d.out[name] = draw()
	}
}

func (d *drawer) number(odds, lo, hi int, names ...string) {
	for _, name := range names {
		d.some(name, odds, func() any { return rapid.IntRange(lo, hi).Draw(d.t, name) })
	}
}

// genSchema draws schemas of every keyword.
func genSchema(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 11).Draw(t, "bool") == 0 {
			return rapid.Bool().Draw(t, "always")
		}
		d := &drawer{t, map[string]any{}}
		d.plain()
		if depth > 0 {
			d.below(depth - 1)
		}
		return d.out
	})
}

func (d *drawer) plain() {
	t := d.t
	d.number(9, 0, 3, "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
	d.number(9, -2, 3, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
	d.number(14, 1, 2, "multipleOf")
	types := rapid.SampledFrom([]string{"null", "boolean", "integer", "number", "string", "array", "object"})
	d.some("type", 1, func() any {
		if rapid.Bool().Draw(t, "several") {
			return rapid.SliceOfNDistinct(types, 1, 4, rapid.ID[string]).Draw(t, "types")
		}
		return types.Draw(t, "type")
	})
	d.some("enum", 9, func() any { return rapid.SliceOfN(genValue(1), 1, 4).Draw(t, "enum") })
	d.some("const", 9, func() any { return genValue(1).Draw(t, "const") })
	d.some("pattern", 9, func() any { return rapid.SampledFrom([]string{"^a", "b$", "^$", "."}).Draw(t, "pattern") })
	d.some("uniqueItems", 9, func() any { return rapid.Bool().Draw(t, "unique") })
	names := rapid.SliceOfNDistinct(someName, 0, 3, rapid.ID[string])
	d.some("required", 4, func() any { return names.Draw(t, "required") })
	d.some("dependentRequired", 14, func() any { return map[string]any{"a": names.Draw(t, "needs")} })
}

func (d *drawer) below(depth int) {
	t := d.t
	one := func() any { return genSchema(depth).Draw(t, "sub") }
	list := func() any { return rapid.SliceOfN(genSchema(depth), 1, 3).Draw(t, "list") }
	byName := func() any { return rapid.MapOfN(someName, genSchema(depth), 0, 3).Draw(t, "map") }
	d.some("properties", 1, byName)
	d.some("dependentSchemas", 14, byName)
	for _, name := range []string{"items", "additionalProperties", "contains"} {
		d.some(name, 4, one)
	}
	for _, name := range []string{"not", "propertyNames", "if", "then", "else", "unevaluatedProperties", "unevaluatedItems"} {
		d.some(name, 9, one)
	}
	for _, name := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		d.some(name, 7, list)
	}
	d.some("patternProperties", 9, func() any { return map[string]any{"^[ab]": one(), "c": one()} })
	d.some("$ref", 9, func() any { return "#/$defs/d" })
	if d.out["contains"] != nil {
		d.number(2, 0, 2, "minContains", "maxContains")
	}
}

// genDocument draws a schema whose references have something to refer to.
func genDocument(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		root := genSchema(depth).Draw(t, "root")
		if object, ok := root.(map[string]any); ok {
			object["$defs"] = map[string]any{"d": genSchema(1).Draw(t, "d")}
		}
		return jsonOf(root)
	})
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
