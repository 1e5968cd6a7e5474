package pipe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// Inputs of many blocks, with lines that are longer than one, and sorts that have
// room for little.
func TestLargePipes(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(5, 7))
	var b bytes.Buffer
	for i := range 40_000 {
		fmt.Fprintf(&b, "%d,%s,%d %s\n", r.IntN(500), []string{"error", "info", "Warn"}[r.IntN(3)], i, strings.Repeat("é ", r.IntN(20)))
		if i%9000 == 0 {
			b.WriteString(strings.Repeat("long error ", 60_000+r.IntN(9)) + "\n")
		}
	}
	b.WriteString("no newline")
	write(t, filepath.Join(dir, "in"), b.String())
	for _, text := range []string{
		"cat in", "cat in | grep error | sort | uniq", "grep -n 'o,[0-9]*7 ' in", "grep -vc error in", "grep -o 'r,[0-9]*' in | tail -n 3",
		"grep -E '^(1|22|333),' in | sort -t , -k 1,1n -k 3nr", "sort -S 64 in", "sort -S 64 -u -t , -k 2,2 in", "cut -d , -f 1 in | sort -S 16 | uniq -c | sort -k 1,1nr -k 2",
		"cut -d , -f 1 in | sort -nr | uniq -d | head -n 5", "head -n 30000 in | tail -n 2", "tail -n +39990 in", "head -n -39990 in", "wc in", "cat in in in | wc",
		"cut -c 1-7 in | uniq | wc -l", "sort -r in | cut -b 2- | tail -n 5", "grep -i ERROR in | wc -c", "cat in | tee copy | sort -s -t , -k 2,2 | wc -c", "cat in | tail -n 40010 | head -n 1",
	} {
		want, got := gnu(t, dir, text), ours(t, dir, text)
		if got.out != want.out || got.code != want.code {
			t.Errorf("%s: code %d, %d bytes; GNU gives %d, %d bytes: %.300s", text, got.code, len(got.out), want.code, len(want.out), got.err)
		}
	}
	if copied, err := os.ReadFile(filepath.Join(dir, "copy")); err != nil || !bytes.Equal(copied, b.Bytes()) {
		t.Errorf("tee: %v, %d bytes", err, len(copied))
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in"), "a\nb\n")
	for _, row := range []struct {
		text      string
		code      int
		out, said string
	}{
		{"grep a", 0, "a\n", ""},
		{"grep x", 3, "", ""},
		{"exec sh -c 'echo oops >&2; exit 7'", 7, "", "oops\n"},
		{"cat nope", 1, "", "no such file"},
		{"cat in | srt", 2, "", "  cat in | srt\n           ^^^\n"},
		{"cat in | srt", 2, "", "fix  did you mean sort?"},
		{"sort --revers", 2, "", "fix  did you mean --reverse?"},
		{"sort > out", 2, "", "fix  end the pipe with: tee FILE"},
		{`grep '\(a\)\1'`, 2, "", "fix  use: exec grep"},
	} {
		if got := ours(t, dir, row.text); got.code != row.code || got.out != row.out || !strings.Contains(got.err, row.said) {
			t.Errorf("%s: %+v", row.text, got)
		}
	}
}

// Whoever reads our output may leave: that is the end, and nothing is said.
func TestReaderLeaves(t *testing.T) {
	for _, text := range []string{"exec yes", "exec yes | head -n 200000 | sort -S 16 | cat", "exec yes | grep y"} {
		cmd := exec.CommandContext(t.Context(), rig.Program(t, "bash"), "-c", `"$0" pipe "$1" | head -n 1; echo ${PIPESTATUS[0]}`, rig.Binary(t), text)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || string(out) != "y\n0\n" || said.Len() > 0 {
			t.Errorf("%s: %v, %q, %q", text, err, out, said.String())
		}
	}
}
