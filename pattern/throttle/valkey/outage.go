package valkey

import (
	"sync"
	"time"
)

// Outage says what is answered while the store is away.
type Outage string

// The policies.
const (
	Local  Outage = "local"  // a limiter of this process decides
	Closed Outage = "closed" // everything is refused
	Open   Outage = "open"   // everything is admitted
)

// gate keeps calls off a store that failed, but for one try at a time.
type gate struct {
	every time.Duration

	mu    sync.Mutex
	down  bool
	again time.Time // when the next call may try
}

// enter says whether the store may be asked now.
func (g *gate) enter(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.down {
		return true
	}
	if now.Before(g.again) {
		return false
	}
	g.again = now.Add(g.every) // the others wait for how this one fares
	return true
}

// leave notes how a call ended, and says whether that changes anything.
func (g *gate) leave(failed bool, now time.Time) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed = g.down != failed
	g.down = failed
	if failed {
		g.again = now.Add(g.every)
	}
	return changed
}

// refusals remembers what the store refused.
type refusals struct {
	most int

	mu  sync.Mutex
	all map[string]refusal
}

// refusal holds for a cost and all higher ones.
type refusal struct {
	cost      int64
	until     time.Time // when it is to be asked again
	passes    time.Time // when it would pass
	remaining int64
}

// find gives the refusal that still holds for n units of a key, and how long it
// does.
func (r *refusals) find(key string, n int64) (f refusal, left time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok = r.all[key]
	if !ok || n < f.cost {
		return f, 0, false
	}
	now := time.Now()
	if !now.Before(f.until) {
		delete(r.all, key)
		return f, 0, false
	}
	return f, f.passes.Sub(now), true
}

// add remembers a refusal, unless there is no room: then the store is asked.
func (r *refusals) add(key string, f refusal, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, there := r.all[key]; there && have.cost < f.cost && now.Before(have.until) {
		return // the lower cost says more
	}
	if len(r.all) >= r.most {
		for k, old := range r.all {
			if !now.Before(old.until) {
				delete(r.all, k)
			}
		}
	}
	if len(r.all) < r.most {
		r.all[key] = f
	}
}

func (r *refusals) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, key)
}
