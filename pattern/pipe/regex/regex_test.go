package regex

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestTooLarge(t *testing.T) {
	for text, want := range map[string]string{
		"(x?){500}(x?){500}(x?){500}$": "more than 2000 steps", "(": "no regular expression", "(?i)" + strings.Repeat("a", 3000): "more than",
		"((a{30}){30}){2}": "invalid repeat", "x{1000}": "", strings.Repeat("a", 3000): "", `\p{L}+@[^.]+\.(com|org)`: "",
	} {
		_, err := Compile(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

// Text is matched alike through the reader and without it.
func TestMatch(t *testing.T) {
	texts := []string{"", "a", "xéy", "a\xffb", "one\ntwo", strings.Repeat("ab", 100) + "c"}
	for _, pattern := range []string{"^$", "a$", "é", `\xff`, "(?m)^two$", `\bab`, "(ab)+c$", "[^a]", "."} {
		r, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			want := regexp.MustCompile(pattern).MatchString(text)
			for _, spent := range []int{0, cheap} {
				m, m2 := Meter{spent: spent}, Meter{spent: spent}
				a, err := r.Match(t.Context(), &m, []byte(text))
				b, err2 := r.MatchString(&m2, text)
				if a != want || b != want || err != nil || err2 != nil {
					t.Errorf("%s of %q after %d: %v %v, want %v (%v, %v)", pattern, text, spent, a, b, want, err, err2)
				}
			}
		}
	}
}

func TestTime(t *testing.T) {
	r, err := Compile("(x?){200}(x?){200}$")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1<<20) + "y"
	m, from := Meter{}, time.Now()
	if _, err := r.MatchString(&m, text); parley.CodeOf(err) != parley.Timeout || err == nil {
		t.Error(err)
	}
	if _, err := r.Match(t.Context(), &m, []byte(text)); parley.CodeOf(err) != parley.Timeout || err == nil {
		t.Error("the time of a meter is for all of its matches:", err)
	}
	if took := time.Since(from); took > 10*MaxTime {
		t.Errorf("it took %s", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Match(ctx, &Meter{}, []byte(text)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
