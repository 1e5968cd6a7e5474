package pipe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dice makes inputs and pipes that are legal and awkward.
type dice struct{ *rand.Rand }

func (d dice) of(all ...string) string { return all[d.IntN(len(all))] }

// maybe gives a text one time in n.
func (d dice) maybe(n int, text string) string {
	if d.IntN(n) == 0 {
		return text
	}
	return ""
}

// input makes lines that are often equal, of few words and many odd bytes.
func (d dice) input() string {
	var b strings.Builder
	for range d.IntN(40) {
		switch d.IntN(12) {
		case 0:
			b.WriteString(d.of("", "\r", " ", "\t\t", "a\x00b", "\x00", "\xff\xfe", "é", "\x80x", "-", "-0", "+5", "1e3", "0x10", ".5", "-.5", "00012", "1,5", "9999999999999999999", "99999999999999999998"))
		case 1:
			fmt.Fprintf(&b, "%s%d.%d", d.of("", "-", " ", "  -"), d.IntN(200), d.IntN(50))
		default:
			for i := range 1 + d.IntN(4) {
				if i > 0 {
					b.WriteString(d.of(" ", " ", "\t", ",", ":", "  "))
				}
				b.WriteString(d.of("a", "b", "ab", "abc", "B", "error", "Error", "x_1", "12", "7", "007", "-3", "foo bar", ".", "[x]", "a*", "\\", "$", "^"))
			}
		}
		b.WriteByte('\n')
	}
	s := b.String()
	if d.IntN(3) == 0 {
		s = strings.TrimSuffix(s, "\n")
	}
	if d.IntN(5) > 0 { // binary input is a matter of its own
		s = strings.ReplaceAll(s, "\x00", "0")
	}
	return s
}

// pattern makes a regular expression.
func (d dice) pattern(extended bool, depth int) string {
	open, shut, bar, plus, quest, l, r := `\(`, `\)`, `\|`, `\+`, `\?`, `\{`, `\}`
	if extended {
		open, shut, bar, plus, quest, l, r = "(", ")", "|", "+", "?", "{", "}"
	}
	var b strings.Builder
	b.WriteString(d.maybe(5, "^"))
	for range 1 + d.IntN(3) {
		switch d.IntN(9) {
		case 0:
			if depth < 2 {
				b.WriteString(open + d.pattern(extended, depth+1) + shut)
			}
		case 1:
			b.WriteString(d.of("[ab]", "[^ab]", "[a-c1-9]", "[]x]", "[^]x]", "[[:alpha:]]", "[[:digit:][:space:]]", "[^[:alnum:]]", "[a-]", "[[.a.]b]", `[\]`, "[[:upper:]]", "[[:punct:]]"))
		case 2:
			b.WriteString(d.of(".", `\.`, `\w`, `\W`, `\s`, `\S`, `\b`, `\B`, `\[`, `\*`, `\\`, `\$`, `\^`, `\<a`, `b\>`))
		default:
			b.WriteString(d.of("a", "b", "ab", "er", "rr", "x", "1", "0", "E", ",", "-", " "))
		}
		switch d.IntN(9) {
		case 0:
			b.WriteString("*")
		case 1:
			b.WriteString(d.of(plus, quest))
		case 2:
			b.WriteString(l + d.of("2", "1,2", "0,1", ",2", "1,", "0") + r)
		}
	}
	b.WriteString(d.maybe(5, "$"))
	if depth < 2 && d.IntN(5) == 0 {
		b.WriteString(bar + d.pattern(extended, depth+1))
	}
	return b.String()
}

func (d dice) grep() string {
	flags := d.maybe(3, " -i") + d.maybe(3, " -v") + d.maybe(5, " -c") + d.maybe(4, " -n") + d.maybe(4, " -o") + d.maybe(4, " -a")
	quote := func(p string) string { return " -e '" + p + "'" }
	switch d.IntN(3) {
	case 0:
		return "grep -F" + flags + quote(d.of("a", "error", "ab\nb", "", ".", "[x]", "a*", "\\", "é", "\xff", "foo bar", "er"))
	case 1:
		return "grep -E" + flags + quote(d.pattern(true, 0))
	}
	return "grep" + flags + quote(d.pattern(false, 0)) + d.maybe(4, quote(d.pattern(false, 1)))
}

