package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func answer(c Case) string {
	switch c.Name {
	case "echo":
		return fmt.Sprintln(c.Name, c.Words, c.Args)
	case "rest":
		return c.Rest
	case "upper":
		return strings.ToUpper(c.Input)
	case "line":
		return fmt.Sprint(c.Line)
	}
	return ""
}

func TestSelf(t *testing.T) {
	Run(t, "testdata/*.txt", func(*testing.T) func(Case) string { return answer })
}

// Writing the answers of a script that is right changes nothing, and mends one
// that is wrong.
func TestUpdate(t *testing.T) {
	right, err := os.ReadFile("testdata/self.txt")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "self.txt")
	wrong := strings.Replace(string(right), "ONE\n⏎\nTWO", "one\n⏎\nthree", 1)
	if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func(before bool) { *update = before }(*update)
	*update = true
	for range 2 {
		Run(t, file, func(*testing.T) func(Case) string { return answer })
		if got, err := os.ReadFile(file); err != nil || string(got) != string(right) {
			t.Errorf("updated to\n%s(%v), want\n%s", got, err, right)
		}
	}
}

func TestParseBroken(t *testing.T) {
	if _, _, line := parse("# x\n\nfirst\n----\nok\n\nsecond\n"); line != 7 {
		t.Errorf("the command without an answer is said to be in line %d", line)
	}
	cases, rest, line := parse("only\n----\n\n# the end\n")
	if len(cases) != 1 || rest != "# the end\n" || line != 0 {
		t.Errorf("%d cases, rest %q, line %d", len(cases), rest, line)
	}
}
