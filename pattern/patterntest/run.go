package patterntest

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
)

// Matrix is what the suites run over: the engines and doors that the table in the
// package comment names.
type Matrix struct {
	// Engines open an empty log; what they open they close with t.Cleanup. One
	// that is a parley.Runner is run. They are called inside a bubble.
	Engines map[string]func(t *testing.T) parley.Log
	// Hosts make the hosts of the machines that some patterns run; what they start
	// ends with w.Cleanup. They are called inside a bubble, before the doors.
	Hosts map[string]func(w *World) shard.Host
	// Doors open a door on a world; what they start ends with w.Cleanup. They are
	// called inside a bubble.
	Doors map[string]func(w *World) Door
}

// suite is the cases of a pattern.
type suite struct {
	pattern string
	parts   []part
	// joint runs once for an engine, with all doors at once, instead of parts.
	joint []check
}

// part is cases of a suite that need the same of a door.
type part struct {
	needs string          // name of the ability, for people
	has   func(Door) bool // nil: a way to subscribe, and the cases run for each
	// everywhere says that every door of the row must have it; else one must.
	everywhere bool
	checks     []check
}

// check is one rule.
type check struct {
	name string
	rule string // for whoever sees the case fail
	run  func(s *scene)
}

// scene is what a case works with.
type scene struct {
	*World
	door Door
	way  Way // of the cases that run for each way

	// Of joint cases:
	doors    map[string]Door
	patterns []string
}

// suites are the rows of the table, in its order.
var suites = []suite{pubsubSuite, pollSuite, sseSuite, websocketSuite, throttleSuite, streamSuite, queueSuite, pipeSuite, togetherSuite}

// Run runs all suites as the table says, prints the table with the number of
// cases that ran, and fails if it is not complete.
func Run(t *testing.T, m Matrix) { runTable(t, m, "pattern") }

func runTable(t *testing.T, m Matrix, head string) {
	tab, err := parseTable(document, head)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{m: m, table: tab, ran: map[place]tally{}}
	suites := slices.Clone(suites)
	if head != "pattern" { // some of them
		suites = slices.DeleteFunc(suites, func(s suite) bool { return !tab.names(s.pattern) })
	}
	for _, s := range suites {
		r.patterns = append(r.patterns, s.pattern)
	}
	for _, wrong := range tab.differs(r.patterns, slices.Sorted(maps.Keys(m.Doors)), slices.Sorted(maps.Keys(m.Engines)), slices.Sorted(maps.Keys(m.Hosts))) {
		t.Error(wrong)
	}
	if t.Failed() {
		return
	}
	for i, s := range suites {
		t.Run(s.pattern, func(t *testing.T) {
			if s.joint != nil {
				r.together(t, s, tab.rows[i])
				return
			}
			r.row(t, s, tab.rows[i])
		})
	}
	t.Log("\n" + tab.print(r.ran))
	if filtered() {
		return
	}
	for _, name := range tab.missing(r.ran) {
		t.Errorf("%s: no case ran", name)
	}
}

// filtered says that somebody asked for some of the subtests only.
func filtered() bool {
	for _, name := range []string{"test.run", "test.skip"} {
		if f := flag.Lookup(name); f != nil && strings.Contains(f.Value.String(), "/") {
			return true
		}
	}
	return false
}

// runner runs the cases and counts them.
type runner struct {
	m        Matrix
	table    *table
	patterns []string
	ran      map[place]tally
}

func (r *runner) row(t *testing.T, s suite, line row) {
	offered := make([]int, len(s.parts)) // by how many doors
	for i, c := range line.cells {
		if c.mark != "" {
			continue
		}
		door := r.table.doors[i]
		t.Run(door, func(t *testing.T) {
			for j, has := range r.probe(t, s, door, c.engines[0]) {
				if has {
					offered[j]++
				} else if s.parts[j].everywhere || s.parts[j].has == nil {
					t.Errorf("door %s has no %s", door, s.parts[j].needs)
				}
			}
			for _, engine := range c.engines {
				t.Run(engine, func(t *testing.T) { r.cell(t, s, place{s.pattern, door, engine}) })
			}
		})
	}
	for j, p := range s.parts {
		if offered[j] == 0 && !filtered() {
			t.Errorf("no door has %s: its %d cases did not run", p.needs, len(p.checks))
		}
	}
}

