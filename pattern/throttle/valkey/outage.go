package valkey

import (
	"sync"
	"time"

	"github.com/parleyhq/parley/pattern/throttle/outage"
)

// Outage says what is answered while the store is away.
type Outage = outage.Policy

// The policies. Report is for callers with a policy of their own: AllowN, Look and
// Return give an error with the code Unavailable.
const (
	Local         = outage.Local  // a limiter of this process decides
	Closed        = outage.Closed // everything is refused
	Open          = outage.Open   // everything is admitted
	Report Outage = "report"      // the error is given to the caller
)

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
