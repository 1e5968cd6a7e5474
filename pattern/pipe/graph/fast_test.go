package graph_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
)

var (
	someStages = rapid.SampledFrom([]string{
		`where data.a == 7`, `where data.a > 1 or data.b.c == "x"`, `where not (data.b.c == nil)`, `where type == "t" and data.a != 7`, `where id != "line-2"`, `where data.b?.c == nil`,
		`where data.a == data.b`, `map {x: .a, y: .b.c, "z é": "k"}`, `map {a: .b, b: {c: .a}}`, `map {a: .a, b: {c: (.a)}}`, `map .b`, `map {a: 7}`, `jq .a`, `map {a: .b, a: .a}`,
		`grep x`, `grep -v 7`, `pick a`, `drop b`, `sort data.a`, `uniq data.a`, `uniq -c`, `batch 3`, `head -n 5`, `tail -n 3`, `dedupe`, `wc`, `tee 'map {t: .a} | topic side'`,
		`route data.a==7 'where data.b.c == "x" | topic side'`, `catch 'topic side'`, `validate data.a != 1`, `split data.b`, `throttle 2/s`, `delay 1s`, `window 10s --of data.a`,
	})
	someValues = rapid.SampledFrom([]string{`null`, `true`, `7`, `-0`, `1.50`, `1e2`, `1e999`, `123456789012345678901`, `"x"`, `"\u0078"`, `"é\u007f"`, "\"\xff\"", "\"\x7f\"", `"a\/b"`, `[1, 2]`, `{"c":"x"}`, `{"c":null}`, `{ "c" : { "d" : 1, "b" : 2 } }`, `{}`, `{"c":1,"c":"x"}`})
	someData   = rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			return rapid.SampledFrom([]string{``, ` `, `x`, `{"a":7`, `{"a":7}}`, "\xff", `7`, `null`, `"x"`, `[]`, `{"a":7,"b":}`, strings.Repeat("[", 1001) + strings.Repeat("]", 1001)}).Draw(t, "odd")
		case 1:
			return `{"a":` + rapid.SampledFrom([]string{`7`, `{"c":7}`, `"x"`}).Draw(t, "a") + `,"a":` + someValues.Draw(t, "again") + `}`
		case 2:
			return `{ "\u0061" : ` + someValues.Draw(t, "a") + ` , "z" : [ {} , -1.5e-3 ] }`
		}
		return `{"a":` + someValues.Draw(t, "a") + `,"n":"x","b":` + someValues.Draw(t, "b") + `}`
	})
)

// played is a pipe that is run over data, by steps, and all that comes of it.
func played(t *rapid.T, text string, o graph.Options, steps func(m *graph.Machine, now time.Time, tell func(graph.Output, error))) (lines []string) {
	g, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(text, err)
	}
	p, err := graph.Compile(g, o)
	if err != nil {
		t.Skip(text, err) // as a sort in an endless pipe
	}
	m, err := p.Machine()
	if err != nil {
		t.Fatal(text, err)
	}
	tell := func(out graph.Output, err error) {
		if err != nil {
			t.Fatal(text, err)
		}
		for i, events := range out.Sinks {
			for _, e := range events {
				lines = append(lines, fmt.Sprintf("%d %s %q", i, e.AppendJSON(nil), e.Data))
			}
		}
		for _, d := range out.Dead {
			cause := strings.ReplaceAll(d.Err.Error(), "float64", "int") // 1e2 that was written and read again is 100
			lines = append(lines, fmt.Sprintf("dead %s %s %s %s", d.Stage, cause, d.Event.AppendJSON(nil), d.Original.AppendJSON(nil)))
		}
	}
	steps(m, start, tell)
	tell(m.End(t.Context(), start.Add(time.Hour)))
	return lines
}

func stagesOf(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(someStages, 1, 4).Draw(t, "stages"), " | ")
}

