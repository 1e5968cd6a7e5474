package graph

import (
	"fmt"
	"strings"
)

// Explained is one step as a person may read it.
type Explained struct {
	Path  string `json:"path"`
	Name  string `json:"name,omitempty"`
	Text  string `json:"step"`
	Brief string `json:"brief"` // Text without the pipes in it
	Does  string `json:"does"`
	Holds string `json:"keeps"`
	Depth int    `json:"depth"` // in how many pipes it is
}

// Explain says what each step does and keeps, in the order of the graph: pipes in a
// step follow it.
func Explain(g *Graph) []Explained {
	var all []Explained
	walk(g, func(path string, s Step, depth int) {
		k, _ := KindNamed(s.Kind)
		holds := k.Holds
		if holds == "" {
			holds = "nothing"
		}
		all = append(all, Explained{Path: path, Name: s.Name, Text: s.Text(), Brief: shortText(s), Does: k.Doc, Holds: holds, Depth: depth})
	})
	return all
}

// walk visits all steps with their paths.
func walk(g *Graph, visit func(path string, s Step, depth int)) {
	walkSteps(g.Steps, "", 1, 0, visit)
	walkSteps(g.Dead, "dead.", 1, 1, visit)
}

func walkSteps(steps []Step, prefix string, from, depth int, visit func(string, Step, int)) {
	for i, s := range steps {
		path := fmt.Sprintf("%s%d", prefix, from+i)
		visit(path, s, depth)
		k, _ := KindNamed(s.Kind)
		for _, p := range k.Params {
			for n, pipe := range s.Args[p.Name].Pipes {
				inner := fmt.Sprintf("%s.%s%d.", path, p.Name, n+1)
				if p.Type == Source {
					inner = fmt.Sprintf("%s.%d.", path, n+1)
				}
				walkSteps(pipe, inner, 1, depth+1, visit)
			}
		}
	}
}

// Edge is a way that events take from one step to another.
type Edge struct {
	From  string `json:"from"` // paths
	To    string `json:"to"`
	Label string `json:"label,omitempty"` // "" = all that the stage passes on
}

// Edges gives the ways of events.
func (g *Graph) Edges() []Edge {
	var all []Edge
	edges(g.Steps, "", "", "", &all)
	if len(g.Dead) > 0 {
		edges(g.Dead, "dead.", "", "", &all)
	}
	return all
}

func edges(steps []Step, prefix, before, label string, all *[]Edge) (last string) {
	for i, s := range steps {
		path := fmt.Sprintf("%s%d", prefix, i+1)
		k, _ := KindNamed(s.Kind)
		if before != "" {
			*all = append(*all, Edge{before, path, label})
		}
		for _, p := range k.Params {
			for n, pipe := range s.Args[p.Name].Pipes {
				if p.Type == Source {
					if end := edges(pipe, fmt.Sprintf("%s.%d.", path, n+1), "", "", all); end != "" {
						*all = append(*all, Edge{end, path, ""})
					}
					continue
				}
				edges(pipe, fmt.Sprintf("%s.%s%d.", path, p.Name, n+1), path, branchLabel(s, p), all)
			}
		}
		before, label = path, ""
	}
	return before
}

func branchLabel(s Step, p Param) string {
	switch {
	case s.Kind == "route":
		return s.Args["when"].Text()
	case s.Kind == "catch":
		return "failed"
	case p.Name == "late":
		return "late"
	}
	return ""
}

// Tree draws the graph as indented text.
func (g *Graph) Tree() string {
	var b strings.Builder
	walk(g, func(path string, s Step, depth int) {
		if path == "dead.1" {
			b.WriteString("failed\n")
		}
		text := shortText(s)
		if s.Name != "" {
			text += "   (" + s.Name + ")"
		}
		b.WriteString(strings.Repeat("   ", depth) + "↓ " + text + "\n")
	})
	return strings.TrimPrefix(b.String(), "↓ ")
}

