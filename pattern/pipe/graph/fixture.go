package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Test says what a graph makes of some events, in a time of its own. In YAML:
//
//	tests:
//	  - name: large orders pass
//	    input:
//	      - {id: 1, total: 150}                  # an event's data
//	      - data: {id: 2, total: 5}              # the same, said
//	      - event: {id: a, type: order, data: 7} # an event with attributes
//	      - wait: 90s                            # time goes on
//	      - broken                               # text
//	    expect:
//	      big-orders:                            # a sink: its topic, file, name, kind or path
//	        - {id: 1}                            # in their order; a sink left out gets nothing
//	        - event: {subject: x}                # these attributes, among others
//	    dead:
//	      - {stage: big, cause: needs a number}  # parts of the texts
//	    end: false                               # the source does not end; it does otherwise
type Test struct {
	Name   string
	Input  []Given
	Expect map[string][]Wanted
	Dead   []WantedDead
	Open   bool // the source does not end
	At     Pos
}

// Given is an event, or time that passes.
type Given struct {
	Event parley.Event
	Wait  time.Duration // 0 = it is an event
}

// Wanted is an event that a sink is to get: attributes, and data unless nil.
type Wanted struct {
	Data       []byte
	Attributes map[string]string
}

// WantedDead is an event that is to fail.
type WantedDead struct {
	Stage, Cause string // parts of the texts; "" = any
}

// Verdict is how a test went.
type Verdict struct {
	Name   string   `json:"name"`
	Passed bool     `json:"passed"`
	Wrong  []string `json:"wrong,omitempty"` // a line each
	Line   int      `json:"line,omitempty"`
}

// testStart is when the time of a test begins.
var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Try runs the graph's tests.
func (p *Plan) Try(ctx context.Context) ([]Verdict, error) {
	var all []Verdict
	for _, t := range p.Graph.Tests {
		v := Verdict{Name: t.Name, Line: t.At.Line}
		out, err := p.play(ctx, t)
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		if err != nil {
			v.Wrong = []string{err.Error()}
		} else {
			v.Wrong = p.compare(t, out)
		}
		v.Passed = len(v.Wrong) == 0
		all = append(all, v)
	}
	return all, nil
}

// play gives a test's events to a machine of its own.
func (p *Plan) play(ctx context.Context, t Test) (all Output, err error) {
	m, err := p.Machine()
	if err != nil {
		return all, err
	}
	defer func() {
		if e := m.Close(); err == nil {
			err = e
		}
	}()
	all.Sinks = make([][]parley.Event, len(p.sinks))
	gather := func(out Output, e error) {
		for i := range out.Sinks {
			all.Sinks[i] = append(all.Sinks[i], out.Sinks[i]...)
		}
		all.Dead = append(all.Dead, out.Dead...)
		if err == nil {
			err = e
		}
	}
	now := testStart
	for _, g := range t.Input {
		if g.Wait == 0 {
			gather(m.Step(ctx, now, 0, []parley.Event{g.Event}))
		}
		for until := now.Add(g.Wait); err == nil; {
			at, ok := m.Wake()
			if !ok || at.After(until) {
				now = until
				break
			}
			now = later(now, at)
			gather(m.Tick(ctx, now))
		}
		if err != nil {
			return all, err
		}
	}
	for !t.Open && err == nil && m.Waiting() > 0 {
		at, _ := m.Wake()
		now = later(now, at)
		gather(m.Tick(ctx, now))
	}
	if !t.Open && err == nil {
		gather(m.End(ctx, now))
	}
	return all, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (s *spec) answersTo(name string) bool {
	return slices.Contains([]string{s.path, s.step.Name, s.kind.Name, s.text("name"), s.text("path"), s.text("url")}, name)
}

func (p *Plan) compare(t Test, out Output) (wrong []string) {
	used := map[string]bool{}
	for i, s := range p.sinks {
		var want []Wanted
		said := s.path + " (" + s.kind.Name + ")"
		for name, w := range t.Expect {
			if s.answersTo(name) && !used[name] {
				want, said = w, name
				used[name] = true
			}
		}
		wrong = append(wrong, compareSink(said, want, out.Sinks[i])...)
	}
	for name := range t.Expect {
		if !used[name] {
			wrong = append(wrong, "expect: no sink is called "+name)
		}
	}
	slices.Sort(wrong)
	for i := range max(len(t.Dead), len(out.Dead)) {
		switch {
		case i >= len(out.Dead):
			wrong = append(wrong, fmt.Sprintf("dead: event %d is missing", i+1))
		case i >= len(t.Dead):
			d := out.Dead[i]
			wrong = append(wrong, fmt.Sprintf("dead: %s failed in stage %s: %s", d.Original.Data, d.Stage, d.Err))
		default:
			d := out.Dead[i]
			if !strings.Contains(d.Stage, t.Dead[i].Stage) || !strings.Contains(d.Err.Error(), t.Dead[i].Cause) {
				wrong = append(wrong, fmt.Sprintf("dead: event %d failed in stage %s: %s", i+1, d.Stage, d.Err))
			}
		}
	}
	return wrong
}

func compareSink(name string, want []Wanted, got []parley.Event) (wrong []string) {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			wrong = append(wrong, fmt.Sprintf("%s: event %d is missing: %s", name, i+1, want[i].Data))
		case i >= len(want):
			wrong = append(wrong, fmt.Sprintf("%s: there is an event %d: %s", name, i+1, got[i].Data))
		default:
			if said := want[i].differs(&got[i]); said != "" {
				wrong = append(wrong, fmt.Sprintf("%s: event %d: %s", name, i+1, said))
			}
		}
	}
	return wrong
}

func (w Wanted) differs(e *parley.Event) string {
	if w.Data != nil && !bytes.Equal(w.Data, e.Data) && !sameJSON(w.Data, e.Data) {
		return fmt.Sprintf("the data is %s, not %s", e.Data, w.Data)
	}
	var attributes map[string]any
	bare := *e
	bare.Data = nil
	if json.Unmarshal(bare.AppendJSON(nil), &attributes) != nil {
		return "it cannot be read"
	}
	for name, value := range w.Attributes {
		if got := fmt.Sprint(attributes[name]); got != value {
			return fmt.Sprintf("%s is %s, not %s", name, got, value)
		}
	}
	return ""
}

// sameJSON says that two texts are the same value of JSON.
func sameJSON(a, b []byte) bool {
	x, errX := decode(a)
	y, errY := decode(b)
	if errX != nil || errY != nil {
		return false
	}
	p, errX := encode(x)
	q, errY := encode(y)
	return errX == nil && errY == nil && bytes.Equal(p, q)
}
