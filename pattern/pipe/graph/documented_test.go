package graph_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// The documentation has a line for each source, stage, sink and parameter.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/pattern/pipe.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range documentation() {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("docs/pattern/pipe.md lacks:\n%s", line)
		}
	}
}

// documentation gives the tables of kinds and their parameters, a line each.
func documentation() (lines []string) {
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	for _, role := range []graph.Role{graph.IsSource, graph.IsStage, graph.IsSink} {
		for _, k := range graph.Kinds() {
			if k.Absent || k.Roles&role == 0 {
				continue
			}
			if k.Roles&(role-1) == 0 { // its first table
				holds := k.Holds
				if holds == "" {
					holds = "—"
				}
				lines = append(lines, fmt.Sprintf("| `%s` | %s | `%s` | %s |", cell(k.Synopsis()), cell(k.Doc), cell(k.Example), holds))
				for _, p := range k.Params {
					lines = append(lines, fmt.Sprintf("| `%s` | `%s` | %s | %s |", k.Name, p.Name, p.Type, cell(p.Doc)))
				}
			} else {
				lines = append(lines, fmt.Sprintf("| `%s` | see above |", k.Name))
			}
		}
	}
	return lines
}

// The file in the documentation is one, and passes its own tests.
func TestDocumentedFile(t *testing.T) {
	text, err := os.ReadFile("../../../docs/pattern/pipe.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	file, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("there is no file")
	}
	try(t, file)
}
