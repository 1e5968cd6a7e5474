package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func event(n int, data string) parley.Event {
	return parley.Event{ID: fmt.Sprint(n), Source: "/in", Type: "t", Time: start.Add(time.Duration(n) * time.Second), DataContentType: "application/json", Data: []byte(data)}
}

// everything has every stage that keeps something.
const everything = `
name: everything
steps:
  - merge: [topic a, topic b]
  - tee:
      - dedupe data.k --within 7s --most 3 | topic once
      - batch 3 4s 60 | delay 2s | topic batches
      - window 5s --slide 2s --lateness 3s --key data.k --of data.n --collect --idle 9s --late 'topic late' | topic windows
      - window --gap 3s --lateness 4s | topic sessions
      - throttle 1/s --key data.k | topic slowly
      - throttle 2/s | uniq data.k -c | topic counts
      - uniq data.k | head -n 6 | topic first
  - delay 3s
  - catch: topic bad
  - topic: out
dead: [{batch: {count: 2}}, {topic: dead}]
`

// entry is a thing that happens to a machine.
type entry struct {
	wait time.Duration
	lane int
	data []string // none = a tick
}

var entries = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
	e := entry{wait: time.Duration(rapid.IntRange(0, 3000).Draw(t, "wait")) * time.Millisecond, lane: rapid.IntRange(0, 1).Draw(t, "lane")}
	for range rapid.IntRange(0, 4).Draw(t, "events") {
		e.data = append(e.data, rapid.SampledFrom([]string{`{"k":"a","n":1}`, `{"k":"b","n":2}`, `{"k":"c","n":2.5}`, `{"k":"d","n":"x"}`, `{"k":[],"n":1}`, `"text"`}).Draw(t, "data"))
	}
	return e
}), 0, 30)

// drive gives entries to machines, with another machine now and then, and returns
// what came of it, a line each.
func drive(t *rapid.T, p *graph.Plan, all []entry, restart func() bool) []string {
	ctx := context.Background()
	m, err := p.Machine()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	tell := func(out graph.Output, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for i, events := range out.Sinks {
			for _, e := range events {
				lines = append(lines, fmt.Sprintf("%d %s", i, e.AppendJSON(nil)))
			}
		}
		for _, d := range out.Dead {
			t.Fatalf("%+v", d)
		}
	}
	now, n := start, 0
	for _, e := range all {
		for until := now.Add(e.wait); ; {
			at, ok := m.Wake()
			if !ok || at.After(until) {
				now = until
				break
			}
			if at.After(now) {
				now = at
			}
			tell(m.Tick(ctx, now))
		}
		var events []parley.Event
		for _, data := range e.data {
			events = append(events, event(n, data))
			n++
		}
		tell(m.Step(ctx, now, e.lane, events))
		if restart() {
			state, err := m.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			low := []int64{m.Low(0), m.Low(1)}
			if m, err = p.Machine(); err != nil {
				t.Fatal(err)
			}
			if err := m.Restore(state); err != nil {
				t.Fatal(err)
			}
			again, err := m.Snapshot()
			if err != nil || !bytes.Equal(again, state) {
				t.Fatalf("%v\n%s\n%s", err, state, again)
			}
			if low[0] != m.Low(0) || low[1] != m.Low(1) {
				t.Fatalf("low was %v and is %d, %d", low, m.Low(0), m.Low(1))
			}
		}
	}
	tell(m.End(ctx, now))
	if m.Low(0)+m.Low(1) != int64(n) {
		t.Fatalf("%d + %d events are done at the end, of %d", m.Low(0), m.Low(1), n)
	}
	return lines
}

// Whenever a machine is put in the place of another, with its state, what comes of
// the events is the same.
func TestRestoreGoesOn(t *testing.T) {
	p := plan(t, everything)
	rapid.Check(t, func(t *rapid.T) {
		all := entries.Draw(t, "entries")
		want := drive(t, p, all, func() bool { return false })
		got := drive(t, p, all, func() bool { return rapid.Bool().Draw(t, "restart") })
		if !slices.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	})
}

// A run that begins again at Low, without state, gives all that one without an end in
// between gives, with the same ids.
func TestLowLosesNothing(t *testing.T) {
	p := plan(t, `
name: low
steps:
  - topic: in
  - jq: ".[]"
  - tee: delay 2s | topic late
  - route: {when: data == 1, to: batch 1 | topic ones}
  - throttle: 1/s
  - topic: out
`)
	rapid.Check(t, func(t *rapid.T) {
		var events []parley.Event
		for i := range rapid.IntRange(1, 20).Draw(t, "events") {
			events = append(events, event(i, rapid.SampledFrom([]string{`[]`, `[1]`, `[2,1,3]`, `[4,4]`}).Draw(t, "data")))
		}
		run := func(from, upTo int, end bool) (ids []string, low int) {
			m, err := p.Machine()
			if err != nil {
				t.Fatal(err)
			}
			note := func(out graph.Output, err error) {
				if err != nil {
					t.Fatal(err)
				}
				for i, all := range out.Sinks {
					for _, e := range all {
						ids = append(ids, fmt.Sprint(i, " ", e.ID, " ", string(e.Data)))
					}
				}
			}
			for i, e := range events[from:upTo] {
				note(m.Step(context.Background(), start.Add(time.Duration(i)*700*time.Millisecond), 0, []parley.Event{e}))
			}
			low = from + int(m.Low(0))
			if end {
				note(m.End(context.Background(), start.Add(time.Hour)))
			}
			return ids, low
		}
		want, _ := run(0, len(events), true)
		ids, low := run(0, rapid.IntRange(0, len(events)).Draw(t, "break"), false)
		more, _ := run(low, len(events), true)
		got := map[string]bool{}
		for _, id := range append(ids, more...) {
			got[id] = true
		}
		for _, id := range want {
			if !got[id] {
				t.Fatalf("%s is missing", id)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Fatalf("what came twice has another id: %v", got)
		}
	})
}

// State of another pipe, or garbage, is refused; another argument of a stage without
// state is not.
func TestRestoreRefuses(t *testing.T) {
	compile := func(text string) *graph.Machine {
		t.Helper()
		g, err := graph.ParseText(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := graph.Compile(g, options())
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Machine()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := compile("topic a | where data > 1 | batch 5 | topic b")
	if _, err := m.Step(t.Context(), start, 0, []parley.Event{event(1, "5")}); err != nil {
		t.Fatal(err)
	}
	state, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]parley.Code{"topic a | where data > 1 | batch 6 | topic b": parley.Conflict, "topic a | batch 5 | topic b": parley.Conflict} {
		if err := compile(text).Restore(state); parley.CodeOf(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := compile("topic a | where data > 2 | batch 5 | topic c").Restore(state); err != nil {
		t.Error(err)
	}
	for _, garbage := range []string{"", "{}", `{"version":1,"lanes":[]}`, `[]`, string(state[:len(state)-2])} {
		if err := m.Restore([]byte(garbage)); parley.CodeOf(err) != parley.Damaged {
			t.Errorf("%q: %v", garbage, err)
		}
	}
}

// What a stage fails with because its context has ended is no dead event.
func TestStepEnds(t *testing.T) {
	g, err := graph.ParseText("topic a | map .n + 1 | topic b")
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Compile(g, options())
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Machine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := m.Step(ctx, start, 0, []parley.Event{event(1, `{}`)})
	if !errors.Is(err, context.Canceled) || len(out.Dead) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
}
