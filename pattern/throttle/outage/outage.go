package outage

import (
	"sync"
	"time"
)

// Policy says what is answered while the counts are away.
type Policy string

// The policies.
const (
	Local  Policy = "local"  // a limiter of this process decides
	Closed Policy = "closed" // everything is refused
	Open   Policy = "open"   // everything is admitted
)

// Gate keeps calls off a place that failed, but for one try at a time. It is safe
// for concurrent use; its zero value tries again at every call.
type Gate struct {
	// Every is how long the place is left alone after a failure.
	Every time.Duration

	mu    sync.Mutex
	down  bool
	again time.Time // when the next call may try
}

// Enter says whether the place may be asked now.
func (g *Gate) Enter(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.down {
		return true
	}
	if now.Before(g.again) {
		return false
	}
	g.again = now.Add(g.Every) // the others wait for how this one fares
	return true
}

// Leave notes how a call ended, and says whether that changes anything.
func (g *Gate) Leave(failed bool, now time.Time) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed = g.down != failed
	g.down = failed
	if failed {
		g.again = now.Add(g.Every)
	}
	return changed
}

// Down says whether the last call failed.
func (g *Gate) Down() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down
}
