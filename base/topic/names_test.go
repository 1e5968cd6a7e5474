package topic

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"orders": true, "a": true, "9": true, "orders.eu.west-1": true, "a_b-c": true, "a.-b": true, "a._": true,
		"~typing": true, "~a.b": true, strings.Repeat("x", 249): true, "~" + strings.Repeat("x", 248): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "-a": false, "_a": false, "a b": false, "a/b": false,
		"~": false, "~~a": false, "a~": false, "ä": false, "a\x00": false, "a.*": false, ">": false, "*": false,
		strings.Repeat("x", 250): false, "~" + strings.Repeat("x", 249): false,
	} {
		if err := CheckName(name); (err == nil) != want || err != nil && parley.CodeOf(err) != parley.Invalid {
			t.Errorf("CheckName(%q) = %v, want ok %t", name, err, want)
		}
	}
	for _, name := range []string{"$topics", "$", "$a b"} {
		if err := CheckName(name); parley.CodeOf(err) != parley.Forbidden {
			t.Errorf("CheckName(%q) = %v, want forbidden", name, err)
		}
	}
}

func TestPatternMatch(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"orders", []string{"orders"}, []string{"orders.eu", "order", "orderss", "~orders", "$orders", ""}},
		{"*", []string{"orders", "a"}, []string{"a.b", "~a", "$a", ""}},
		{">", []string{"a", "a.b", "a.b.c"}, []string{"~a", "$a", "~a.b", "$topics", ""}},
		{"a.*", []string{"a.b"}, []string{"a", "a.b.c", "b.a", "~a.b"}},
		{"a.>", []string{"a.b", "a.b.c"}, []string{"a", "b.a", "ab.c"}},
		{"*.b", []string{"a.b", "c.b"}, []string{"b", "a.b.c", "~a.b", "a.c"}},
		{"*.*.>", []string{"a.b.c", "a.b.c.d"}, []string{"a.b", "a"}},
		{"~a", []string{"~a"}, []string{"a", "$a", "~b"}},
		{"~a.>", []string{"~a.b"}, []string{"a.b", "~a"}},
		{"~>", []string{"~a", "~a.b"}, []string{"a", "$a"}},
		{"~*.b", []string{"~a.b"}, []string{"a.b"}},
		{"$topics", []string{"$topics"}, []string{"topics"}},
		{"$queue.>", []string{"$queue.jobs.moves"}, []string{"queue.jobs", "$topics"}},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatalf("%q: %v", c.pattern, err)
		}
		if p.String() != c.pattern || p.Literal() == strings.ContainsAny(c.pattern, "*>") {
			t.Errorf("%q: String %q, Literal %t", c.pattern, p, p.Literal())
		}
		for _, name := range c.yes {
			if !p.Match(name) {
				t.Errorf("%q does not match %q", c.pattern, name)
			}
		}
		for _, name := range c.no {
			if p.Match(name) {
				t.Errorf("%q matches %q", c.pattern, name)
			}
		}
	}
	for _, bad := range []string{"", ">.a", "a.>.b", "a*", "*a", "a.b*", "a>", "a.", ".>", "**", "~", "$", "a..>", strings.Repeat("a.", 125) + ">"} {
		if err := CheckPattern(bad); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("CheckPattern(%q) = %v", bad, err)
		}
	}
	if (Pattern{}).Match("a") || (Pattern{}).Match("") {
		t.Error("the zero Pattern matches")
	}
}

// naive matches by lists of levels, the sigil as a level of its own.
func naive(pattern, name string) bool {
	want, have := naiveLevels(pattern), naiveLevels(name)
	for i, w := range want {
		if w == ">" {
			return len(have) > i
		}
		if i >= len(have) || w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

func naiveLevels(s string) []string {
	if s != "" && (s[0] == '~' || s[0] == '$') {
		return append([]string{s[:1]}, strings.Split(s[1:], ".")...)
	}
	return append([]string{"ordinary"}, strings.Split(s, ".")...)
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"a.*", "a.b"}, {"~>", "~a.b"}, {">", "$topics"}, {"*.*", "a.b"}, {"a.>", "a"}, {"..", ">"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			if p.Match(name) {
				t.Fatalf("a refused pattern %q matches", pattern)
			}
			return
		}
		if checkLevels("topic", name, false) != nil {
			p.Match(name) // anything, but it returns
			return
		}
		if p.Match(name) != naive(pattern, name) {
			t.Fatalf("%q and %q: Match says %t", pattern, name, p.Match(name))
		}
		var x Index[int]
		x.Add(p, 1)
		if found := slices.Collect(x.Match(name)); (len(found) == 1) != p.Match(name) {
			t.Fatalf("%q and %q: Match says %t, the index finds %v", pattern, name, p.Match(name), found)
		}
	})
}

// drawLevels draws a name of few levels, or a pattern.
func drawLevels(t *rapid.T, wild bool) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 4).Draw(t, "levels")
	if wild {
		for i := range levels {
			if rapid.IntRange(0, 3).Draw(t, "star") == 0 {
				levels[i] = "*"
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "rest") == 0 {
			levels[len(levels)-1] = ">"
		}
	}
	return rapid.SampledFrom([]string{"", "", "", "~", "$"}).Draw(t, "sigil") + strings.Join(levels, ".")
}

func TestIndexAgainstModel(t *testing.T) {
	type pair struct {
		pattern string
		value   int
	}
	rapid.Check(t, func(t *rapid.T) {
		var x Index[int]
		model := map[pair]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := pair{drawLevels(t, true), rapid.IntRange(1, 3).Draw(t, "value")}
				if x.Add(mustPattern(t, k.pattern), k.value) == model[k] {
					t.Fatalf("Add(%v) when it was there: %t", k, model[k])
				}
				model[k] = true
			},
			"remove": func(t *rapid.T) {
				k := pair{drawLevels(t, true), rapid.IntRange(1, 3).Draw(t, "value")}
				if len(model) > 0 && rapid.Bool().Draw(t, "there") {
					k = rapid.SampledFrom(slices.SortedFunc(maps.Keys(model), func(a, b pair) int {
						return strings.Compare(a.pattern, b.pattern)*4 + a.value - b.value
					})).Draw(t, "pair")
				}
				if x.Remove(mustPattern(t, k.pattern), k.value) != model[k] {
					t.Fatalf("Remove(%v) when it was there: %t", k, model[k])
				}
				delete(model, k)
			},
			"": func(t *rapid.T) {
				name := drawLevels(t, false)
				var want []int
				for k := range model {
					if naive(k.pattern, name) {
						want = append(want, k.value)
					}
				}
				got := slices.Collect(x.Match(name))
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) || x.Len() != len(model) {
					t.Fatalf("Match(%q) = %v, want %v; Len %d of %d", name, got, want, x.Len(), len(model))
				}
				if len(model) == 0 && len(x.roots) != 0 {
					t.Fatal("an empty index keeps nodes")
				}
				for range x.Match(name) {
					break // stopping early must be possible
				}
			},
		})
	})
}

func mustPattern(t interface{ Fatal(...any) }, s string) Pattern {
	p, err := ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
