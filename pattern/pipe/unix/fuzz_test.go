package unix

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever is written is understood or refused; patterns are compared with package
// regexp, where both mean the same.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"cat f | grep -E '(a|b)*c{2,3}[[:alpha:]]'", `grep '\(a\)\{2\}^b$' -e x`, "sort -k2,2n -t, | uniq -c", "cut -f1,3- -d' '", "head -n -5 | tail +3", "exec --timeout 1s true", "wc -lw -- f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "*") && strings.Contains(text, "/") {
			return // patterns of file names would look all over the disk
		}
		p, err := Compile(text)
		if err != nil {
			return
		}
		if len(p.Explain()) == 0 || p.String() == "" {
			t.Fatalf("%q is understood as nothing", text)
		}
	})
}

// Lines through sort, uniq and grep are those that Go's own functions give.
func FuzzLines(f *testing.F) {
	f.Add([]byte("b\na\n\na\x00\nb"), "a", uint8(3))
	f.Add([]byte("error one\nError\nxerrorx\n"), "error", uint8(0))
	f.Add(bytes.Repeat([]byte("abcabdabc\n"), 50), "abd", uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, word string, split uint8) {
		if word == "" || strings.ContainsAny(word, "\n\x00") {
			return
		}
		x, err := compile([]string{word}, 'F', split&1 == 1)
		if err != nil {
			t.Fatal(err)
		}
		s := scan{x: x}
		s.reset(in)
		var got, want []string
		for at := 0; ; {
			from, to, ok := s.line(at)
			if !ok {
				break
			}
			got, at = append(got, string(in[from:to])), to+1
		}
		lines := strings.Split(strings.TrimSuffix(string(in), "\n"), "\n")
		for _, l := range lines {
			if split&1 == 0 && strings.Contains(l, word) || split&1 == 1 && bytes.Contains(lower(nil, []byte(l)), lower(nil, []byte(word))) {
				want = append(want, l)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %q, want %q", word, in, got, want)
		}
		var st lineStore
		st.adopt(in)
		st.byBytes(st.entries, 0)
		var sorted []string
		for i := range st.entries {
			sorted = append(sorted, string(st.line(&st.entries[i])))
		}
		if len(in) > 0 {
			slices.Sort(lines)
			if !slices.Equal(sorted, lines) {
				t.Fatalf("%q sorted is %q", lines, sorted)
			}
		}
	})
}

// A text is found where package bytes finds it.
func FuzzNeedle(f *testing.F) {
	f.Add(bytes.Repeat([]byte("the error of an errand "), 9), "error")
	f.Add(bytes.Repeat([]byte{1, 0}, 40), "\x01\x00\x01\x00\x02")
	f.Fuzz(func(t *testing.T, in []byte, text string) {
		n := newNeedle(text)
		if got, want := n.index(in), bytes.Index(in, []byte(text)); got != want {
			t.Fatalf("%q in %q: %d, want %d", text, in, got, want)
		}
	})
}

// Extended expressions without what differs mean the same to package regexp.
func FuzzExtended(f *testing.F) {
	f.Add("(a|b)*c+", "abcc")
	f.Add("^a?[b-d]{2}$", "abc")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		if strings.Trim(pattern, "abcd()|*+?.^$") != "" || strings.ContainsAny(line, "\n") || !ascii([]byte(line)) {
			return
		}
		re, err := regexp.CompilePOSIX(pattern)
		if err != nil {
			return
		}
		x, err := compile([]string{pattern}, 'E', false)
		if err != nil {
			return
		}
		if x.match([]byte(line)) != re.MatchString(line) {
			t.Fatalf("%q and %q", pattern, line)
		}
	})
}
