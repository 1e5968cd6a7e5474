package suggest

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	among := []string{"listen", "limits", "data", "tls", "topics"}
	for word, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "limit": "limits", "dta": "data", "Data": "data",
		"tsl": "tls", "topcis": "topics", "banana": "", "x": "", "": "", strings.Repeat("listen", 20): "",
	} {
		if got := Closest(word, among); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"same", "same", 0}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
