package graph_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/lang"
)

func check(text string) error {
	g, err := graph.ParseText(text)
	if err != nil {
		return err
	}
	return graph.Check(g, options())
}

// elsewhere are the options of who knows only some of the stages that are used.
func elsewhere() graph.Options {
	o := options()
	o.Elsewhere = true
	return o
}

// A pipe over bytes is none over events, whatever it has in common with one.
func TestIsText(t *testing.T) {
	for text, want := range map[string]bool{
		"cat f | grep where | sort | uniq -c | tee out | head -n 1 | wc -l": false, "exec ls | cut -c 1 | tail -n 2": false, "grep 'a | where b' f": false,
		"sort 'where": false, "topic a | tee 'topic b' | head": true, "cat f | where data > 1": true, "tail -f f | grep x | stdout": true, "file f | grep '": true, "": false,
	} {
		if got := graph.IsText(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Each mistake in a text is told with its place, and what to do.
func TestTextMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"topic a":                                          "1|the pipe has no sink",
		"where data > 1 | topic a":                         "1|where is no source",
		"topic a | where data > 1":                         "11|where is no sink",
		"topic a | stdout | topic b":                       "11|stdout cannot stand in the middle",
		"topic a | wher data > 1 | topic b":                `11|"wher" is not a stage`,
		"topic a | queue jobs":                             "11|queue is not available",
		"webhook in | topic b":                             "1|webhook is not available",
		"cat f | where data > 1 | stdout":                  `1|"cat" is not a stage`,
		"topic a | topic a":                                "17|so that what it writes would come to it again",
		"topic 'a.>' | topic a.b":                          "21|would come to it again",
		"topic a | topic b c":                              "17|a sink is one topic",
		"topic 'a b' | topic c":                            "7|holds \" \"",
		"topic a | topic $b":                               "17|nothing is put in the place of $b",
		"topic a | batch -n 5 | topic b":                   "17|batch has no option -n",
		"topic a | batch --cont 5 | topic b":               "17|batch has no option --cont",
		"topic a | batch 0 | topic b":                      `17|"0" is not a whole number`,
		"topic a | batch 5 x | topic b":                    `19|"x" is not a duration`,
		"topic a | delay | topic b":                        "11|it is missing",
		"topic a | delay 5 | topic b":                      `17|"5" is not a duration`,
		"topic a | delay 1s 2s | topic b":                  "20|2s is one argument too many",
		"topic a | throttle fast | topic b":                `20|"fast" is not a rate`,
		"topic a | where | topic b":                        "11|it is missing",
		"topic a | where total > 1 | topic b":              "17|unknown name total",
		"topic a | where (data | topic b":                  "17|this ( is never closed",
		"topic a | where data) | topic b":                  "21|nothing is open that this ) closes",
		"topic a | where data == 'x | topic b":             "25|a string in the expression is never closed",
		"topic a | map {a | topic b":                       "15|this { is never closed",
		"topic a | map .a b | topic b":                     "15|the program cannot be read",
		"topic a | sort | topic b":                         "11|sort gives nothing before its source ends",
		"topic a | tail | topic b":                         "11|tail gives nothing",
		"topic a | window | topic b":                       "11|it needs either a size or a gap",
		"topic a | window 1s --slide 2s | topic b":         "11|Slide is larger than Size",
		"topic a | grep '(' | topic b":                     "16|it is no regular expression",
		"topic a | grep '(x?){500}(x?){500}$' | topic b":   "16|more than 2000 steps",
		"cron '99 * * * *' | topic b":                      "6|the minute, \"99\"",
		"cron '* * * *' | topic b":                         "6|it has 4 fields",
		"cron '0 0 30 2 *' | topic b":                      "6|a day that no year has",
		"cron '1/0 * * * *' | topic b":                     "6|a step",
		"merge 'cron \"* 24 * * *\"' 'topic a' | topic b":  "7|not from 0 to 23",
		"topic a | cut -f 3-1 | topic b":                   "18|is no list of places",
		"topic a | pick a..b | topic b":                    "16|is no member",
		"topic a | exec true | topic b":                    "11|programs are not allowed here",
		"topic a | tee 'where data' | topic b":             "15|where is no sink",
		"topic a | tee 'whre data | topic c' | topic b":    "15|in it, pipe, column 1",
		"topic a | tee '' | topic b":                       "15|in it, pipe, column 1: there is no stage",
		"topic a | http ftp://x --every 1s":                "32|it is for a source",
		"merge 'topic a' \"merge 'topic b'\" | topic c":    "17|there is a merge in a merge",
		"topic a | route data.x | topic b":                 "11|it is missing",
		"topic a | dedupe --most 99999999 | topic b":       "25|are too many",
		"topic a | use slim | topic b":                     `15|no stages are called "slim"`,
		"topic a | tee 'use slim | topic c' | topic b":     `15|no stages are called "slim"`,
		"topic a | use | topic b":                          "11|it is missing",
		"topic a | use a b | topic b":                      "17|one argument too many",
		"topic a | use slim":                               `15|no stages are called "slim"`,
		"topic a | validate | topic b":                     "11|it is missing",
		"topic a | validate --schema | topic b":            "20|--schema needs a value",
		"topic a | validate --scheme {} | topic b":         "20|validate has no option",
		"topic a | validate --expr x | topic b":            "20|validate has no option",
		"topic a | validate --schema {x} | topic b":        `20|"{x}" is not written in JSON`,
		"topic a | validate --schema 'x' y | topic b":      "20|wrong with the quotes",
		"topic a | validate --schema 5 | topic b":          "20|the value is no schema",
		`topic a | validate --schema {"type":1} | discard`: "20|/type",
	} {
		err := check(text)
		var m *lang.Mistake
		var e *parley.Error
		if !errors.As(err, &m) || !errors.As(err, &e) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		at, what, _ := strings.Cut(want, "|")
		if e.Field != "pipe, column "+at || !strings.Contains(e.Detail, what) || e.Fix == "" {
			t.Errorf("%s: %s: %s (fix: %s)", text, e.Field, e.Detail, e.Fix)
		}
	}
}

// All that is wrong with a file is told at once, each with its line.
func TestYAMLMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "the file is empty",
		"[1]":                                 "p.yaml:1 is no mapping",
		"a: [":                                "p.yaml:1 did not find",
		"name: x\n---\nname: y":               "there is a second document",
		"a: &b 1\nc: *b":                      "p.yaml:2 it has an alias",
		"name: Big\nsteps: topic a | topic b": "p.yaml:1 \"Big\" is no name",
		"nam: x\nsteps: topic a | topic b":    "p.yaml:1 is not part of a pipe",
		"name: x":                             "p.yaml:1 is missing",
		"name: x\nname: y\nsteps: topic a | topic b":                                 "p.yaml:2 is there twice",
		"steps:\n- cron: 99 * * * *\n- topic: b":                                     "p.yaml:2 the field of the minute, \"99\": not from 0 to 59",
		"steps:\n- topic: a\n- grep: (x?){900}(x?){900}\n- topic: b":                 "p.yaml:3 the regular expression is too large",
		"steps:\n- topic: a\n- topc: b":                                              "p.yaml:3 is not a source, stage or sink",
		"steps:\n- topic: a\n- batch: {cout: 5}\n- topic: b":                         "p.yaml:3 is not a parameter of batch",
		"steps:\n- topic: a\n- batch:\n    count: none\n- topic: b":                  "p.yaml:4 \"none\" is not a whole number",
		"steps:\n- topic: a\n- where: data >\n- topic: b":                            "p.yaml:3 unexpected token EOF",
		"steps:\n- topic: a\n- where data ( 1\n- topic: b":                           "p.yaml:3 this ( is never closed",
		"steps:\n- topic: a\n- map {a: .b}\n- topic: b":                              "p.yaml:3 it is text with a : in it",
		"steps:\n- topic: a\n- use: s\n- topic: b":                                   "p.yaml:3 no stages are called \"s\"",
		"stages:\n  s: use t\n  t: head\nsteps:\n- topic: a\n- use s\n- topic: b":    "p.yaml:2 no stages are called \"t\"\n",
		"steps:\n- topic: a\n- {where: data, use: s}\n- topic: b":                    "p.yaml:3 is a second stage in one step",
		"steps:\n- topic: a\n- validate: {expr: data, schema: {}}\n- topic: b":       "p.yaml:3 there is an expression, too",
		"steps:\n- topic: a\n- validate: {schema: {type: [1]}}\n- topic: b":          "p.yaml:3 ",
		"steps:\n- topic: a\n- validate: {schema: {minimum: .5}}\n- topic: b":        "p.yaml:3 is nothing that JSON has: .5 is no number",
		"steps:\n- topic: a\n- {where: data, map: .}\n- topic: b":                    "p.yaml:3 is a second stage in one step",
		"steps:\n- topic: a\n- tee: []\n- topic: b":                                  "p.yaml:3 the pipe is empty",
		"steps:\n- topic: a\n- {head: 1, name: a}\n- {head: 2, name: a}\n- topic: b": "p.yaml:4 two steps have this name",
		"steps: topic a | topic b\ndead:\n- where: data":                             "p.yaml:3 where is no sink",
		"steps: topic a | topic b\ntests: 5":                                         "p.yaml:2 is no list",
		"steps: topic a | topic b\ntests:\n- input:\n  - wait: long":                 "p.yaml:4 \"long\" is no duration",
		"steps: topic a | topic b\ntests:\n- in: []":                                 "p.yaml:3 is not part of a test",
		"steps: topic a | topic b\ntests:\n- input:\n  - event: {id: [1]}":           "p.yaml:4 is no single value",
	} {
		g, err := graph.ParseYAML("p.yaml", []byte(text))
		if err == nil {
			err = graph.Check(g, options())
		}
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		said := ""
		for _, e := range unjoin(err) {
			var p *graph.Problem
			if !errors.As(e, &p) || p.Err.Fix == "" {
				t.Errorf("%q: %v is no problem with a fix", text, e)
				continue
			}
			said += p.Where() + " " + p.Err.Detail + "\n"
		}
		if !strings.Contains(said, want) {
			t.Errorf("%q: %s", text, said)
		}
	}
	_, err := graph.ParseYAML("p.yaml", []byte("nam: x\nsteps:\n- topc: a\n- batch: {cout: 1}"))
	if n := len(unjoin(err)); n != 3 {
		t.Errorf("%d problems: %v", n, err)
	}
}