// What is told by members as they stand in the data, and copied from it, is what
// expressions and programs make of the decoded data.
func TestShortCutsAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "topic in | " + stagesOf(t) + " | topic out"
		data := rapid.SliceOfN(rapid.SliceOfN(someData, 0, 4), 1, 3).Draw(t, "data")
		types := rapid.SampledFrom([]string{"application/json", "", "text/plain", "application/x+json"})
		typ := types.Draw(t, "type")
		steps := func(m *graph.Machine, now time.Time, tell func(graph.Output, error)) {
			n := 0
			for i, part := range data {
				var events []parley.Event
				for _, d := range part {
					e := event(n, d)
					e.DataContentType, e.Extensions = typ, map[string]string{"region": "eu"}
					events = append(events, e)
					n++
				}
				tell(m.Step(t.Context(), now.Add(time.Duration(i)*time.Second), 0, events))
			}
		}
		slow := options()
		slow.Test = nil
		slow.Template = func(text string) ([]string, [][]string, bool) { // they look at no more
			_, paths, ok := jq.Template(text)
			return nil, paths, ok
		}
		want, got := played(t, text, slow, steps), played(t, text, options(), steps)
		if !slices.Equal(got, want) {
			t.Fatalf("%s\ngot  %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	})
}

// Records are the events that they hold, to all stages; and those that a sink takes as
// records are those that it would get as events.
func TestRecordsAreEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "topic in | " + stagesOf(t) + " | topic out"
		typ := rapid.SampledFrom([]string{"application/json", "", "text/plain", parley.StructuredType}).Draw(t, "type")
		var records []parley.Record
		var b parley.Builder
		for i, data := range rapid.SliceOfN(someData, 1, 6).Draw(t, "data") {
			headers := []parley.Header{{Name: "ce_specversion", Value: []byte("1.0")}, {Name: "ce_id", Value: []byte(fmt.Sprint(i))}, {Name: "ce_type", Value: []byte("t")}}
			if typ == parley.StructuredType {
				data, headers = fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/in","type":"t","data":{"a":7}}`, i), nil
			}
			if err := b.AddRecord(start, []byte("k"), []byte(data), append(headers, parley.Header{Name: "content-type", Value: []byte(typ)})...); err != nil {
				t.Fatal(err)
			}
		}
		records = recordsIn(t, &b)
		want := played(t, text, options(), func(m *graph.Machine, now time.Time, tell func(graph.Output, error)) {
			var events []parley.Event
			for _, r := range records {
				e, err := r.Event()
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, e)
			}
			tell(m.Step(t.Context(), now, 0, events))
		})
		for _, carried := range []bool{false, true} {
			got := played(t, text, options(), func(m *graph.Machine, now time.Time, tell func(graph.Output, error)) {
				if carried {
					m.Records(0)
				}
				out, err := m.StepRecords(t.Context(), now, 0, records)
				for i, r := range out.Records[0] {
					if r != nil {
						var err error
						if out.Sinks[0][i], err = r.Event(); err != nil {
							t.Fatal(err)
						}
					}
				}
				tell(out, err)
			})
			if !slices.Equal(got, want) {
				t.Fatalf("%s\ngot  %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			}
		}
	})
}

