package graph_test

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// What a machine takes for each event of 256 that come together.
func benchmarkStep(b *testing.B, text string) {
	benchmarkStepOver(b, text, `{"id":17,"total":120,"city":"Bonn","tags":["a","b"]}`)
}

func benchmarkStepOver(b *testing.B, text, data string) {
	g, err := graph.ParseText(text)
	if err != nil {
		b.Fatal(err)
	}
	p, err := graph.Compile(g, options())
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.Machine()
	if err != nil {
		b.Fatal(err)
	}
	events := make([]parley.Event, 256)
	for i := range events {
		events[i] = event(i, data)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(events) {
		if _, err := m.Step(b.Context(), start, 0, events); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStepGrep(b *testing.B)  { benchmarkStep(b, "topic a | grep Bonn | topic b") }
func BenchmarkStepWhere(b *testing.B) { benchmarkStep(b, "topic a | where data.total > 100 | topic b") }

func BenchmarkStepWhereKiB(b *testing.B) {
	benchmarkStepOver(b, "topic a | where data.total > 100 | topic b", `{"note":"`+strings.Repeat("Deliver to the back door. ", 36)+`","items":[{"sku":"tea-1","n":2}],"total":120}`)
}
func BenchmarkStepMap(b *testing.B) { benchmarkStep(b, "topic a | map {id: .id} | topic b") }
func BenchmarkStepWindow(b *testing.B) {
	benchmarkStep(b, "topic a | window 1m --lateness 1h --key data.city --of data.total | topic b")
}
