package script

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the answers of script tests instead of comparing them")

// Case is one command of a script.
type Case struct {
	Line  int               // where it stands in its file, from 1
	Name  string            // the first word
	Rest  string            // the line after the first word, as it is written
	Words []string          // the words after it that are no named arguments
	Args  map[string]string // the named ones
	Input string            // the lines below the command, without the last newline

	before string // comments and empty lines above it
	text   string // the command as it is written
	want   string
}

// Run runs each file that the pattern matches as a subtest. begin is called for
// every file, and gives what answers its commands, so that files share nothing.
func Run(t *testing.T, pattern string, begin func(t *testing.T) func(Case) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts match %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			runFile(t, file, begin(t))
		})
	}
}

func runFile(t *testing.T, file string, answer func(Case) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cases, rest, line := parse(string(text))
	if line > 0 {
		t.Fatalf("%s:%d: a command without ---- below it", file, line)
	}
	var out strings.Builder
	for _, c := range cases {
		got := escape(answer(c))
		if got != c.want && !*update {
			t.Errorf("%s:%d: %s\nanswers\n%swant\n%s", file, c.Line, c.text, got, c.want)
		}
		out.WriteString(c.before + c.text + "\n")
		if c.Input != "" {
			out.WriteString(c.Input + "\n")
		}
		out.WriteString("----\n" + got + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String()+rest, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
}

// parse gives the cases, the comments after the last, and the line of a command
// that has no answer, 0 if each has.
func parse(text string) (cases []Case, rest string, broken int) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); {
		var before strings.Builder
		for ; i < len(lines) && (lines[i] == "" || lines[i][0] == '#'); i++ {
			before.WriteString(lines[i] + "\n")
		}
		if i == len(lines) {
			return cases, before.String(), 0
		}
		c := command(lines[i])
		c.Line, c.before = i+1, before.String()
		from := i + 1
		for i = from; i < len(lines) && lines[i] != "----"; i++ {
		}
		if i == len(lines) {
			return nil, "", c.Line
		}
		c.Input = strings.Join(lines[from:i], "\n")
		for i++; i < len(lines) && lines[i] != ""; i++ {
			c.want += lines[i] + "\n"
		}
		i++ // the empty line that ends the case
		cases = append(cases, c)
	}
	return cases, "", 0
}

func command(line string) Case {
	c := Case{text: line, Args: map[string]string{}}
	_, c.Rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	for i, word := range strings.Fields(line) {
		name, value, named := strings.Cut(word, "=")
		switch {
		case i == 0:
			c.Name = word
		case named:
			c.Args[name] = value
		default:
			c.Words = append(c.Words, word)
		}
	}
	return c
}

// escape makes an answer of whole lines, none of them empty.
func escape(answer string) string {
	answer = strings.TrimRight(answer, "\n")
	if answer == "" {
		return ""
	}
	lines := strings.Split(answer, "\n")
	for i, l := range lines {
		if l == "" {
			lines[i] = "⏎"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
