package schema

import (
	"strings"
	"testing"
)

func TestDiffSpeaksInWords(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`{"type":"object"}`, `{"type":"object"}`, ""},
		{`{"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["b"]}`, "added required field b (integer)"},
		{`{"properties":{"a":{"type":"string"},"b":true},"required":["a"]}`, `{"properties":{"b":true}}`, "removed required field a (string)"},
		{`{"properties":{"a":true,"b":true},"required":["a"]}`, `{"properties":{"a":true,"b":true},"required":["b"]}`, "field a is optional now\nfield b is required now"},
		{`{"properties":{"a":{"properties":{"b":{"items":{"type":"integer"}}}}}}`, `{"properties":{"a":{"properties":{"b":{"items":{"type":["number","null"]}}}}}}`, "a.b[]: type changed from integer to null or number"},
		{`{"properties":{"a":{"enum":["x","y"]}}}`, `{"properties":{"a":{"enum":["y","z"]}}}`, "a: removed values [\"x\"]\na: added values [\"z\"]"},
		{`{"enum":[1]}`, `{}`, "values are not listed any more: [1]"},
		{`{}`, `{"enum":[1]}`, "values are listed now: [1]"},
		{`{"minimum":1}`, `{"minimum":2,"maximum":9}`, "maximum added: 9\nminimum changed from 1 to 2"},
		{`{"pattern":"^a"}`, `{}`, `pattern removed, was "^a"`},
		{`{}`, `{"additionalProperties":false}`, "fields that are not declared are refused now"},
		{`{"additionalProperties":false}`, `{"additionalProperties":{"type":"string"}}`, "fields that are not declared are taken now"},
		{`{"anyOf":[{"type":"string"}]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`, "anyOf changed: it has 1 and then 2 schemas"},
		{`{"anyOf":[{"type":"string"}]}`, `{"anyOf":[{"type":"integer"}]}`, "(anyOf 0): type changed from string to integer"},
		{`{"patternProperties":{"^a":true}}`, `{"patternProperties":{"^b":true}}`, "patternProperties changed: it has 1 and then 1 schemas: -^a, +^b"},
		{`{"$defs":{"t":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/t"}}}`, `{"properties":{"a":{"type":"integer"}}}`, "a: type changed from string to integer"},
		{`{"$defs":{"t":{"properties":{"n":{"$ref":"#/$defs/t"}}}},"$ref":"#/$defs/t"}`, `{"$defs":{"t":{"properties":{"n":{"$ref":"#/$defs/t"},"m":true}}},"$ref":"#/$defs/t"}`, "added optional field m (anything)"},
		{`true`, `false`, "changed from anything to nothing"},
		{`{"title":"a"}`, `{"title":"b"}`, `title changed from "a" to "b"`},
	} {
		changes, err := Diff([]byte(c.a), []byte(c.b))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, change := range changes {
			lines = append(lines, change.String())
		}
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("%s → %s:\n%s\nwant\n%s", c.a, c.b, got, c.want)
		}
	}
	if _, err := Diff([]byte(`{}`), []byte(`{"type":7}`)); err == nil {
		t.Error("a schema that cannot be")
	}
}