func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// Named stages take their place wherever a text names them, and count each time.
func TestUseInText(t *testing.T) {
	src := "stages:\n  slim: [{drop: [a]}]\n  both: use slim | where data.x > 1\nsteps:\n- topic: a\n- use both | head 5\n- tee: use slim | topic c\n- use lib.big\n- topic: b"
	shared := map[string][]graph.Step{"lib.big": {graph.New("where", graph.Args{"expr": "data.big"})}}
	g, err := graph.ParseYAMLWith("p.yaml", []byte(src), shared)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Check(g, options()); err != nil {
		t.Fatal(err)
	}
	if got := g.Text(); got != "topic a | drop a | where data.x > 1 | head 5 | tee 'drop a | topic c' | where data.big | topic b" {
		t.Error(got)
	}
	if got := strings.Join(graph.Uses([]byte(src)), " "); got != "slim both slim lib.big" {
		t.Errorf("it uses %s", got)
	}
	many := "stages:\n  s: [" + strings.TrimSuffix(strings.Repeat("head, ", 400), ", ") + "]\nsteps:\n- topic: a\n- tee: use s | topic x\n- tee: use s | topic y\n- topic: b"
	if _, err := graph.ParseYAML("p.yaml", []byte(many)); err == nil || !strings.Contains(err.Error(), "there are more than 1000") {
		t.Errorf("1200 steps: %v", err)
	}
}

