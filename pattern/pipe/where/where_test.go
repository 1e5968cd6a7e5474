package where

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

var order = parley.Event{
	ID: "1", Source: "/shop", Type: "order.placed", Subject: "o1", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	DataContentType: "application/json", Extensions: map[string]string{"region": "eu"},
	Data: []byte(`{"total":120,"items":[{"price":5},{"price":70}],"tags":["a","b"],"city":"Bonn"}`),
}

func orderData() any {
	return map[string]any{
		"total": 120, "city": "Bonn", "tags": []any{"a", "b"},
		"items": []any{map[string]any{"price": 5}, map[string]any{"price": 70.5}},
	}
}

func TestExpressions(t *testing.T) {
	for text, want := range map[string]any{
		`data.total > 100`: true, `data.total > 100.5 and type == "order.placed"`: true,
		`data.total == 120`: true, `data.missing == nil`: true, `data.missing?.deeper ?? "none"`: "none",
		`any(data.items, .price > 50)`: true, `all(data.items, .price > 50)`: false, `count(data.items, .price > 1)`: 2,
		`"a" in data.tags`: true, `len(data.tags)`: 2, `sum(map(data.items, .price))`: 75.5, `data.city startsWith "Bo"`: true,
		`data.city matches "^B.*n$"`: true, `ext.region`: "eu", `ext.nothing`: "", `id + "-" + subject`: "1-o1",
		`time > date("2026-01-01")`: true, `source contains "shop" ? 1 : 2`: 1, `upper(data.city)`: "BONN",
		`data.total + 1`: 121, `data.tags[0] + data.tags[1]`: "ab", `any(data.items, any(data.tags, # == "b"))`: true,
		`filter(data.tags, # != "a")[0]`: "b", `data["city"]`: "Bonn", `datacontenttype`: "application/json",
	} {
		f, err := Compile(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for range 2 { // the second time with a machine that was used
			if got, err := f(&order, orderData()); err != nil || got != want {
				t.Errorf("%s: %v (%T), %v", text, got, got, err)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`total > 100`:                       "a member of the data is data.total",
		`data.total >`:                      "unexpected token EOF",
		`subject + 1`:                       "mismatched types",
		`"text"`:                            "expected bool",
		`let x = data; x == x`:              "variables and ; are not part of an expression",
		`now() > time`:                      "what it does has no bound",
		`repeat("x", 10) == ""`:             "what it does has no bound",
		`data matches "(x?){900}(x?){900}"`: "matches \"(x?){900}(x?){900}\": the regular expression is too large",
		`data.a matches "("`:                "no regular expression",
		`5 matches "x"`:                     "string",
		`__tank == nil or __other`:          "names that begin with __",
		strings.Repeat("data == 1 or ", 400) + "true": "more than 4096 bytes",
		"[" + strings.Repeat("1,", 600) + "1] == nil": "exceeds maximum allowed nodes",
	} {
		_, err := Compile(text, true)
		var e *parley.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), want) || e.Fix == "" {
			t.Errorf("%.50s: %v", text, err)
		}
	}
	f, err := Compile(`data.city > 5`, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f(&order, orderData()); parley.CodeOf(err) != parley.Unprocessable || !strings.Contains(err.Error(), "string > int") {
		t.Error(err)
	}
}

// What an expression does to one event is bounded, whatever the event.
func TestBounds(t *testing.T) {
	long := make([]any, 50_000)
	for i := range long {
		long[i] = i
	}
	data := map[string]any{"a": long, "s": strings.Repeat("x", 1<<19), "big": "(x?){900}(x?){900}", "x": "x"}
	e := order
	e.Data = make([]byte, 1<<20)
	for text, want := range map[string]string{
		`all(data.a, # >= 0)`:                                        "",
		`count(data.a, # == 7) == 1`:                                 "",
		`all(data.a, all(data.a, # >= 0))`:                           "million steps",
		`all(data.a, all(data.a, all(data.a, all(data.a, # >= 0))))`: "million steps",
		`all(data.a, sum(data.a) > 0)`:                               "million steps",
		`all(data.a, # in data.a)`:                                   "million steps",
		`all(1..900000, len(1..900000) > 0)`:                         "budget",
		`data.s + data.s == data.s`:                                  "",
		`data.s + data.s + data.s == data.s`:                         "1 MiB",
		`len(map(data.a, data.s + data.s)) > 0`:                      "million steps",
		`data.s matches "^x+$"`:                                      "",
		`data.s matches "(x?){200}(x?){200}y"`:                       "takes more than 1s",
		`any(1..20, data.s matches "(x?){200}(x?){200}y")`:           "takes more than 1s",
		`data.s matches data.big`:                                    "more than 2000 steps",
		`all(data.a, data.s matches (data.x + "x"))`:                 "million steps",
	} {
		f, err := Compile(text, true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f(&e, data)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFunctionsAreThose(t *testing.T) {
	if !slices.IsSorted(Functions()) {
		t.Error("they are not in order")
	}
	for _, name := range Functions() {
		if _, err := Compile(name+"()", false); err == nil || strings.Contains(err.Error(), "unknown name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No expression and no data make it panic or go on without end.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`data.total > 1`, `any(data, .a == #index)`, `data.a + data.b`, `[1,2][data]`, `{"a": data}.a?.b ?? 1`, `1..data`, `data matches data`, `-data ** 2`} {
		f.Add(seed, `{"a":[1,"x",null],"b":{"c":1.5}}`)
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		run, err := Compile(text, false)
		if err != nil {
			return
		}
		var v any
		if json.Unmarshal([]byte(data), &v) != nil {
			v = data
		}
		e := order
		e.Data = []byte(data)
		if _, err := run(&e, v); err != nil && parley.CodeOf(err) != parley.Unprocessable {
			t.Fatal(err)
		}
	})
}

func BenchmarkWhere(b *testing.B) {
	f, err := Compile(`data.total > 100 and type == "order.placed"`, true)
	if err != nil {
		b.Fatal(err)
	}
	data := orderData()
	b.ReportAllocs()
	for b.Loop() {
		if v, err := f(&order, data); v != true || err != nil {
			b.Fatal(v, err)
		}
	}
}
