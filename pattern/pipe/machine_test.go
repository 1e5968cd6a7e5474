package pipe

import (
	"testing"

	"pgregory.net/rapid"
)

// oldUnit is what the model knows of a unit: who holds it.
type oldUnit struct {
	holds   int
	parents []int
	source  int // 0 = derived
	events  int
}

// TestLedgerModel compares the ledger with a model that keeps everything and counts
// anew each time.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l ledger
		sources := rapid.IntRange(1, 3).Draw(t, "sources")
		for range sources {
			l.source()
		}
		var model []oldUnit
		var ids []unit
		alive := func() (all []int) {
			for i := range model {
				if model[i].holds > 0 {
					all = append(all, i)
				}
			}
			return all
		}
		var drop func(i int)
		drop = func(i int) {
			if model[i].holds--; model[i].holds == 0 {
				for _, p := range model[i].parents {
					drop(p)
				}
			}
		}
		pick := func(t *rapid.T) int {
			live := alive()
			if len(live) == 0 {
				t.Skip("nothing is held") // this action only
			}
			return rapid.SampledFrom(live).Draw(t, "unit")
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				s, n := rapid.IntRange(1, sources).Draw(t, "source"), rapid.IntRange(1, 5).Draw(t, "events")
				ids = append(ids, l.open(s, n))
				model = append(model, oldUnit{holds: 1, source: s, events: n})
			},
			"derive": func(*rapid.T) {
				ids = append(ids, l.derive())
				model = append(model, oldUnit{holds: 1})
			},
			"join": func(t *rapid.T) {
				child, parent := pick(t), pick(t)
				if model[child].source != 0 || parent >= child {
					t.Skip("only what is derived later holds something") // this action only
				}
				l.join(ids[child], ids[parent])
				if k := len(model[child].parents); k == 0 || model[child].parents[k-1] != parent {
					model[child].parents = append(model[child].parents, parent)
					model[parent].holds++
				}
			},
			"hold": func(t *rapid.T) {
				i := pick(t)
				l.hold(ids[i])
				model[i].holds++
			},
			"drop": func(t *rapid.T) {
				i := pick(t)
				own := model[i].holds
				for _, u := range model {
					if u.holds > 0 {
						for _, p := range u.parents {
							if p == i {
								own--
							}
						}
					}
				}
				if own == 0 {
					t.Skip("all holds are of derived units") // this action only
				}
				l.drop(ids[i])
				drop(i)
			},
			"": func(t *rapid.T) {
				for s := 1; s <= sources; s++ {
					want := int64(0)
					for _, u := range model {
						if u.source == s && u.holds > 0 {
							break
						}
						if u.source == s {
							want += int64(u.events)
						}
					}
					if got := l.lanes[s-1].acked; got != want {
						t.Fatalf("source %d: %d events are done, want %d", s, got, want)
					}
				}
				if used := len(l.nodes) - len(l.free); len(l.nodes) > 0 && used-1 != len(alive()) {
					t.Fatalf("%d units are kept, %d live", used-1, len(alive()))
				}
			},
		})
	})
}
