package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

// TestBrokenSchemas are refused with the place that is at fault.
func TestBrokenSchemas(t *testing.T) {
	wide := `{"properties":{`
	for i := range maxNodes {
		wide += fmt.Sprintf(`"p%d":{},`, i)
	}
	wide = strings.TrimSuffix(wide, ",") + `}}`
	for _, c := range []struct{ schema, path string }{
		{``, ""},
		{`{`, ""},
		{`[]`, ""},
		{`7`, ""},
		{`{} {}`, ""},
		{`null`, ""},
		{"{\"title\":\"\xff\"}", ""},
		{`{"type":"strin"}`, "/type"},
		{`{"type":7}`, "/type"},
		{`{"properties":[]}`, "/properties"},
		{`{"properties":{"a":{"minLength":-1}}}`, "/properties/a/minLength"},
		{`{"properties":{"a":7}}`, "/properties/a"},
		{`{"properties":{"a/b":{"pattern":"("}}}`, "/properties/a~1b/pattern"},
		{`{"pattern":"(?=x)"}`, "/pattern"},
		{`{"pattern":"((a{100}){100}){100}"}`, "/pattern"},
		{`{"pattern":"` + strings.Repeat("a", maxPattern+1) + `"}`, "/pattern"},
		{`{"pattern":"(?:` + strings.Repeat("x", 900) + `){1000}"}`, "/pattern"},
		{`{"patternProperties":{"[":true}}`, "/patternProperties"},
		{`{"required":["a",1]}`, "/required"},
		{`{"required":["a","a"]}`, "/required"},
		{`{"enum":7}`, "/enum"},
		{`{"multipleOf":0}`, "/multipleOf"},
		{`{"minimum":1e999999999}`, "/minimum"},
		{`{"maximum":"1"}`, "/maximum"},
		{`{"allOf":[]}`, "/allOf"},
		{`{"items":[{}]}`, "/items"},
		{`{"additionalItems":true}`, "/additionalItems"},
		{`{"$ref":"other.json"}`, "/$ref"},
		{`{"$ref":"file:///etc/passwd"}`, "/$ref"},
		{`{"$ref":"http://169.254.169.254/latest"}`, "/$ref"},
		{`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "/$ref"},
		{`{"$ref":"#/$defs/missing"}`, "/$ref"},
		{`{"$ref":"#/default","default":{"$ref":"file:///etc/passwd"}}`, "/$ref"},
		{`{"$ref":"#/%zz"}`, "/$ref"},
		{`{"$ref":7}`, "/$ref"},
		{`{"$ref":"#"}`, ""},
		{`{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}`, "/$defs/a"},
		{`{"$dynamicRef":"#x"}`, "/$dynamicRef"},
		{`{"properties":{"a":{"$id":"https://example.com/x"}}}`, "/properties/a/$id"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, "/$schema"},
		{`{"$schema":"https://evil.example/meta"}`, "/$schema"},
		{`{"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}`, "/$defs/b/$anchor"},
		{`{"$anchor":"1 2"}`, "/$anchor"},
		{`{"title":7}`, "/title"},
		{`{"type":"string","type":"integer"}`, "/type"},
		{wide, "/properties/p"},
		{strings.Repeat(`{"not":`, 70) + `true` + strings.Repeat("}", 70), "/not"},
	} {
		_, err := compile([]byte(c.schema))
		var b *broken
		if !errors.As(err, &b) || !strings.HasPrefix(b.path, c.path) || c.path == "" && b.path != "" || b.text == "" {
			t.Errorf("%.100s: %v, want %s", c.schema, err, c.path)
		}
	}
	_, err := compileField("schema", make([]byte, 10<<20))
	wantCode(t, err, parley.TooLarge, "schema")
}

func TestSchemasThatCanBe(t *testing.T) {
	for _, text := range []string{
		`true`, `{}`,
		`{"$id":"https://example.com/order","$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/a","$defs":{"a":{"$anchor":"x"},"b":{"$ref":"#x"}}}`,
		`{"properties":{"child":{"$ref":"#"}}}`,
		`{"properties":{"$ref":{"type":"string"},"type":{"enum":["$ref"]}}}`,
		`{"x-owner":{"$ref":"file:///etc/passwd"},"examples":[{"$ref":"x"}],"const":{"$dynamicRef":1}}`,
		`{"$defs":{"a b":{"type":"string"}},"$ref":"#/$defs/a%20b"}`,
	} {
		if _, err := compile([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzSchema has any bytes as a schema, and others as data: nothing panics, a
// schema that is taken means the same to the library, and every place that is named
// is there.
func FuzzSchema(f *testing.F) {
	deep := strings.Repeat(`{"properties":{"a":`, 30) + `true` + strings.Repeat("}}", 30)
	for _, schema := range []string{
		closedOrder, deep, `{"$ref":"#"}`, `{"pattern":"(a+)+$"}`, `{"$defs":{"a":{"anyOf":[{"items":{"$ref":"#/$defs/a"}},true]}},"$ref":"#/$defs/a"}`,
		`{"if":{"const":1},"then":false,"else":{"multipleOf":0.01}}`, `{"unevaluatedItems":false,"prefixItems":[true],"contains":{"type":"null"}}`, `{"minimum":1e400}`,
	} {
		for _, data := range []string{`{"id":1}`, `[[[1,null]]]`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"`, `1e400`, `{"a":{"a":[]}}`} {
			f.Add([]byte(schema), []byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, schema, data []byte) {
		d, err := compile(schema)
		if err != nil {
			if _, ok := errors.AsType[*broken](err); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		failure := d.check(data)
		if failure == nil || failure.Keyword != "" {
			valid, err := oracle(string(schema))
			if err != nil {
				t.Fatalf("%s: %v", schema, err)
			}
			if valid(string(data)) != (failure == nil) {
				t.Fatalf("%s\nof %s: %v", schema, data, failure)
			}
		}
		if reasons := takesAll(d, d); len(reasons) > 0 && !reasons[0].Undecided {
			t.Fatalf("%s does not take what it takes: %v", schema, reasons)
		}
		if _, err := Diff(schema, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	})
}
