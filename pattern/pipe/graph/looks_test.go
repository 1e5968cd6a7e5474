package graph_test

import (
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// What is decoded is what a stage looks at; the rest has to be JSON, if anything of it
// is looked at at all.
func TestLooks(t *testing.T) {
	for _, c := range []struct {
		stage, data string
		want        string // the data that comes out; "" = the event fails
	}{
		{`where type == "t"`, `{"a":`, `{"a":`},
		{`where data.a == 1`, `{"a":1,"b":1e999}`, `{"a":1,"b":1e999}`},
		{`where data.b == 1`, `{"a":1,"b":1e999}`, ``},
		{`where data.a == 1`, `{"a":1,"b":}`, ``},
		{`where data.a == 1 && data != nil`, `{"a":1,"b":1e999}`, ``},
		{`where data.a.b == 1`, `{"a":1}`, ``},
		{`where data?.a == nil`, `null`, `null`},
		{`map {x: .a.b}`, `{"a":{"b":[1,{"c":2}],"d":3},"e":1e999}`, `{"x":[1,{"c":2}]}`},
		{`map {x: .a.b}`, `{"a":"text"}`, ``},
		{`map {x: (.a + 1)}`, `{"a":1,"b":1e999}`, ``},
		{`split data.a`, `{"b":1e999,"a":[{"c":1}]}`, `{"c":1}`},
	} {
		g, err := graph.ParseText("topic a | " + c.stage + " | topic b")
		if err != nil {
			t.Fatal(c.stage, err)
		}
		p, err := graph.Compile(g, options())
		if err != nil {
			t.Fatal(c.stage, err)
		}
		m, err := p.Machine()
		if err != nil {
			t.Fatal(c.stage, err)
		}
		for range 2 { // the second time with what the first has left
			out, err := m.Step(t.Context(), start, 0, []parley.Event{event(1, c.data)})
			if err != nil {
				t.Fatal(c.stage, err)
			}
			got := ""
			if len(out.Sinks[0]) == 1 {
				got = string(out.Sinks[0][0].Data)
			}
			if got != c.want || len(out.Dead)+len(out.Sinks[0]) != 1 {
				t.Errorf("%s of %s: %q, dead %v", c.stage, c.data, got, out.Dead)
			}
		}
	}
}
