package declared

import (
	"slices"
	"testing"

	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// TestAReportHasTheGraph wants what a drawing of a pipe needs: all steps, in short, the
// ways between them, and where events go that fail.
func TestAReportHasTheGraph(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		r, err := o.Check(t.Context(), "p", []byte(`steps: 'topic a | route "data.n > 9" "topic many" | catch "topic bad" | topic b'`), Remote)
		if err != nil || !r.OK || len(r.Findings) != 0 { // nothing ends it: there is a catch
			t.Fatal(err, text(r))
		}
		want := []graph.Edge{{From: "1", To: "2"}, {From: "2", To: "2.to1.1", Label: "data.n > 9"}, {From: "2", To: "3"}, {From: "3", To: "3.to1.1", Label: "failed"}, {From: "3", To: "4"}}
		if !slices.Equal(r.Edges, want) {
			t.Error(text(r.Edges))
		}
		var brief []string
		for _, s := range r.Steps {
			brief = append(brief, s.Path+" "+s.Brief)
		}
		if want := []string{"1 topic a", "2 route 'data.n > 9'", "2.to1.1 topic many", "3 catch", "3.to1.1 topic bad", "4 topic b", "dead.1 topic p.dead"}; !slices.Equal(brief, want) {
			t.Error(text(brief))
		}
		r, err = o.Check(t.Context(), "p", []byte("steps: 'topic a | topic b'"), Remote)
		if err != nil || len(r.Findings) != 0 || r.Steps[2].Brief != "topic p.dead" {
			t.Error("what fails ends no declared pipe", err, text(r))
		}
	})
}