// probe opens a door to see which parts of a suite it can serve.
func (r *runner) probe(t *testing.T, s suite, door, entry string) []bool {
	has := make([]bool, len(s.parts))
	r.bubble(t, entry, func(w *World) {
		d := r.m.Doors[door](w)
		for i, p := range s.parts {
			has[i] = p.has == nil && len(d.Ways(s.pattern)) > 0 || p.has != nil && p.has(d)
		}
	})
	return has
}

// ways gives the names of a door's ways.
func (r *runner) ways(t *testing.T, p place) []string {
	var names []string
	r.bubble(t, p.engine, func(w *World) {
		for _, way := range r.m.Doors[p.door](w).Ways(p.pattern) {
			names = append(names, way.Name)
		}
	})
	return names
}

// bubble runs in a world over an entry of a cell.
func (r *runner) bubble(t *testing.T, entry string, run func(w *World)) {
	t.Helper()
	engine, host := parts(entry)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, r.m.Engines[engine](t))
		if host != "" {
			w.Host = r.m.Hosts[host](w)
			w.runQueues()
			w.startGroups()
			w.runPipes()
		}
		run(w)
	})
}

func (r *runner) cell(t *testing.T, s suite, p place) {
	has := r.probe(t, s, p.door, p.engine)
	for i, part := range s.parts {
		switch {
		case !has[i]:
		case part.has != nil:
			for _, c := range part.checks {
				r.one(t, p, c)
			}
		default:
			for n, name := range r.ways(t, p) {
				for _, c := range part.checks {
					r.each(t, p, n, name, c)
				}
			}
		}
	}
}

// one runs a case of a door.
func (r *runner) one(t *testing.T, p place, c check) {
	r.run(t, []place{p}, c.name, c, func(w *World) *scene {
		return &scene{World: w, door: r.m.Doors[p.door](w)}
	})
}

// each runs a case of one of a door's ways.
func (r *runner) each(t *testing.T, p place, n int, name string, c check) {
	r.run(t, []place{p}, name+"/"+c.name, c, func(w *World) *scene {
		d := r.m.Doors[p.door](w)
		return &scene{World: w, door: d, way: d.Ways(p.pattern)[n]}
	})
}

// together runs the joint cases: over each engine, with all doors of the row that
// name it.
func (r *runner) together(t *testing.T, s suite, line row) {
	for _, engine := range slices.Sorted(maps.Keys(r.m.Engines)) {
		var at []place
		for i, c := range line.cells {
			if slices.Contains(c.engines, engine) {
				at = append(at, place{s.pattern, r.table.doors[i], engine})
			}
		}
		if len(at) == 0 {
			continue
		}
		t.Run(engine, func(t *testing.T) {
			for _, c := range s.joint {
				r.run(t, at, c.name, c, func(w *World) *scene {
					doors := map[string]Door{}
					for _, p := range at {
						doors[p.door] = r.m.Doors[p.door](w)
					}
					return &scene{World: w, doors: doors, patterns: r.patterns}
				})
			}
		})
	}
}

// run runs a case in a bubble of its own and counts it for its places.
func (r *runner) run(t *testing.T, at []place, name string, c check, open func(*World) *scene) {
	ran := false
	ok := t.Run(name, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("rule: %s", c.rule)
			}
		}()
		r.bubble(t, at[0].engine, func(w *World) {
			ran = true
			c.run(open(w))
		})
	})
	if !ran {
		return
	}
	for _, p := range at {
		n := r.ran[p]
		if n.ran++; !ok {
			n.failed++
		}
		r.ran[p] = n
	}
}
