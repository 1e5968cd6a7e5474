package declared

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

const big = `
steps:
  - topic: orders
  - where: data.n >= 2
    name: big
  - map: "{n: .n, big: true}"
  - topic: big-orders
`

func TestAPipeGoesFromTopicToTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.publish("orders", numbers(0, 3)...)
		o.put("big", big)
		settle(0)
		if got := o.data("big-orders"); !slices.Equal(got, []string{`{"big":true,"n":2}`}) {
			t.Fatal(got, text(o.stats("big")))
		}
		o.publish("orders", `{"n":7}`, `{"n":"x"}`, `{"n":8}`)
		settle(0)
		if got := o.data("big-orders"); len(got) != 3 {
			t.Fatal(got)
		}
		dead := o.events("big.dead")
		if len(dead) != 1 || dead[0].Extensions[graph.AttrStage] != "big" || string(dead[0].Data) != `{"n":"x"}` || dead[0].Extensions[graph.AttrAttempts] != "1" || dead[0].Extensions[graph.AttrCause] == "" {
			t.Fatalf("%+v", dead)
		}
		s := o.stats("big")
		if s.State != Running || s.In != 6 || s.Out != 3 || s.Dead != 1 || s.Lag != 0 || len(s.Steps) != 3 || s.Steps[0].In != 6 || s.Steps[0].Out != 3 || s.Steps[0].Errors != 1 || s.Steps[2].In != 3 {
			t.Fatal(text(s))
		}
	})
}

func TestAPipeGoesOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("count", "steps: 'topic orders | batch 4 | topic batches'")
		o.publish("orders", numbers(0, 6)...)
		settle(0)
		o = o.again()
		o.publish("orders", numbers(6, 8)...)
		settle(0)
		if got := o.data("batches"); !slices.Equal(got, []string{`[{"n":0},{"n":1},{"n":2},{"n":3}]`, `[{"n":4},{"n":5},{"n":6},{"n":7}]`}) {
			t.Fatal(got, text(o.stats("count")))
		}
	})
}

func TestPauseStopStartDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("copy", "steps: 'topic a | topic b'")
		o.publish("a", numbers(0, 1)...)
		settle(0)
		for _, want := range []State{Paused, Stopped} {
			before := len(o.data("b"))
			must(t, o.Set(t.Context(), "copy", want))
			settle(0)
			o.publish("a", numbers(0, 2)...)
			settle(time.Minute)
			if s := o.stats("copy"); len(o.data("b")) != before || s.State != want {
				t.Fatal(want, o.data("b"), text(s))
			}
			must(t, o.Set(t.Context(), "copy", Running))
			settle(0)
			if s := o.stats("copy"); len(o.data("b")) != before+2 || s.State != Running {
				t.Fatal(want, o.data("b"), text(s))
			}
		}
		code(t, o.Set(t.Context(), "copy", Done), parley.Invalid)
		code(t, o.Set(t.Context(), "no", Paused), parley.NotFound)
		stream := o.entry("copy").stream
		must(t, o.Delete(t.Context(), "copy"))
		code(t, o.Delete(t.Context(), "copy"), parley.NotFound)
		_, err := o.Stats(t.Context(), "copy")
		code(t, err, parley.NotFound)
		if end, err := o.log.End(t.Context(), stream); err != nil || end != 0 {
			t.Fatal(end, err)
		}
		o.put("copy", "steps: 'topic a | topic b'") // from the beginning
		settle(0)
		if got := len(o.data("b")); got != 10 {
			t.Fatal(got)
		}
	})
}

func TestANewDefinitionTakesOverBetweenBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("p", "steps: [topic: a, {batch: 3, name: three}, topic: b]")
		o.publish("a", numbers(0, 4)...)
		settle(0)
		o.put("p", "steps: [topic: a, where: data.n > 4, {batch: 3, name: three}, topic: b]") // its batch goes on
		settle(0)
		o.publish("a", numbers(3, 7)...)
		settle(0)
		want := []string{`[{"n":0},{"n":1},{"n":2}]`, `[{"n":3},{"n":5},{"n":6}]`}
		if got := o.data("b"); !slices.Equal(got, want) {
			t.Fatal(got, text(o.stats("p")))
		}
		o.publish("a", `{"n":10}`)
		settle(0)
		changed := []byte("steps: [topic: a, {batch: 2, name: three}, topic: c]")
		_, _, err := o.Put(t.Context(), "p", changed, PutOptions{})
		code(t, err, parley.Conflict)
		_, _, err = o.Put(t.Context(), "p", changed, PutOptions{Drain: true})
		must(t, err)
		settle(0)
		o.publish("a", numbers(0, 2)...)
		settle(0)
		if got := o.data("b"); !slices.Equal(got, append(want, `[{"n":10}]`)) {
			t.Fatal(got)
		}
		if got := o.data("c"); !slices.Equal(got, []string{`[{"n":0},{"n":1}]`}) {
			t.Fatal(got)
		}
	})
}

func TestOnlyAChangeIsAChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		for i, want := range [][2]bool{{true, true}, {false, false}} {
			changed, created, err := o.Put(t.Context(), "big", []byte(big), PutOptions{})
			if err != nil || changed != want[0] || created != want[1] {
				t.Fatal(i, changed, created, err)
			}
		}
		i, err := o.Get(t.Context(), "big")
		if err != nil || i.Revision != 1 || i.Definition != big || i.State != Running || i.Stages {
			t.Fatalf("%+v %v", i, err)
		}
	})
}

func TestStagesThatSeveralPipesUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("lib", "stages:\n  slim: [{drop: [secret]}]\n")
		o.put("x", "steps: [topic: a, use: lib.slim, topic: b]")
		o.put("y", "steps: [topic: a, use: lib.slim, topic: c]")
		o.publish("a", `{"secret":1,"n":1,"m":2}`)
		settle(0)
		if b, c := o.data("b"), o.data("c"); !slices.Equal(b, []string{`{"m":2,"n":1}`}) || !slices.Equal(c, b) {
			t.Fatal(b, c)
		}
		o.put("lib", "stages:\n  slim: [{drop: [secret, m]}]\n")
		settle(0)
		o.publish("a", `{"secret":1,"n":2,"m":2}`)
		settle(0)
		if b, c := o.data("b"), o.data("c"); !slices.Equal(b, []string{`{"m":2,"n":1}`, `{"n":2}`}) || !slices.Equal(c, b) {
			t.Fatal(b, c)
		}
		for bad, says := range map[string]string{
			"stages:\n  slimmer: [{drop: [secret]}]\n":        "the pipe x cannot go on",
			"stages:\n  slim: [{drop: [secret]}, topic: b]\n": "named stage",
			"stages:\n  slim: []\n":                           "no steps",
			"stages:\n  slim: [{where: data.x >}]\n":          "line 2",
			"steps: 'topic a | topic b'":                      "cannot become a pipe",
			"stages:\n  slim: [{batch: 3}]\n":                 "cannot go on",
		} {
			if _, _, err := o.Put(t.Context(), "lib", []byte(bad), PutOptions{}); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", bad, err)
			}
		}
		code(t, o.Delete(t.Context(), "lib"), parley.Conflict)
		code(t, o.Set(t.Context(), "lib", Paused), parley.Unprocessable)
		_, err := o.Stats(t.Context(), "lib")
		code(t, err, parley.Unprocessable)
		must(t, o.Delete(t.Context(), "x"))
		must(t, o.Delete(t.Context(), "y"))
		must(t, o.Delete(t.Context(), "lib"))
	})
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{Graph: graph.Options{Programs: programs(nil)}})
		for name, c := range map[string]struct {
			text string
			code parley.Code
			says string
		}{
			"empty":    {"", parley.Invalid, "empty"},
			"key":      {"steps: 'topic a | topic b'\nfoo: 1", parley.Invalid, "line 2"},
			"several":  {"steps:\n- topic: a\n- where: data.x >\n- wher: x\n- topic: b\n", parley.Invalid, "line 4"},
			"exec":     {"steps:\n- topic: a\n- exec: date\n- topic: b", parley.Invalid, "line 3: programs are not allowed"},
			"stdout":   {"steps: 'topic a | stdout'", parley.Invalid, "stdout is not there"},
			"file":     {"steps: 'file x | topic a'", parley.Invalid, "ends"},
			"http":     {"steps: 'topic a | http http://127.0.0.1/'", parley.Invalid, "URLs are not allowed"},
			"loop":     {"steps: 'topic a | topic a'", parley.Invalid, "come to it again"},
			"circle":   {"steps: \"topic '>' | discard\"", parley.Invalid, "matches circle.dead"},
			"named":    {"name: other\nsteps: 'topic a | topic b'", parley.Invalid, "put as"},
			"until":    {"steps: 'topic a --until end | topic b'", parley.Invalid, "ends"},
			"toolarge": {"# " + strings.Repeat("x", MaxDefinition) + "\nsteps: 'topic a | topic b'", parley.TooLarge, "bytes"},
			"uses":     {"steps: [topic: a, use: lib.slim, topic: b]", parley.Invalid, "no stages are called"},
		} {
			_, _, err := o.Put(t.Context(), name, []byte(c.text), PutOptions{})
			if err == nil || parley.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %v and %q", name, err, c.code, c.says)
			}
			if r, err := o.Check(t.Context(), name, []byte(c.text), Remote); err != nil || r.OK || len(r.Problems) == 0 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
		for _, name := range []string{"", "A", "a.b", "$x", "1", strings.Repeat("x", 65)} {
			_, _, err := o.Put(t.Context(), name, []byte(big), PutOptions{})
			code(t, err, parley.Invalid)
		}
		if len(o.List()) != 0 {
			t.Fatal(o.List())
		}
	})
}
