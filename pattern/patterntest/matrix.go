package patterntest

import (
	_ "embed" // the table
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed doc.go
var document string

// table is what the package comment says shall run.
type table struct {
	doors   []string // columns
	rows    []row
	reasons map[string]string // by mark: "(a)"
}

type row struct {
	pattern string
	cells   []cell // one for each door
}

// cell lists engines, each perhaps with a host, or has the mark of a reason.
type cell struct {
	engines []string
	mark    string
}

var (
	gap    = regexp.MustCompile(`\s{2,}`)
	mark   = regexp.MustCompile(`^\([a-z]\)$`)
	reason = regexp.MustCompile(`^(\([a-z]\)) (.+)$`)
)

// parseTable reads a table out of a package comment: an indented block whose first
// line begins with head, and an indented block of reasons.
func parseTable(source, head string) (*table, error) {
	t := &table{reasons: map[string]string{}}
	for line := range strings.Lines(source) {
		text, indented := strings.CutPrefix(line, "//\t")
		text = strings.TrimSpace(text)
		fields := gap.Split(text, -1)
		switch why := reason.FindStringSubmatch(text); {
		case !indented:
			if t.doors != nil && len(t.reasons) > 0 {
				return t, t.check()
			}
		case t.doors == nil && fields[0] != head:
		case why != nil:
			t.reasons[why[1]] = why[2]
		case t.doors == nil:
			t.doors = fields[1:]
		default:
			if len(fields) != len(t.doors)+1 {
				return nil, fmt.Errorf("row %q has %d cells for %d doors", text, len(fields)-1, len(t.doors))
			}
			t.rows = append(t.rows, row{fields[0], parseCells(fields[1:])})
		}
	}
	return t, t.check()
}

// names says whether a pattern has a row.
func (t *table) names(pattern string) bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return r.pattern == pattern })
}

func parseCells(texts []string) []cell {
	cells := make([]cell, len(texts))
	for i, text := range texts {
		if mark.MatchString(text) {
			cells[i].mark = text
		} else {
			cells[i].engines = strings.Fields(text)
		}
	}
	return cells
}

// check finds marks without a reason and reasons without a mark.
func (t *table) check() error {
	if len(t.rows) == 0 {
		return fmt.Errorf("there is no table")
	}
	used := map[string]bool{}
	for _, r := range t.rows {
		for i, c := range r.cells {
			if c.mark != "" && t.reasons[c.mark] == "" {
				return fmt.Errorf("%s by %s is empty for reason %s, which is not given", r.pattern, t.doors[i], c.mark)
			}
			used[c.mark] = true
		}
	}
	for m := range t.reasons {
		if !used[m] {
			return fmt.Errorf("reason %s is nobody's", m)
		}
	}
	return nil
}

// differs says where the table and what there is to run do not fit.
func (t *table) differs(suites, doors, engines, hosts []string) []string {
	var rows, named, hosted []string
	for _, r := range t.rows {
		rows = append(rows, r.pattern)
		for _, c := range r.cells {
			for _, entry := range c.engines {
				engine, host := parts(entry)
				if named = append(named, engine); host != "" {
					hosted = append(hosted, host)
				}
			}
		}
	}
	var wrong []string
	compare := func(what string, table, given []string) {
		for _, name := range table {
			if !slices.Contains(given, name) {
				wrong = append(wrong, what+" "+name+" of the table is not there")
			}
		}
		for _, name := range given {
			if !slices.Contains(table, name) {
				wrong = append(wrong, what+" "+name+" is not in the table")
			}
		}
	}
	slices.Sort(named)
	slices.Sort(hosted)
	compare("suite", rows, suites)
	compare("door", t.open(), doors)
	compare("engine", slices.Compact(named), engines)
	compare("host", slices.Compact(hosted), hosts)
	return wrong
}

// parts splits an entry of a cell, such as memlog+local; the host may be absent.
func parts(entry string) (engine, host string) {
	engine, host, _ = strings.Cut(entry, "+")
	return engine, host
}

// open lists the doors that have a cell which is not empty.
func (t *table) open() []string {
	var names []string
	for i, door := range t.doors {
		if slices.ContainsFunc(t.rows, func(r row) bool { return r.cells[i].mark == "" }) {
			names = append(names, door)
		}
	}
	return names
}

// place is one run: a pattern through a door over an engine.
type place struct{ pattern, door, engine string }

// places lists all that shall run.
func (t *table) places() []place {
	var all []place
	for _, r := range t.rows {
		for i, c := range r.cells {
			for _, engine := range c.engines {
				all = append(all, place{r.pattern, t.doors[i], engine})
			}
		}
	}
	return all
}

// tally counts what ran.
type tally struct{ ran, failed int }

// missing lists the places where no case ran.
func (t *table) missing(ran map[place]tally) []string {
	var names []string
	for _, p := range t.places() {
		if ran[p].ran == 0 {
			names = append(names, p.pattern+" by "+p.door+" over "+p.engine)
		}
	}
	return names
}

// print shows the table with the number of cases that ran in each place, and with
// that of those which failed.
func (t *table) print(ran map[place]tally) string {
	lines := [][]string{append([]string{"pattern"}, t.doors...)}
	for _, r := range t.rows {
		line := []string{r.pattern}
		for i, c := range r.cells {
			text := c.mark
			for _, engine := range c.engines {
				n := ran[place{r.pattern, t.doors[i], engine}]
				text += fmt.Sprintf("%s %d", engine, n.ran)
				if n.failed > 0 {
					text += fmt.Sprintf(" (%d FAILED)", n.failed)
				}
				text += "  "
			}
			line = append(line, strings.TrimSpace(text))
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for _, line := range lines {
		for i, text := range line {
			width := 0
			for _, other := range lines {
				width = max(width, len(other[i]))
			}
			fmt.Fprintf(&b, "%-*s   ", width, text)
		}
		b.WriteByte('\n')
	}
	for _, m := range slices.Sorted(maps.Keys(t.reasons)) {
		b.WriteString(m + " " + t.reasons[m] + "\n")
	}
	return b.String()
}
