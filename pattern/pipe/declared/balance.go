package declared

import (
	"context"
	"time"
)

// The parts of a pipe are owned by whoever was first. A node that has fewer of them
// than another asks that one for some: so a node that comes later gets its share.
const (
	balanceEvery = 10 * time.Second
	yieldFor     = 3 * time.Second // so long does a node not take back what it has given away
)

// yielded is the answer of a node that was asked for a part.
type yielded struct {
	Yields bool `json:"yields"`
}

// have notes that this node owns a part, which leave would end.
func (e *entry) have(part int, leave context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.owned == nil {
		e.owned = map[int]context.CancelFunc{}
	}
	e.owned[part] = leave
}

func (e *entry) lose(part int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.owned, part)
}

// yield gives a part away to a node that has at least two fewer: who has one fewer
// would be asked for it in turn.
func (e *entry) yield(part, owned int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	leave := e.owned[part]
	if leave == nil || len(e.owned) < owned+2 {
		return false
	}
	delete(e.owned, part)
	leave()
	return true
}

// missing gives the parts that this node does not own, and how many it does.
func (e *entry) missing() (others []int, owned int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for part := range e.rec.parts {
		if e.owned[part] == nil {
			others = append(others, part)
		}
	}
	return others, len(e.owned)
}

// balance asks for parts, until ctx ends.
func (e *entry) balance(ctx context.Context) {
	for {
		pause(ctx, balanceEvery)
		if ctx.Err() != nil {
			return
		}
		others, owned := e.missing()
		_, _, err := e.definition()
		if err == nil && len(others) > 0 {
			err = e.r.roll.CatchUp(ctx)
		}
		if err != nil {
			continue // what it could not run it does not ask for
		}
		for _, part := range others {
			var a yielded
			if err := e.ask(ctx, part, request{Op: "yield", Owned: owned}, &a); err == nil && a.Yields {
				owned++
			}
		}
	}
}
