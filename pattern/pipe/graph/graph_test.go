package graph_test

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

func options() graph.Options {
	return graph.Options{Expr: where.Compile, Schema: schema.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template}
}

// plan reads and compiles a file.
func plan(t *testing.T, text string) *graph.Plan {
	t.Helper()
	g, err := graph.ParseYAML("pipe.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Compile(g, options())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// try runs the tests in a file.
func try(t *testing.T, text string) {
	t.Helper()
	verdicts, err := plan(t, text).Try(t.Context())
	if err != nil || len(verdicts) == 0 {
		t.Fatal(verdicts, err)
	}
	for _, v := range verdicts {
		if !v.Passed {
			t.Errorf("%s: %s", v.Name, strings.Join(v.Wrong, "\n"))
		}
	}
}

const orders = `
name: big-orders
stages:
  slim: [{drop: [password]}]
steps:
  - topic: orders
  - where: data.total > 100 || data.vip == true
    name: big
  - use: slim
  - "map {id: .id, n: (.items|length)}"
  - tee: topic copy
  - route: {when: data.n > 1, to: [{topic: many}]}
  - batch: {count: 2}
  - topic: big-orders
dead: topic orders.dead
tests:
  - name: each event goes where it belongs
    input:
      - {id: 1, total: 150, items: [1], password: x}
      - {id: 2, total: 5}
      - {id: 3, total: 500, items: [1,2]}
      - {id: 4, total: oops}
      - {id: 5, vip: true, total: 1, items: []}
    expect:
      copy: [{id: 1, n: 1}, {id: 3, n: 2}, {id: 5, n: 0}]
      many: [{id: 3, n: 2}]
      big-orders:
        - [{id: 1, n: 1}, {id: 5, n: 0}]
      orders.dead:
        - event: {id: test-4, source: /tests, deadstage: big, deadattempts: 1, data: {id: 4, total: oops}}
`

func TestOrders(t *testing.T) { try(t, orders) }

// A test that is wrong says so, line by line.
func TestVerdicts(t *testing.T) {
	text := strings.NewReplacer("{id: 5, n: 0}]\n    ", "{id: 5, n: 9}]\n    ", "many: [{id: 3, n: 2}]", "many: []\n      nowhere: [1]", "deadstage: big", "deadstage: small").Replace(orders)
	verdicts, err := plan(t, text).Try(t.Context())
	if err != nil || len(verdicts) != 1 || verdicts[0].Passed {
		t.Fatal(verdicts, err)
	}
	got := strings.Join(verdicts[0].Wrong, "\n")
	for _, want := range []string{
		"copy: event 3: the data is {\"id\":5,\"n\":0}, not {\"id\":5,\"n\":9}", "many: there is an event 1", "no sink is called nowhere", "deadstage is big, not small",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