// What is elsewhere can be checked, and not run.
func TestElsewhere(t *testing.T) {
	g, err := graph.ParseText("topic a | use lib.slim | where data.x > | topic b")
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Check(g, elsewhere()); len(unjoin(err)) != 1 || strings.Contains(err.Error(), "slim") {
		t.Errorf("checked: %v", err)
	}
	g.Steps = slices.Delete(g.Steps, 2, 3)
	if err := graph.Check(g, elsewhere()); err != nil {
		t.Errorf("checked: %v", err)
	}
	end, err := graph.ParseText("topic a | use lib.slim")
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Check(end, elsewhere()); err == nil || !strings.Contains(err.Error(), "use is no sink") {
		t.Errorf("a sink: %v", err)
	}
	if _, err := graph.Compile(g, elsewhere()); err == nil || !strings.Contains(err.Error(), "no stages are called") {
		t.Errorf("compiled: %v", err)
	}
}

// The three ways to write a graph make the same one.
func TestThreeWays(t *testing.T) {
	inGo := &graph.Graph{Steps: []graph.Step{
		graph.New("topic", graph.Args{"name": "orders", "from": "latest"}),
		graph.New("where", graph.Args{"expr": "data.total > 100 || data.vip"}),
		graph.New("batch", graph.Args{"count": 100, "every": time.Second}),
		graph.New("grep", graph.Args{"pattern": "-x", "ignore-case": true}),
		graph.New("tee", graph.Args{"to": [][]graph.Step{{graph.New("map", graph.Args{"jq": "{a: (.b|.c)}"}), graph.New("topic", graph.Args{"name": "it's"})}, {graph.New("stdout", nil)}}}),
		graph.New("use", graph.Args{"name": "lib.slim"}),
		graph.New("validate", graph.Args{"schema": `{"const": "it's | \\n"}`}),
		graph.New("validate", graph.Args{"expr": "--data.x > 1"}),
		graph.New("file", graph.Args{"path": "out file", "append": true}),
	}}
	const text = `topic --from latest orders | where data.total > 100 || data.vip | batch 100 1s | grep --ignore-case '-x' | tee 'map {a: (.b|.c)} | topic '\''it'\''\'\'''\''s'\''' stdout | use lib.slim | validate --schema '{"const":"it\u0027s | \\n"}' | validate '--data.x > 1' | file --append 'out file'`
	if got := inGo.Text(); got != text {
		t.Errorf("\n%s\n%s", got, text)
	}
	fromText, err := graph.ParseText(inGo.Text())
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := fromText.YAML()
	if err != nil {
		t.Fatal(err)
	}
	fromYAML, err := graph.ParseYAML("p.yaml", asYAML)
	if err != nil {
		t.Fatalf("%v\n%s", err, asYAML)
	}
	if fromText.Text() != text || fromYAML.Text() != text {
		t.Errorf("\n%s\n%s\n%s", fromText.Text(), fromYAML.Text(), asYAML)
	}
	asMapping := "steps:\n- topic: a\n- validate:\n    schema:\n      type: object\n      properties: {n: {minimum: 1.0}}\n- topic: b"
	fromMapping, err := graph.ParseYAML("p.yaml", []byte(asMapping))
	if err != nil {
		t.Fatal(err)
	}
	if got := fromMapping.Text(); got != `topic a | validate --schema '{"properties":{"n":{"minimum":1.0}},"type":"object"}' | topic b` {
		t.Error(got)
	}
}

