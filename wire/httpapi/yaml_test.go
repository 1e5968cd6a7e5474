package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plainKey are the keys that YAML takes without quotes as a string.
var plainKey = regexp.MustCompile(`^[A-Za-z_$/][A-Za-z0-9_$/.{}-]*$`)

// yamlOf writes a document of maps, lists and scalars as YAML 1.2 in block style,
// keys sorted. Strings are those of JSON, which YAML reads alike.
func yamlOf(t *testing.T, doc any) string {
	t.Helper()
	raw, err := json.Marshal(doc) // one kind of maps, lists and numbers
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	writeYAML(&b, v, "")
	return b.String()
}

func writeYAML(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := key
			if !plainKey.MatchString(key) {
				name = scalar(key)
			}
			b.WriteString(indent + name + ":")
			writeValue(b, v[key], indent)
		}
	case []any:
		for _, e := range v {
			b.WriteString(indent + "-")
			writeValue(b, e, indent)
		}
	}
}

func writeValue(b *strings.Builder, v any, indent string) {
	switch e := v.(type) {
	case map[string]any:
		if len(e) == 0 {
			b.WriteString(" {}\n")
			return
		}
	case []any:
		if len(e) == 0 {
			b.WriteString(" []\n")
			return
		}
	default:
		b.WriteString(" " + scalar(v) + "\n")
		return
	}
	b.WriteString("\n")
	writeYAML(b, v, indent+"  ")
}

func scalar(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}
