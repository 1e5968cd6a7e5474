package outage

import (
	"testing"
	"time"
)

// TestGate has one call after a failure try again each time that Every is over.
func TestGate(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	g := Gate{Every: 100 * time.Millisecond}
	if !g.Enter(at(0)) || g.Leave(false, at(1)) || g.Down() {
		t.Fatal("it begins shut")
	}
	if !g.Leave(true, at(2)) || !g.Down() {
		t.Fatal("a failure is no news")
	}
	for ms, want := range map[int]bool{3: false, 101: false} {
		if g.Enter(at(ms)) != want {
			t.Errorf("after %d ms: %t", ms, !want)
		}
	}
	if !g.Enter(at(102)) {
		t.Error("nobody tries")
	}
	if g.Enter(at(103)) {
		t.Error("two try at once")
	}
	if g.Leave(true, at(150)) || g.Enter(at(249)) || !g.Enter(at(250)) {
		t.Error("after a second failure it is not left alone")
	}
	if !g.Leave(false, at(251)) || g.Down() || !g.Enter(at(252)) || !g.Enter(at(252)) {
		t.Error("it is not open again")
	}
}