func recordsIn(t *rapid.T, b *parley.Builder) (all []parley.Record) {
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range batch.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// What filters let pass goes on in the record that it came in; what a stage made or
// kept does not.
func TestRecordsGoOn(t *testing.T) {
	var b parley.Builder
	for i := range 4 {
		e := event(i, fmt.Sprintf(`{"a":%d}`, i))
		if err := b.Add(start, &e); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"":                                    "0 1 2 3",
		"where data.a > 1 | grep 3":           "3",
		`where type == "t" && data.a != 2`:    "0 1 3",
		"where any([data.a], # > 2)":          "3",
		"tee 'topic side' | head -n 2":        "0 1",
		"route data.a==1 'topic side'":        "0 2 3",
		"validate data.a < 9 | dedupe data.a": "0 1 2 3",
		"map {a: .a}":                         "- - - -", "uniq data.a": "0 1 2 3", "throttle 2/s": "- -",
	} {
		if text != "" {
			text = " | " + text
		}
		p, err := graph.ParseText("topic in" + text + " | topic out")
		if err != nil {
			t.Fatal(err)
		}
		plan, err := graph.Compile(p, options())
		if err != nil {
			t.Fatal(err)
		}
		m, err := plan.Machine()
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range plan.Sinks() {
			if s.Text("name") == "out" {
				m.Records(i)
			}
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		var records []parley.Record
		for r, err := range batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
		out, err := m.StepRecords(t.Context(), start, 0, records)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, s := range plan.Sinks() {
			for j, r := range out.Records[i] {
				switch {
				case s.Text("name") != "out":
					t.Errorf("%s: a sink got records that did not ask", text)
				case r == nil && out.Sinks[i][j].ID == "":
					t.Errorf("%s: event %d is in neither", text, j)
				case r == nil:
					got = append(got, "-")
				default:
					id, _ := r.Header("ce_id")
					got = append(got, string(id))
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

// Lines are what FromLine makes of each, whatever is asked of them.
func TestLinesAreEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "stdin | " + stagesOf(t) + " | topic out"
		format := rapid.SampledFrom([]string{"", "auto", "text"}).Draw(t, "format")
		blocks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(someData, 0, 4).Draw(t, "lines"), "\n") + rapid.SampledFrom([]string{"", "\n", "\n\n"}).Draw(t, "end")
		}), 1, 3).Draw(t, "blocks")
		want := played(t, text, options(), func(m *graph.Machine, now time.Time, tell func(graph.Output, error)) {
			n := 0
			for _, block := range blocks {
				var events []parley.Event
				for line := range bytes.Lines([]byte(block)) {
					n++
					if line = bytes.TrimSuffix(line, []byte("\n")); len(line) == 0 && format != "text" {
						continue
					}
					e, err := graph.FromLine(format, "/in", fmt.Sprint("line-", n), line)
					if err != nil {
						t.Fatal(err)
					}
					events = append(events, e)
				}
				tell(m.Step(t.Context(), now, 0, events))
			}
		})
		got := played(t, text, options(), func(m *graph.Machine, now time.Time, tell func(graph.Output, error)) {
			n := 1
			for _, block := range blocks {
				tell(m.StepLines(t.Context(), now, 0, graph.Lines{Format: format, Source: "/in", First: n, Text: []byte(block)}))
				for range bytes.Lines([]byte(block)) {
					n++
				}
			}
		})
		if !slices.Equal(got, want) {
			t.Fatalf("%s\n%q\ngot  %s\nwant %s", text, blocks, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	})
}

// What a step gave is not touched while a driver tells of sinks that fail, and is used
// again by the next step.
func TestFailLeavesWhatIsGiven(t *testing.T) {
	p := plan(t, "steps:\n  - topic: a\n  - topic: b\ndead: topic bad\n")
	m, err := p.Machine()
	if err != nil {
		t.Fatal(err)
	}
	of := func(out graph.Output) (ids []string) {
		for i, events := range out.Sinks {
			for _, e := range events {
				ids = append(ids, p.Sinks()[i].Text("name")+e.ID)
			}
		}
		slices.Sort(ids)
		return ids
	}
	main := slices.IndexFunc(p.Sinks(), func(s graph.Spec) bool { return s.Text("name") == "b" })
	for n := range 3 {
		out, err := m.Step(t.Context(), start, 0, []parley.Event{event(2*n, `1`), event(2*n+1, `2`)})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range out.Sinks[main] {
			failed, err := m.Fail(t.Context(), start, main, e, parley.Errorf(parley.Invalid, "no"), 1)
			if err != nil || !slices.Equal(of(failed), []string{fmt.Sprint("bad", 2*n+i)}) {
				t.Fatal(of(failed), err)
			}
		}
		if got := of(out); !slices.Equal(got, []string{fmt.Sprint("b", 2*n), fmt.Sprint("b", 2*n+1)}) {
			t.Fatal(got)
		}
	}
}
