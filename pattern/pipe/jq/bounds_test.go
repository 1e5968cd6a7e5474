package jq

import (
	"fmt"
	"math"
	"reflect"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"

	"github.com/parleyhq/parley"
)

// What is bounded gives what jq gives.
func TestAsBefore(t *testing.T) {
	input := map[string]any{"s": "one two  three", "n": 3, "l": []any{1, "a", nil, []any{2, 3}}, "o": map[string]any{"a": map[string]any{"b": 1}}, "u": "ñandú ñ", "r": []any{[]any{1, 2}, []any{3}}}
	for _, text := range []string{
		`[(1,2) * (3,4)]`, `[(1,2) + (3,4)]`, `.s * 2`, `2 * .s`, `.s * 0`, `.s * -1`, `.o * {a: {c: 2}}`, `.n *= 3`, `.n += 2 | .n`, `.s += .u`, `(.n, .k) += .n`, `.l[3] += [4, .[]?]`,
		`[.l[] | tojson]`, `[.l[] | tostring]`, `"\(.n) and \(.l) \(.u)"`, `"\(1,2)-\(3,4)"`, `[@json "x\(.l)", @base64 "\(.s)y", @text, (.r[0] | @csv), @html "<\(.s)>"]`,
		`.l | flatten`, `.l | flatten(0)`, `.l[:2] | join("-")`, `.r | transpose`, `.r | add`, `add(.r[])`, `[.s, .u] | add`, `.s | @uri`, `.s | format("text")`, `{"a\(.n)": 1}`, `.["n"]`, `."\("n")"`,
		`.s | test("two")`, `.s | test("TWO"; "i")`, `.s | test(["TWO", "i"])`, `[.s | match("t(?<r>[hw])"; "g")]`, `[.u | match("ñ"; "g") | .offset]`, `[.u | match("(x)?ñ(?<d>d)?"; "g")]`, `[.s | match(["O", "gi"]).string]`,
		`.s | capture("(?<first>[a-z]+) (?<second>x?)")`, `[.s | scan("[a-z]+")]`, `[.s | scan("([a-z])[a-z]+")]`, `[.s | splits(" +")]`, `.s | split(" "; null)`, `.s | split(" ")`,
		`.s | sub("(?<x>t)"; "<\(.x)>")`, `.s | gsub("(?<x>t)"; "<\(.x)>")`, `[.s | gsub("t"; "1", "2")]`, `.s | gsub(""; "-")`, `.s | gsub("^"; "> ")`, `.s | gsub("x*"; "-")`, `.u | gsub("\\p{L}+"; "w")`,
		`.s | gsub("\\b"; "|")`, `.s | gsub("z"; "y")`, `[.s | sub("t"; empty)]`, `[.u | gsub("(?<c>[a-z])"; .c | ascii_upcase)]`, `"aXbxc" | ascii_downcase | [splits("x")]`, `"aab" | [match("a*"; "g") | [.offset, .length]]`,
		`.l[1] = 5`, `.l[7] = 1`, `.l[-1] |= 2`, `.l[1:3] = ["x"]`, `(.l[] | numbers) |= . + 1`, `(.l[0], .n) = (1, 2)`, `(.l[0], .n) += (1, 2)`, `.l[0] -= 1`, `setpath(["l", 2]; 1)`, `pick(.l[1])`, `.l[2] //= "new"`, `.l[0] /= 2`, `(.l[0], .l[1]) |= empty`, `def f: 1; f + .n`, `def _f($x): $x * 2; _f(.n)`, `.l | to_entries`, `.o | with_entries(.value += {z: 1})`, `[.l[] | type] | group_by(.) | map({(.[0]): length}) | add`, `.o | tojson | fromjson`,
		`try (.s * .s) catch "no"`, `try ({} + 1) catch .`, `try test(1) catch "no"`, `try ("a" | test("(")) catch "no"`, `try ("a" | test("a"; "q")) catch "no"`, `[paths]`, `path(.o.a)`, `reduce .l[] as $x (0; . + 1)`, `[.n as $__x | $__x]`, `[limit(3; repeat(.n + .n))]`, `-.n + 1`, `.k // "x" + "y"`,
	} {
		query, err := gojq.Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		var want []any
		for values := query.Run(input); ; {
			v, ok := values.Next()
			if !ok {
				break
			}
			want = append(want, v)
		}
		f, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f(t.Context(), input); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
}

// No single step takes the memory or the time of the process.
func TestBounded(t *testing.T) {
	data := map[string]any{"s": strings.Repeat("x", 1<<20), "p": "(x?){900}(x?){900}", "n": 500_000_000}
	for text, want := range map[string]string{
		`("a" * 500000000) | explode | length`: "more than 8388608", `.n * "a"`: "more than", `.s * .n`: "more than", `.s *= .n`: "more than", `"a" * infinite`: "more than",
		`reduce range(60) as $i ("a"; . + .)`: "more than", `reduce range(60) as $i ([1]; . + .)`: "more than", `reduce range(60) as $i ("a"; . += .)`: "more than",
		`reduce range(60) as $i ("a"; "\(.)\(.)")`: "more than", `reduce range(60) as $i ("a"; @text "\(.)\(.)")`: "more than", `reduce range(60) as $i (10; . * .)`: "more than",
		`reduce range(60) as $i (1; [., .]) | tojson`: "more than", `reduce range(60) as $i (1; [., .]) | "\(.)"`: "more than", `reduce range(60) as $i (1; [., .]) | flatten`: "more than",
		`reduce range(60) as $i (1; [., .]) | @json`: "more than", `reduce range(60) as $i (1; [., .]) | format("json")`: "more than", `reduce range(60) as $i (1; [., .]) | tostring`: "more than",
		`.s as $s | [range(1000) | $s] | add`: "more than", `.s as $s | [range(1000) | $s] | join("")`: "more than", `.s as $s | [range(1000) | 1] | join($s)`: "more than", `[range(10000) | []] + [[range(10000)]] | transpose`: "more than",
		`.s as $s | add(range(1000) | $s)`: "more than", `reduce range(60) as $i ({}; {a: ., b: .}) | . * .`: "more than",
		`.s | test("(x?){500}(x?){500}(x?){500}$")`: "more than 2000 steps", `.s | test("(x?){100}y")`: "too large for a text", `.p as $p | .s | test($p)`: "more than 2000 steps",
		`[] | .[500000000] = 1`: "a place of more", `[] | .[500000000] |= 1`: "a place of more", `[] | .[500000000] += 1`: "a place of more", `[] | .[500000000] *= "a"`: "a place of more", `[] | (1, 500000000) as $n | .[$n] //= 1`: "a place of more",
		`[] | setpath([500000000]; 1)`: "a place of more", `[] | pick(.[500000000])`: "a place of more", `{} | .a.b[500000000].c = 1`: "a place of more",
		`.s[:100000] | [match("x*y|x"; "g")] | length`: "takes more than", `.s[:100000] | gsub("x*y|x"; "")`: "takes more than",
	} {
		f, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		before, from := allocated(), time.Now()
		_, err = f(t.Context(), data)
		if took := time.Since(from); err == nil || !strings.Contains(err.Error(), want) || parley.CodeOf(err) != parley.Unprocessable && parley.CodeOf(err) != parley.Timeout || took > 10*MaxTime {
			t.Errorf("%s: %v after %s", text, err, took)
		}
		if took := allocated() - before; took > 512<<20 {
			t.Errorf("%s takes %d bytes", text, took)
		}
	}
	for _, text := range []string{`_multiply("a"; 5)`, `_match("a"; null; true)`, `__sized`, `def __f: 1; __f`, `_add(1; 2)`, `[.a | {b: _add(1; 2)}]`} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), "not for use") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got := fmt.Sprint(times("ab", math.NaN()), times("ab", "x"), times("ab", 3)); got != "0 0 6" {
		t.Error(got)
	}
}

// allocated gives the bytes that were ever allocated by the process.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