// An example of each kind can be read, and is written as it is documented.
func TestExamples(t *testing.T) {
	for _, k := range graph.Kinds() {
		if k.Absent {
			continue
		}
		text := k.Example
		switch {
		case k.Roles&graph.IsSource == 0 && k.Roles&graph.IsSink != 0:
			text = "topic in | " + text
		case k.Roles&graph.IsSource == 0:
			text = "topic in --until end | " + text + " | topic out"
		default:
			text += " | topic out"
		}
		if k.Name == "exec" {
			continue // it needs a program
		}
		g, err := graph.ParseText(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := graph.Check(g, elsewhere()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if !strings.Contains(g.Text(), k.Example) && k.Name != "http" && k.Name != "window" && k.Name != "generate" && k.Name != "grep" && k.Name != "cut" && k.Name != "head" && k.Name != "tail" && k.Name != "batch" {
			t.Errorf("%s is written %s", k.Example, g.Text())
		}
	}
}

func TestLintAndDrawings(t *testing.T) {
	g, err := graph.ParseText(`topic orders | window 1m | route 'data.count > 5' 'batch 3 | topic "many"' | uniq | validate --schema { } | use slim | use lib.slim | topic few`)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, f := range graph.Lint(g) {
		found += f.Path + " " + f.What + "\n"
	}
	for _, want := range []string{"2 without lateness", "2 the last window stays open", "3.to1.1 a batch that is not full", "4 only equal events that follow", "5 everything fits", "6 no stages are called slim", "1 the first event that fails"} {
		if !strings.Contains(found, want) {
			t.Errorf("%q is not in\n%s", want, found)
		}
	}
	if strings.Contains(found, "lib.slim,") || strings.Count(found, "\n") != 7 {
		t.Errorf("also found\n%s", found)
	}
	g.Steps = slices.Delete(g.Steps, 4, 7)
	if got := g.Tree(); got != "topic orders\n↓ window 1m\n↓ route 'data.count > 5'\n   ↓ batch 3\n   ↓ topic many\n↓ uniq\n↓ topic few\n" {
		t.Errorf("%s", got)
	}
	for _, want := range []string{`"2" -> "3"`, `"3" -> "3.to1.1" [label="data.count > 5"]`, `"3.to1.1" -> "3.to1.2"`, `"3" -> "4"`} {
		if !strings.Contains(g.DOT(), want) {
			t.Errorf("%s is not in\n%s", want, g.DOT())
		}
	}
	if !strings.Contains(g.Mermaid(), `s3 -->|"data.count #gt; 5"| s3_to1_1`) {
		t.Errorf("%s", g.Mermaid())
	}
}

// Whatever is accepted as text means the same in its one form, and as YAML.
func FuzzParseText(f *testing.F) {
	for _, seed := range []string{
		"topic a | where data.x > 1 || data.y | map {a: (.b | .c)} | topic b", "file x | tee 'topic a' \"tee 'topic b' | topic c\" | stdout",
		"topic a | batch 5 1s 64K | topic b", "topic a | exec -- sh -c 'x' -- -y | topic b", "topic a | grep -ivF -- -x | topic b", "merge 'topic a' 'stdin' | topic b",
		"topic a | window --gap 5s --late 'topic x' | topic b", "generate 5 | sort -r data | topic b", "topic a | http 'http://x/?a=1&b=2' --header 'A: b' --header=C:d",
		"topic a | use slim | tee 'use lib.slim | topic c' | topic b", `topic a | validate --schema '{"const": "a\u0027|"}' | topic b`, `topic a | validate --schema={"type": ["object", "null"]} | topic b`,
		"topic a | validate '--schema x' | topic b", "topic a | where ''] | topic b", `topic a | validate --schema "true" | topic b`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := graph.ParseText(text)
		if err != nil {
			var m *lang.Mistake
			if !errors.As(err, &m) || m.Pos < 0 || m.Pos > m.End || m.End > len(text) {
				t.Fatalf("%q: %v %+v", text, err, m)
			}
			return
		}
		one := g.Text()
		again, err := graph.ParseText(one)
		if err != nil || again.Text() != one {
			t.Fatalf("%q became %q: %v", text, one, err)
		}
		graph.Lint(g)
		if err := graph.Check(g, elsewhere()); err != nil {
			return
		}
		asYAML, err := g.YAML()
		if err != nil {
			t.Fatalf("%q: %v", one, err)
		}
		fromYAML, err := graph.ParseYAML("f", asYAML)
		if err != nil || fromYAML.Text() != one {
			t.Fatalf("%q became\n%s: %v", one, asYAML, err)
		}
	})
}

// No file makes it panic, and all it says has a line and a fix.
func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(orders))
	f.Add([]byte(everything))
	f.Add([]byte("steps: topic a | topic b\ntests:\n- input: [1, {wait: 1s}, {event: {id: x, data: 5}}]\n  expect: {b: [1]}\n  dead: [{stage: x}]\n  end: false"))
	f.Add([]byte("stages:\n  s: head\n  t: use s | use u\nsteps:\n- topic: a\n- tee: use s | topic c\n- {use: t}\n- validate: {schema: {type: [object, 'null'], const: 1.5}}\n- topic: b"))
	f.Add([]byte("steps:\n- <<: {}\n- ? [a]\n  : b\n- !!binary aGk=\n- topic: 2026-01-01"))
	f.Fuzz(func(t *testing.T, src []byte) {
		g, err := graph.ParseYAML("f", src)
		if err != nil {
			for _, e := range unjoin(err) {
				var p *graph.Problem
				if !errors.As(e, &p) || p.Err.Fix == "" {
					t.Fatalf("%v", e)
				}
			}
			return
		}
		if err := graph.Check(g, options()); err != nil {
			return
		}
		out, err := g.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := graph.ParseYAML("f", out); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}
