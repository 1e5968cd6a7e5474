package enginetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
)

var runChecks = []check{
	{"Run/Stays", "a Run and what was decoded from it do not change before its Release, whatever is appended, read and trimmed meanwhile", runStays},
	{"Run/WhileTrimmed", "a Read while others append and trim gives whole, checked batches, or Trimmed with a place that can be read", runWhileTrimmed},
}

func runStays(e *env) {
	const n = 40
	for i := range n {
		e.add(sA, fmt.Sprintf("value %d %s", i, strings.Repeat("x", 50*i)))
	}
	type held struct {
		run  parley.Run
		copy string
	}
	var all []held
	hold := func(at parley.Position, maxBytes int) parley.Position {
		run, err := e.log.Read(e.ctx, parley.Place{Stream: sA, At: at}, maxBytes)
		if err != nil {
			e.Fatal(err)
		}
		all = append(all, held{run, string(run.Bytes())})
		return run.Next()
	}
	first := e.all(sA)[0].Base()
	at := first
	for range n {
		at = hold(at, 500)
	}
	hold(0, 1<<20)
	e.together(4, func(k int) error {
		for i := range e.suite.Rounds {
			if _, err := e.try(write(sA, fmt.Sprintf("later %d %d", k, i)), write(sB, strings.Repeat("y", 100*k))); err != nil {
				return err
			}
			if _, err := e.read(sA, e.mustEnd(sA), 1<<20); err != nil {
				return err
			}
		}
		return nil
	})
	e.trimAway(sA, first)
	for i, h := range all {
		if string(h.run.Bytes()) != h.copy {
			e.Fatalf("run %d of %d changed while it was held", i, len(all))
		}
		h.run.Release()
	}
}

// mustEnd is End for goroutines, 0 when it fails.
func (e *env) mustEnd(s parley.Stream) parley.Position {
	end, err := e.log.End(e.ctx, s)
	if err != nil {
		return 0
	}
	return end
}

func runWhileTrimmed(e *env) {
	e.add(sA, "0")
	each := e.suite.Rounds
	e.together(4, func(k int) error {
		at := parley.Position(0)
		for i := range each {
			switch k {
			case 0:
				if _, err := e.try(write(sA, fmt.Sprint(i), strings.Repeat("z", i))); err != nil {
					return err
				}
			case 1:
				if err := e.log.Trim(e.ctx, sA, e.mustEnd(sA)-3); err != nil {
					return err
				}
			default:
				got, err := e.read(sA, at, 300)
				switch {
				case parley.CodeOf(err) == parley.Trimmed && err != nil:
					if at == 0 || earliestOf(err) <= at {
						return fmt.Errorf("a read at %d: %w (earliest %d)", at, err, earliestOf(err))
					}
					at = earliestOf(err)
				case err != nil:
					return err
				case len(got) > 0:
					at = got[len(got)-1].Next()
				}
			}
		}
		return nil
	})
	got := e.values(sA)
	if last := fmt.Sprint(each - 1); !slices.Contains(got, last) {
		e.Fatalf("the newest batch %q was trimmed; left is %.100q", last, got)
	}
}
