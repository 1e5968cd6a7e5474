package graph

import (
	"slices"
	"strconv"
)

// Part says that the machine has only a part of the events, and which: what it makes
// has other ids than what machines of other parts make, as of two windows of the same
// time. It is called before the first Step; "" is all events, or the first part.
func (m *Machine) Part(name string) { m.part = name }

// Keeps says whether a stage remembers anything from one event to the next.
func (p *Plan) Keeps() bool { return p.Graph.has(stateful) }

// Ends says whether a stage may have enough, and end the pipe.
func (p *Plan) Ends() bool { return p.Graph.has(func(kind string) bool { return kind == "head" }) }

func (g *Graph) has(is func(kind string) bool) (found bool) {
	walk(g, func(_ string, s Step, _ int) { found = found || is(s.Kind) })
	return found
}

// LintPartitions finds what looks like a mistake when there is a machine for each of
// several partitions of the source, so that a stage sees the events of one only.
func LintPartitions(g *Graph, partitions int) []Finding {
	var all []Finding
	of := "in each of the " + strconv.Itoa(partitions) + " partitions of the source by itself"
	walk(g, func(path string, s Step, _ int) {
		key := s.Args["key"].Text()
		var what string
		fix := "publish with that key as partitionkey, or add --as-one to the source"
		switch {
		case !slices.Contains([]string{"window", "dedupe", "throttle"}, s.Kind) || slices.Contains(partitionKeys, key):
			return
		case s.Kind == "dedupe" && key == "":
			return // by id: an event that is repeated is in the partition of the first
		case key != "":
			what = s.Kind + " is " + of + ", so that events of one key are together only if it is their partitionkey"
		case s.Kind == "window":
			what, fix = "the figures are made "+of, "add up what comes of them, or add --as-one to the source"
		default:
			what, fix = "the rate is allowed "+of, "divide it, or add --as-one to the source"
		}
		all = append(all, Finding{Path: path, Step: shortText(s), What: what, Fix: fix, Line: s.At.Line})
	})
	return all
}

// partitionKeys are the expressions of the key that an event's partition goes by.
var partitionKeys = []string{"ext.partitionkey", `ext["partitionkey"]`, "ext['partitionkey']"}
