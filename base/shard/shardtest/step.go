package shardtest

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

// EveryStep plays a history once undisturbed, and then again and again: with each
// fault at each step, and with each fault before and after each Append, so that
// ownership moves at every point that the outside can tell apart. history calls
// step between any two things it does, makes its own Cluster.Serve calls, and
// compares what it finds with its model; it must not depend on how long anything
// takes. newLog gives a fresh, empty log; it is called inside the bubble.
func EveryStep(t *testing.T, nodes int, newLog func() parley.Log, history func(t *testing.T, c *Cluster, step func(parley.Stream))) {
	t.Helper()
	var steps, appends int
	run := func(t *testing.T, p plan) {
		synctest.Test(t, func(t *testing.T) {
			c := New(newLog(), nodes)
			c.plan = p
			closed := false
			t.Cleanup(func() {
				if !closed {
					c.Close()
				}
			})
			n := 0
			history(t, c, func(s parley.Stream) {
				if n++; p.when == between && p.step == n {
					c.Strike(s, p.fault)
				}
			})
			closed = true
			for _, err := range c.Close() {
				t.Errorf("a node ended by itself: %v", err)
			}
			if p.fault == None {
				steps, appends = n, c.appends
			}
		})
	}
	if !t.Run("undisturbed", func(t *testing.T) { run(t, plan{fault: None}) }) {
		return
	}
	if steps == 0 || appends == 0 {
		t.Fatal("the history has no step, or nothing was appended")
	}
	for _, f := range Faults() {
		for when, last := range map[moment]int{between: steps, before: appends, after: appends} {
			t.Run(fmt.Sprintf("%s/%s", f, when), func(t *testing.T) {
				for k := 1; k <= last; k++ {
					if run(t, plan{f, when, k}); t.Failed() {
						t.Fatalf("with a %s %s %d", f, when, k)
					}
				}
			})
		}
	}
}