func (d dice) sort() string {
	s := "sort" + d.maybe(3, " -r") + d.maybe(3, " -n") + d.maybe(4, " -u") + d.maybe(5, " -s") + d.maybe(6, " -f") + d.maybe(6, " -b") + d.maybe(4, " -t "+d.of(",", ":", "' '", "a"))
	for range d.IntN(3) {
		s += " -k " + d.of("1", "2", "1,1", "2,2", "1.2", "2.2,3.1", "1.1,1.2", "3") + d.of("", "", "n", "r", "nr", "b", "f", "bn")
	}
	return s + d.maybe(4, " -S 2b")
}

func (d dice) list() string { return d.of("1", "2", "1,3", "2-", "-2", "1-2,4", "3,1", "2-3,3-5", "7") }

func (d dice) stage() string {
	switch d.IntN(11) {
	case 0, 1, 2:
		return d.grep()
	case 3, 4:
		return d.sort()
	case 5, 6:
		return "uniq" + d.maybe(3, " -c") + d.maybe(4, " -d") + d.maybe(4, " -u")
	case 7:
		return "head" + d.of("", " -n 3", " -2", " -n 0", " -n -3", " -n -0", " --lines=4")
	case 8:
		return "tail" + d.of("", " -n 3", " -2", " -n 0", " -n +3", " -n +0", " -n -2")
	case 9:
		return "wc" + d.of("", " -l", " -w", " -c", " -lw", " -wc", " -cl")
	}
	return "cut" + d.of(" -c "+d.list(), " -b"+d.list(), " -f "+d.list(), " -f "+d.list()+" -d ,", " -s -f "+d.list()+" -d ' '", " -d: -f"+d.list())
}

func (d dice) text() string {
	stages := []string{d.of("cat in", "cat in", "cat in in", "cat other - in", "cat")}
	if d.IntN(4) == 0 {
		stages[0] = d.of("sort in other", "cut -c 1-3 in other in", "wc in", "wc -l in", "grep -c a in", "head -n 5 in", "tail -n 4 in", "uniq -c in", "sort other -")
	}
	for range 1 + d.IntN(3) {
		stages = append(stages, d.stage())
	}
	return strings.Join(stages, " | ")
}

// pipes is how many are made: the same ones each time.
const pipes = 400

func TestRandomPipes(t *testing.T) {
	dir := t.TempDir()
	refused := 0
	for seed := range uint64(pipes) {
		if compare(t, dir, seed) {
			refused++
		}
		if t.Failed() {
			return
		}
	}
	if refused > pipes/5 {
		t.Errorf("%d of %d pipes were refused", refused, pipes)
	}
}

// compare runs one pipe both ways, and says whether ours refused it with a hint to
// let the program itself do it.
func compare(t testing.TB, dir string, seed uint64) (refused bool) {
	t.Helper()
	d := dice{rand.New(rand.NewPCG(seed, 1))}
	in, text := d.input(), d.text()
	write(t, filepath.Join(dir, "in"), in)
	write(t, filepath.Join(dir, "other"), d.of("b\na\n", "no newline", "", "a,b,c\n\n1:2:3\n"))
	want, got := gnu(t, dir, text), ours(t, dir, text)
	if got.code == 2 && strings.Contains(got.err, "exec grep") {
		return true
	}
	if got.code == 2 && want.code == 2 { // both say that the pattern is wrong
		return false
	}
	if got.out != want.out || binaryNote(got.err) != binaryNote(want.err) {
		t.Errorf("seed %d: %s\ninput %q\n got %q %s\nwant %q %s", seed, text, in, got.out, got.err, want.out, want.err)
	}
	if nothing := got.code == 3; nothing != (want.code == 1) || got.code != 0 && got.code != 3 {
		t.Errorf("seed %d: %s\ninput %q: code %d, GNU's %d: %s", seed, text, in, got.code, want.code, got.err)
	}
	return false
}

func binaryNote(said string) bool { return strings.Contains(said, "binary file matches") }

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzPipes goes on where TestRandomPipes ends.
func FuzzPipes(f *testing.F) {
	dir := f.TempDir()
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		own, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		compare(t, own, seed)
	})
}
