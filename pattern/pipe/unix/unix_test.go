package unix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// run runs a pipe over a text.
func run(t testing.TB, text, in string) (out, said string, outcome Outcome) {
	t.Helper()
	p, err := Compile(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var o, e bytes.Buffer
	outcome, err = p.Run(t.Context(), IO{In: strings.NewReader(in), Out: &o, Err: &e, Temp: t.TempDir()})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o.String(), e.String(), outcome
}

// What GNU gives, as test/pipe compares it on many more inputs.
func TestStages(t *testing.T) {
	for _, row := range []struct{ text, in, want string }{
		{"grep error | sort | uniq", "b error\na\nc error\nb error\nz error", "b error\nc error\nz error\n"},
		{"cat", "no newline", "no newline"},
		{"grep x", "x", "x\n"},
		{"grep -v x", "x\ny", "y\n"},
		{"grep -c x", "x\ny\nxx", "2\n"},
		{"grep -n x", "a\nx\n\nx", "2:x\n4:x\n"},
		{"grep -i ERR", "Error\nerr\nno", "Error\nerr\n"},
		{"grep -o 'a*'", "baab\nb", "aa\n"},
		{"grep -on '[0-9]'", "a1b2\nc\n3", "1:1\n1:2\n3:3\n"},
		{"grep -E 'a|ab' -o", "abab", "ab\nab\n"},
		{`grep 'a\|ab' -o`, "abab", "ab\nab\n"},
		{"grep '^*a$b'", "*a$b\na", "*a$b\n"},
		{"grep -E '^(a+b){2}$'", "abaab\nab", "abaab\n"},
		{"grep -F 'a.*'", "a.*\nabc", "a.*\n"},
		{"grep -o .", "é\xff", "\xc3\n\xa9\n\xff\n"},
		{"grep -o '[^a]b'", "\xe9b", "\xe9b\n"},
		{`grep '\<b\>'`, "ab\na b c", "a b c\n"},
		{"grep -e a -e b", "a\nb\nc", "a\nb\n"},
		{"grep 'a\nb'", "a\nb\nc", "a\nb\n"},
		{"grep -a a", "a\x00\nb", "a\x00\n"},
		{"sort", "b\na\nc", "a\nb\nc\n"},
		{"sort -r", "b\na\nc\n", "c\nb\na\n"},
		{"sort", "a\x00\na\na\x00\x00\na", "a\na\na\x00\na\x00\x00\n"},
		{"sort -n", "10\n9\n-1\n-10\n.5\nx\n", "-10\n-1\nx\n.5\n9\n10\n"},
		{"sort -u", "b\na\nb\n", "a\nb\n"},
		{"sort -t , -k 2,2n", "a,10\nb,9\nc,9\n", "b,9\nc,9\na,10\n"},
		{"sort -k 2", "x b\ny a\n", "y a\nx b\n"},
		{"sort -s -k 1,1", "b 2\na 9\nb 1\n", "a 9\nb 2\nb 1\n"},
		{"sort -f", "b\nA\na\nB\n", "A\na\nB\nb\n"},
		{"uniq", "a\na\nb\na", "a\nb\na\n"},
		{"uniq -c", "a\na\nb\n", "      2 a\n      1 b\n"},
		{"uniq -d", "a\na\nb\n", "a\n"},
		{"uniq -u", "a\na\nb\n", "b\n"},
		{"sort | uniq -c", "b\na\nb\n", "      1 a\n      2 b\n"},
		{"head -n 2", "a\nb\nc", "a\nb\n"},
		{"head -2", "a", "a"},
		{"head -n -1", "a\nb\nc", "a\nb\n"},
		{"tail -n 2", "a\nb\nc", "b\nc"},
		{"tail -n +2", "a\nb\nc", "b\nc"},
		{"wc -l", "a\nb", "1\n"},
		{"wc", "a b\nc\n", "      2       3       6\n"},
		{"wc -w", "a\x01 \x02 b", "2\n"},
		{"cut -d , -f 2", "a,b,c\nd\ne,", "b\nd\n\n"},
		{"cut -d , -f 1,3- -s", "a,b,c,d\nd\n", "a,c,d\n"},
		{"cut -c 2-3", "abcd\nx", "bc\n\n"},
		{"tee", "a", "a"},
		{"exec tr a-z A-Z | cat", "abc", "ABC"},
		{"exec cat | head -n 1 | exec cat", strings.Repeat("y\n", 1<<20), "y\n"},
	} {
		if got, said, _ := run(t, row.text, row.in); got != row.want || said != "" {
			t.Errorf("%s of %q: %q, want %q (%s)", row.text, row.in, got, row.want, said)
		}
	}
}

func TestBinaryInput(t *testing.T) {
	out, said, outcome := run(t, "grep a", "a\nb\x00a\n")
	if out != "" || said != "grep: (standard input): binary file matches\n" || !outcome.Found {
		t.Errorf("%q, %q", out, said)
	}
	if out, said, _ := run(t, "grep -c a", "a\x00a\n"); out != "2\n" || said != "" {
		t.Errorf("%q, %q", out, said)
	}
	large := strings.Repeat("ab\n", 1<<20) + "a\x00\n" + strings.Repeat("ab\n", 1<<20)
	if out, said, _ = run(t, "grep a | wc -l", large); said == "" || len(out) > 8 || out < "9" && len(out) == 2 {
		t.Errorf("%q, %q", out, said)
	}
}

func TestFound(t *testing.T) {
	for text, want := range map[string]bool{"grep a": true, "grep x": false, "grep -c x": false, "grep x | wc -l": true, "grep -v a": false} {
		if _, _, outcome := run(t, text, "a\n"); outcome.Found != want {
			t.Errorf("%s: found is %v", text, outcome.Found)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, row := range []struct {
		text      string
		pos       int
		what, fix string
	}{
		{"cat a | srt", 8, `"srt" is not a stage`, "use one of cat, grep"},
		{"cat -A a", 4, "cat has no option -A", "it has no options; or use: exec cat"},
		{"sort --revers", 5, "sort has no option --revers", "use one of --reverse"},
		{"sort -rk", 5, "the argument of -k is missing", "write it like -k FIELD"},
		{"sort -k 0", 5, `"0" is not a key`, "write it like -k 2,2n"},
		{"sort -t ab", 5, `"ab" is not one character`, "write it like -t ,"},
		{"sort -S x", 5, `"x" is not a size`, "write it like -S 64M"},
		{"sort --reverse=1", 5, "--reverse has no argument", "write it without ="},
		{"sort --key", 5, "the argument of --key is missing", "write it like --key="},
		{"grep", 0, "grep needs a pattern", "write it like: grep error"},
		{`grep '\(a\)\1'`, 5, `the pattern cannot be used: \1 refers back`, "use: exec grep"},
		{`grep -E '(a'`, 8, "the pattern cannot be used: a parenthesis is never closed", "see POSIX"},
		{`grep '\(a'`, 5, "the pattern cannot be used: a parenthesis is never closed", "see POSIX"},
		{`grep 'a\)'`, 5, "the pattern cannot be used: a closing parenthesis", "see POSIX"},
		{`grep '[a'`, 5, "the pattern cannot be used: a [ is never closed", "see POSIX"},
		{`grep '[b-a]'`, 5, "the pattern cannot be used: a range ends", "see POSIX"},
		{`grep '[[:foo:]]'`, 5, "the pattern cannot be used: [:foo:] is not a class", "see POSIX"},
		{`grep -E 'a{2,1}'`, 8, "the pattern cannot be used: an interval ends", "see POSIX"},
		{`grep -E 'a{9999}'`, 8, "the pattern cannot be used: an interval goes beyond 1000", "use: exec grep"},
		{`grep 'a\'`, 5, "the pattern cannot be used: a backslash has nothing", "see POSIX"},
		{"cat a | sort b", 13, "sort would read b and not what comes before it", "take the file away"},
		{"grep x a b", 9, "grep takes one file", "write it like: cat FILE… | grep"},
		{"uniq a b", 7, "uniq writes to the next stage", "end the pipe with: tee FILE"},
		{"head -n x", 5, `"x" is not a number of lines`, "write it like -n 5"},
		{"tail -f", 0, "only a file that tail reads itself", "write it like: tail -f app.log"},
		{"cut", 0, "cut needs one of -b, -c and -f", "write it like: cut"},
		{"cut -f 0", 4, `"0" is not a list of places`, "write it like 1,3-5,7-"},
		{"cut -c 1 -d ,", 9, "-d takes one character", "write it like: cut"},
		{"exec", 0, "exec needs a program", "write it like: exec awk"},
		{"exec no-such-program-here", 5, "the program no-such-program-here is not there", "write its path"},
		{"exec --timeout x cat", 5, `"x" is not a duration`, "write it like --timeout 30s"},
	} {
		_, err := Compile(row.text)
		var m *lang.Mistake
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || !errors.As(err, &m) {
			t.Errorf("%s: gives %v", row.text, err)
			continue
		}
		if m.Pos != row.pos || !strings.HasPrefix(m.What, row.what) || !strings.HasPrefix(e.Fix, row.fix) {
			t.Errorf("%s: at %d %q, fix %q", row.text, m.Pos, m.What, e.Fix)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"a.txt": "b\na", "b.txt": "c\n", ".c.txt": "hidden\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"cat a.txt b.txt":               "b\nac\n",
		"cat *.txt - | tail -n 1":       "in",
		"sort ?.txt":                    "a\nb\nc\n",
		"wc a.txt":                      "1 2 3 a.txt\n",
		"cat 'a.txt' | tee out | wc -c": "3\n",
		"grep -c . a.txt":               "2\n",
		"tail -n 1 a.txt":               "a",
	} {
		if got, _, _ := run(t, text, "in"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got, _, _ := run(t, "cat out", ""); got != "b\na" {
		t.Errorf("tee wrote %q", got)
	}
	run(t, "cat b.txt | tee -a out", "")
	if got, _, _ := run(t, "cat out", ""); got != "b\nac\n" {
		t.Errorf("tee -a wrote %q", got)
	}
	for text, code := range map[string]parley.Code{"cat nope": parley.NotFound, "cat .": parley.Internal, "cat nope.*": parley.NotFound, "cat a.txt | tee no/such": parley.NotFound} {
		p, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Run(t.Context(), IO{}); parley.CodeOf(err) != code {
			t.Errorf("%s: gives %v", text, err)
		}
	}
}

// A sort that has room for little gives what one in memory gives, and its files are
// gone.
func TestSortSpills(t *testing.T) {
	var in strings.Builder
	for i := range 6_000 {
		fmt.Fprintf(&in, "%d %s\n", i*7919%10_007, strings.Repeat("x", i%50))
	}
	in.WriteString(strings.Repeat("long ", 200_000))
	for _, options := range []string{"", "-r", "-n", "-u", "-k 2", "-s -k 2,2", "-u -k 1,1n", "-k 2,2r -k 1,1n"} {
		want, _, _ := run(t, "sort "+options, in.String())
		p, err := Compile("sort -S 16 " + options)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		var out strings.Builder
		if _, err = p.Run(t.Context(), IO{In: strings.NewReader(in.String()), Out: &out, Temp: dir}); err != nil || out.String() != want {
			t.Errorf("%s: %v, %d bytes, want %d", options, err, out.Len(), len(want))
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	want, _, _ := run(t, "sort | exec uniq -c", in.String())
	if got, _, _ := run(t, "sort -S 16 | uniq -c", in.String()); got != want {
		t.Error("sort and uniq in one give something else")
	}
}

// A folder for temporary files that is not there is an error which names TMPDIR.
func TestSortWithoutTemp(t *testing.T) {
	p, err := Compile("sort -S 1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context(), IO{In: strings.NewReader(strings.Repeat("line\nother\n", 9999)), Temp: filepath.Join(t.TempDir(), "no")})
	if e, ok := errors.AsType[*parley.Error](err); !ok || !strings.Contains(e.Fix, "TMPDIR") {
		t.Errorf("gives %v", err)
	}
}

func TestExec(t *testing.T) {
	for _, row := range []struct {
		text string
		code parley.Code
		exit int
	}{
		{"exec sh -c 'cat; exit 7'", parley.Unprocessable, 7},
		{"exec sh -c 'kill -9 $$'", parley.Unprocessable, 128 + 9},
		{"exec --timeout 50ms sleep 60", parley.Timeout, 0},
		{"exec --max-output 10 yes", parley.TooLarge, 0},
		{"exec sh -c 'exec sleep 60 & wait'", parley.Canceled, 0},
	} {
		p, err := Compile(row.text)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if row.code == parley.Canceled {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		began := time.Now()
		_, err = p.Run(ctx, IO{In: strings.NewReader("in")})
		var x *ExitError
		if parley.CodeOf(err) != row.code || row.exit > 0 && (!errors.As(err, &x) || x.ExitCode() != row.exit) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: gives %v after %v", row.text, err, time.Since(began))
		}
	}
	if out, said, _ := run(t, "exec sh -c 'echo talk >&2; cat' | exec sh -c 'cat; echo more >&2'", "data"); out != "data" || !strings.Contains(said, "talk\n") || !strings.Contains(said, "more\n") {
		t.Errorf("%q, %q", out, said)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A reader that leaves ends the pipe, which is no failure.
func TestClosedOutput(t *testing.T) {
	for _, text := range []string{"exec yes", "cat", "cat | grep y", "cat | exec cat"} {
		p, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { _, err := p.Run(t.Context(), IO{In: endlessly("y\n"), Out: w}); done <- err }()
		var some [10]byte
		if _, err := io.ReadFull(r, some[:]); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: gives %v", text, err)
		}
		_ = w.Close()
	}
}

type endlessly string

func (s endlessly) Read(p []byte) (int, error) {
	n := 0
	for n+len(s) <= len(p) {
		n += copy(p[n:], s)
	}
	return n, nil
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("1 a\n2 b\n3 a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Compile("tail -n 2 -f " + path + " | grep a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 10)
	done := make(chan error, 1)
	var said bytes.Buffer
	go func() {
		_, err := p.Run(ctx, IO{Out: writerFunc(func(p []byte) (int, error) { got <- string(p); return len(p), nil }), Err: &said})
		done <- err
	}()
	want := func(text string) {
		t.Helper()
		if line := <-got; line != text {
			t.Errorf("%q, want %q", line, text)
		}
	}
	want("3 a\n")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("4 b\n5 a")
	_, _ = f.WriteString(" and more\n")
	want("5 a and more\n")
	_ = f.Truncate(0)
	_, _ = f.WriteString("a\n")
	want("a\n")
	_ = f.Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(said.String(), "file truncated") {
		t.Errorf("%v, %q", err, said.String())
	}
}

// A line that is longer than any block goes through every stage whole.
func TestLongLine(t *testing.T) {
	long := strings.Repeat("abcdefgh", 1<<20)
	in := long + "\nshort\n" + long + "x"
	want := long + "\n" + long + "x\n"
	if got, _, _ := run(t, "grep abc | sort | uniq | cut -c 1- | tail -n 2 | head -n 2", in); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// A line that is longer than allowed is refused by stages that need it whole, and
// goes through those that do not.
func TestMaxLine(t *testing.T) {
	in := "a\n" + strings.Repeat("abcdefgh", 1<<17) + "\nb\n"
	for text, refused := range map[string]bool{
		"grep a": true, "sort": true, "cut -c 1": true, "sort | uniq": true, "tail -n 1": true,
		"cat": false, "wc": false, "head -n 2": false, "tail -n +2": false,
	} {
		for _, most := range []int{0, len(in), len(in) / 2} {
			p, err := Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Run(t.Context(), IO{In: strings.NewReader(in), Temp: t.TempDir(), MaxLine: most})
			refuses := refused && most == len(in)/2
			if (err != nil) != refuses || refuses && parley.CodeOf(err) != parley.TooLarge {
				t.Errorf("%s with lines up to %d: %v", text, most, err)
			}
		}
	}
}

func TestExplainAndLint(t *testing.T) {
	p, err := Compile("cat f | grep -E 'a b' | sort | uniq -c")
	if err != nil {
		t.Fatal(err)
	}
	all := p.Explain()
	if len(all) != 4 || all[1].Text != "grep -E 'a b'" || !strings.Contains(all[3].Does, "the sort before it") || all[3].Holds != "nothing" || p.Lint() != nil {
		t.Errorf("%+v, %+v", all, p.Lint())
	}
	for text, want := range map[string]string{
		"cat f | uniq":          "put sort before it",
		"sort f | uniq | uniq":  "take it away",
		"sort -u f | uniq":      "take one of the two away",
		"sort -k 2 f | sort":    "take one away",
		"sort -s -k 2 f | uniq": "take -s away",
		"cat f | cat":           "take it away",
		"cat f | tee":           "name a file",
		"tail -f f | sort":      "take -f away",
		"tail -f f | grep -c x": "take -f away",
	} {
		p, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if all := p.Lint(); len(all) != 1 || !strings.HasPrefix(all[0].Fix, want) || all[0].Column < 1 {
			t.Errorf("%s: %+v", text, all)
		}
	}
}

// Every option of every stage is in the page about pipes.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "pattern", "pipe.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		_, part, ok := bytes.Cut(page, []byte("### "+k.Name+" "))
		part, _, _ = bytes.Cut(part, []byte("\n### "))
		if !ok {
			t.Errorf("there is no part about %s", k.Name)
		}
		for _, o := range k.Options {
			name := "`--" + o.Long
			if o.Short != "" {
				name = "`-" + o.Short
			}
			if !bytes.Contains(part, []byte(name)) {
				t.Errorf("%s: %s` is missing", k.Name, name)
			}
		}
	}
	if names := KindNames(); !slices.Contains(names, "exec") {
		t.Errorf("%v", names)
	}
}
