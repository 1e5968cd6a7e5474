package lang

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func words(p Pipe) (all []string) {
	for _, s := range p.Stages {
		all = append(all, s.Name.Text)
		for _, w := range s.Args {
			all = append(all, w.Text)
		}
		all = append(all, "|")
	}
	return all
}

func TestParse(t *testing.T) {
	for text, want := range map[string][]string{
		`cat file.txt | grep error | sort | uniq`: {"cat", "file.txt", "|", "grep", "error", "|", "sort", "|", "uniq", "|"},
		"a|b\n|\tc":               {"a", "|", "b", "|", "c", "|"},
		`grep 'a | b' "c\"d\$\x"`: {"grep", "a | b", `c"d$\x`, "|"},
		`a '' "" b\ c d'e'"f"`:    {"a", "", "", "b c", "def", "|"},
		"a b\\\nc \\\n d":         {"a", "bc", "d", "|"},
		`grep "x$" y$`:            {"grep", "x$", "y$", "|"},
		`grep a#b c~d e=f !g {h}`: {"grep", "a#b", "c~d", "e=f", "!g", "{h}", "|"},
		"grep '\n' \"\n\"":        {"grep", "\n", "\n", "|"},
		"grep \xff\xfe é":         {"grep", "\xff\xfe", "é", "|"},
	} {
		p, err := Parse(text)
		if err != nil || !slices.Equal(words(p), want) {
			t.Errorf("%q: %q, %v", text, words(p), err)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, row := range []struct {
		text      string
		pos       int
		what, fix string
	}{
		{"", 0, "there is no stage", "write stages"},
		{"  ", 2, "there is no stage", "write stages"},
		{"| sort", 0, "nothing stands before the |", "begin with a stage"},
		{"sort |", 6, "nothing stands behind the |", "name a stage"},
		{"cat a || sort", 6, "|| is not part of a pipe", "write one |"},
		{"grep 'x", 5, "a single quote is never closed", "close it"},
		{`grep "x\"`, 5, "a double quote is never closed", "close it"},
		{`grep x\`, 6, "a backslash has nothing behind it", `write \\`},
		{"sort > out", 5, "an unquoted > is not part of a pipe", "end the pipe with: tee FILE"},
		{"sort < in", 5, "an unquoted < is not part of a pipe", "begin the pipe with: cat FILE"},
		{"sort & uniq", 5, "an unquoted & is not part of a pipe", "quote it"},
		{"sort; uniq", 4, "an unquoted ; is not part of a pipe", "quote it"},
		{"grep `id`", 5, "an unquoted ` is not part of a pipe", "quote it"},
		{"grep \"`id`\"", 6, "an unquoted ` is not part of a pipe", "quote it"},
		{"grep $HOME", 5, "nothing is put in the place of $H…", "use single quotes"},
		{`grep "a${b}"`, 7, "nothing is put in the place of ${…", "use single quotes"},
		{"cat ~/x", 4, "an unquoted ~ at the start of a word", `put a \ before it`},
		{"cat # x", 4, "an unquoted # at the start of a word", `put a \ before it`},
		{"cat \x00", 4, "a NUL byte", "take it away"},
		{"cat " + strings.Repeat("x", MaxBytes), MaxBytes, "the text goes on for too long", "split it"},
	} {
		_, err := Parse(row.text)
		var m *Mistake
		var e *parley.Error
		if !errors.As(err, &m) || !errors.As(err, &e) {
			t.Errorf("%q: gives %v", row.text, err)
			continue
		}
		field := fmt.Sprintf("pipe, column %d", row.pos+1)
		if m.Pos != row.pos || !strings.HasPrefix(m.What, row.what) || !strings.HasPrefix(e.Fix, row.fix) || e.Field != field || e.Code != parley.Invalid {
			t.Errorf("%q: at %d %q, fix %q, field %q", row.text, m.Pos, m.What, e.Fix, e.Field)
		}
	}
}

func TestString(t *testing.T) {
	for text, want := range map[string]string{
		` cat   "file.txt"|grep 'error'  | sort`: "cat file.txt | grep error | sort",
		`grep "it's" '' "a b"`:                   `grep 'it'\''s' '' 'a b'`,
		`cat *.log "*.txt" a\*`:                  `cat *.log '*.txt' 'a*'`,
	} {
		p, err := Parse(text)
		if err != nil || p.String() != want {
			t.Errorf("%q: %q, %v", text, p.String(), err)
		}
	}
	p, err := Parse(`cat a[bc]'*'*\?`)
	if err != nil || p.Stages[0].Args[0].Glob != `a[bc]\**\?` {
		t.Errorf("%+v, %v", p.Stages, err)
	}
}

// Whatever is accepted means the same in its one form.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"cat f | grep 'x y' | sort -k2,2n", `a "b\"" \| c`, "a '", "$x", "a\\\nb", "*[ab]?", "a|", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			var m *Mistake
			if !errors.As(err, &m) || m.Pos < 0 || m.Pos > m.End || m.End > len(text) {
				t.Fatalf("%q: %v, %+v", text, err, m)
			}
			return
		}
		again, err := Parse(p.String())
		if err != nil || !slices.Equal(words(again), words(p)) || again.String() != p.String() {
			t.Fatalf("%q became %q: %v", text, p.String(), err)
		}
	})
}
