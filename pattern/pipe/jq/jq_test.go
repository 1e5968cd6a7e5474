package jq

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

func TestPrograms(t *testing.T) {
	big1, _ := new(big.Int).SetString("123456789012345678901", 10)
	data := map[string]any{"id": 7, "big": big1, "items": []any{map[string]any{"p": 1.5}, map[string]any{"p": 2}}}
	before := fmt.Sprint(data)
	for text, want := range map[string]string{
		`{id: .id}`: "[map[id:7]]", `.items[]|.p`: "[1.5 2]", `empty`: "[]", `.big`: "[123456789012345678901]",
		`.items|map(.p)|add`: "[3.5]", `.items[0].p = 9 | .items[0].p`: "[9]", `.nothing // "x"`: "[x]", `1, halt, 2`: "[1]",
		`$ENV|length`: "[0]", `[limit(3; repeat(1))]|length`: "[3]",
	} {
		f, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f(t.Context(), data); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if fmt.Sprint(data) != before {
		t.Errorf("the input is %v now", data)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{id: .id`: "at character 9", `.a | nothing`: "function not defined: nothing/0", `import "x" as x; 1`: "module", `input`: "not allowed", strings.Repeat(".", MaxBytes+1): "more than",
		`.a b`: "at character 4",
	} {
		_, err := Compile(text)
		var e *parley.Error
		if !errors.As(err, &e) || !strings.Contains(e.Detail, want) || e.Fix == "" {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	for text, want := range map[string]parley.Code{`.a.b`: parley.Unprocessable, `error("x")`: parley.Unprocessable, `range(1e9)`: parley.TooLarge} {
		f, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f(t.Context(), map[string]any{"a": 1}); parley.CodeOf(err) != want || err == nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A program without an end is stopped by the clock, and by its context before that.
func TestEndless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := Compile(`reduce range(infinite) as $i (0; .+1)`)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	f, err := Compile(`reduce range(infinite) as $i (0; .+1)`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f(t.Context(), nil); parley.CodeOf(err) != parley.Timeout || err == nil {
		t.Error(err)
	}
}

func BenchmarkMap(b *testing.B) {
	f, err := Compile(`{id: .id, total: (.total * 2)}`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f(b.Context(), map[string]any{"id": 1, "total": 2}); err != nil {
			b.Fatal(err)
		}
	}
}