// shortText is a step without the pipes in it.
func shortText(s Step) string {
	bare := Step{Kind: s.Kind, Args: map[string]Arg{}}
	for name, a := range s.Args {
		if len(a.Pipes) == 0 {
			bare.Args[name] = a
		}
	}
	return bare.Text()
}

// DOT writes the graph for Graphviz.
func (g *Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph pipe {\n  rankdir=LR\n  node [shape=box, fontname=\"sans-serif\"]\n")
	walk(g, func(path string, s Step, _ int) {
		fmt.Fprintf(&b, "  %s [label=%s]\n", dotText(path), dotText(shortText(s)))
	})
	for _, e := range g.Edges() {
		fmt.Fprintf(&b, "  %s -> %s", dotText(e.From), dotText(e.To))
		if e.Label != "" {
			fmt.Fprintf(&b, " [label=%s]", dotText(e.Label))
		}
		b.WriteString("\n")
	}
	return b.String() + "}\n"
}

func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
}

// Mermaid writes the graph for Mermaid.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	id := func(path string) string { return "s" + strings.ReplaceAll(path, ".", "_") }
	text := func(s string) string {
		return `"` + strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "\n", " ").Replace(s) + `"`
	}
	b.WriteString("flowchart LR\n")
	walk(g, func(path string, s Step, _ int) { fmt.Fprintf(&b, "  %s[%s]\n", id(path), text(shortText(s))) })
	for _, e := range g.Edges() {
		label := ""
		if e.Label != "" {
			label = "|" + text(e.Label) + "|"
		}
		fmt.Fprintf(&b, "  %s -->%s %s\n", id(e.From), label, id(e.To))
	}
	return b.String()
}

// Finding is what looks like a mistake and is none that stops a pipe.
type Finding struct {
	Path string `json:"path"`
	Step string `json:"step"`
	What string `json:"what"`
	Fix  string `json:"fix"`
	Line int    `json:"line,omitempty"` // of a file
}

// Lint finds what looks like a mistake in a graph that Check has passed.
func Lint(g *Graph) []Finding {
	var all []Finding
	add := func(path string, s Step, what, fix string) {
		all = append(all, Finding{Path: path, Step: shortText(s), What: what, Fix: fix, Line: s.At.Line})
	}
	last := map[int]Step{} // of each depth
	caught := len(g.Dead) > 0
	walk(g, func(path string, s Step, depth int) {
		before, there := last[depth]
		last[depth] = s
		caught = caught || s.Kind == "catch"
		given := func(param string) bool { return s.Args[param].Text() != "" }
		switch s.Kind {
		case "window":
			if !given("lateness") {
				add(path, s, "without lateness an event that is out of order at all is late", "add --lateness 5s, or as much as sources differ")
			}
			if !given("idle") {
				add(path, s, "the last window stays open until another event comes", "add --idle 1m if it is to close by the clock")
			}
		case "batch":
			if !given("every") {
				add(path, s, "a batch that is not full waits for as long as it takes", "add a time, as in batch 100 1s")
			}
		case "validate":
			if schema := strings.Join(strings.Fields(s.Args["schema"].Text()), ""); schema == "{}" || schema == "true" {
				add(path, s, "everything fits this schema", `say what data has to be, as in {"type": "object", "required": ["id"]}`)
			}
		case "use":
			if name := s.Args["name"].Text(); !strings.Contains(name, ".") {
				add(path, s, "no stages are called "+name+", and those of a server have names like lib.slim", "define it under stages: of the file, or name where it is")
			}
		case "uniq":
			if there && before.Kind != "sort" && !given("key") {
				add(path, s, "only equal events that follow each other become one", "use dedupe, or sort before it")
			}
		case "exec":
			if !given("mode") && path != "1" {
				add(path, s, "a process is started for each event", "add --mode filter if the program can answer line by line")
			}
		}
	})
	if !caught && len(g.Steps) > 0 {
		add("1", g.Steps[0], "the first event that fails ends the pipe", "put a catch behind the stages, or declare dead:")
	}
	return all
}
