package door

import (
	"context"
	"sync"
	"time"
)

// Timing of long-lived connections.
const (
	Heartbeat    = 25 * time.Second // below every common proxy's idle limit
	WriteTimeout = 5 * time.Second  // a peer that takes nothing for so long, twice at most, is gone
)

// Lives holds all long-lived connections of a process: their pool, their wheel,
// and their end.
type Lives struct {
	Pool  *Pool
	Wheel *Wheel

	mu       sync.Mutex
	all      map[Farewell]struct{}
	draining bool
	leaving  chan struct{} // closed when draining begins
	empty    chan struct{} // closed when draining and nothing is left, …
	emptied  bool          // … once: a latecomer empties the set again
}

// Farewell is what every long-lived connection can do when the server stops.
type Farewell interface{ Drain() }

// NewLives makes an empty set.
func NewLives() *Lives {
	return &Lives{Pool: NewPool(0), Wheel: NewWheel(0), all: map[Farewell]struct{}{}, leaving: make(chan struct{}), empty: make(chan struct{})}
}

// Run runs the pool and the wheel until ctx ends.
func (ls *Lives) Run(ctx context.Context) error {
	var wheel sync.WaitGroup
	wheel.Go(func() { _ = ls.Wheel.Run(ctx) }) // ends with ctx, as the pool does
	defer wheel.Wait()
	return ls.Pool.Run(ctx)
}

// Draining is closed once Drain was called.
func (ls *Lives) Draining() <-chan struct{} { return ls.leaving }

// Count is the number of long-lived connections.
func (ls *Lives) Count() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.all)
}

// Enter adds a connection; one that comes while the server drains is drained.
func (ls *Lives) Enter(f Farewell) {
	ls.mu.Lock()
	ls.all[f] = struct{}{}
	draining := ls.draining
	ls.mu.Unlock()
	if draining {
		f.Drain()
	}
}

// Leave removes a connection and says whether it was there.
func (ls *Lives) Leave(f Farewell) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	_, there := ls.all[f]
	delete(ls.all, f)
	ls.checkEmpty()
	return there
}

// checkEmpty is called under mu.
func (ls *Lives) checkEmpty() {
	if ls.draining && len(ls.all) == 0 && !ls.emptied {
		ls.emptied = true
		close(ls.empty)
	}
}

// Drain ends all connections, spread over a window so that their clients do not
// all come back at once, and returns when they are gone or ctx ends. It is
// called once.
func (ls *Lives) Drain(ctx context.Context, window time.Duration) error {
	ls.mu.Lock()
	ls.draining = true
	close(ls.leaving)
	left := make([]Farewell, 0, len(ls.all))
	for f := range ls.all {
		left = append(left, f)
	}
	ls.checkEmpty()
	ls.mu.Unlock()
	if err := spread(ctx, left, window); err != nil {
		return err
	}
	select {
	case <-ls.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// spread drains in up to 100 steps, the first at once: whoever is alone is not
// kept waiting. A map's order is as good as random.
func spread(ctx context.Context, left []Farewell, window time.Duration) error {
	const steps = 100
	ticker := time.NewTicker(max(window/steps, time.Millisecond))
	defer ticker.Stop()
	done := 0
	for i := range steps {
		for upTo := ((i+1)*len(left) + steps - 1) / steps; done < upTo; done++ {
			left[done].Drain()
		}
		if done == len(left) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
