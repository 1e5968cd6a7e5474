package throttle

import (
	"errors"
	"math"
	"math/bits"
	"time"
)

// slidingLog remembers when each unit was admitted.
//
// State: one word with the ring's length (lower half), its head (the next 16 bits)
// and how many units are forgotten (the upper 16), then quota words of times, oldest
// first from the head. Admits in any [t, t+span) at most quota·⌈span/window⌉, so
// exactly the quota in any window.
//
// Units are forgotten when a limit is lowered and its ring has no room for all. They
// are no later than the oldest in the ring, and so are out of the window when that
// one is; a limit that is raised before remembers them again.
type slidingLog struct {
	window uint64
	quota  int64
}

func newSlidingLog(l Limit) (slidingLog, error) {
	if l.Quota > maxLog {
		return slidingLog{}, errors.New("throttle: quota: a sliding log keeps 8 bytes a unit and stops at 65,536; " +
			"use gcra by NewAtMost for the same promise in one word")
	}
	return slidingLog{window: uint64(l.Window), quota: l.Quota}, nil
}

func (g slidingLog) words() int  { return 1 + int(g.quota) }
func (g slidingLog) most() int64 { return g.quota }

func ends(s []uint64) (head, count, forgotten int) {
	return int(s[0] >> 32 & math.MaxUint16), int(s[0] & math.MaxUint32), int(s[0] >> 48)
}

func header(head, count, forgotten int) uint64 {
	return uint64(min(forgotten, math.MaxUint16))<<48 | uint64(head)<<32 | uint64(count)
}

// at is the i-th oldest time.
func (g slidingLog) at(s []uint64, head, i int) *uint64 {
	i += head
	if i >= int(g.quota) {
		i -= int(g.quota)
	}
	return &s[1+i]
}

// first is the index of the oldest of count times that is at least t.
func (g slidingLog) first(s []uint64, head, count int, t uint64) int {
	low, high := 0, count
	for low < high {
		mid := int(uint(low+high) >> 1)
		if *g.at(s, head, mid) < t {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// live is the ring without what has left the window at now.
func (g slidingLog) live(s []uint64, now time.Duration) (head, count, forgotten int) {
	head, count, forgotten = ends(s)
	if uint64(now) < g.window {
		return head, count, forgotten
	}
	gone := g.first(s, head, count, uint64(now)-g.window+1)
	if gone > 0 {
		forgotten = 0
	}
	return (head + gone) % int(g.quota), count - gone, forgotten
}

func (g slidingLog) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	head, count, _ := g.live(s, now)
	free := g.quota - int64(count)
	want := sum(ahead, n)
	if want <= free {
		return free, 0
	}
	// The last of want units takes the place that one quota earlier left, a
	// window later, and so on back to a place in the log.
	rounds := (want - 1) / g.quota
	last := want - rounds*g.quota
	hi, wait := bits.Mul64(uint64(rounds), g.window)
	if hi > 0 || wait > maxFill {
		return free, forever
	}
	if last > free {
		wait += *g.at(s, head, int(last-free)-1) + g.window - uint64(now)
	}
	return free, time.Duration(wait)
}

func (g slidingLog) add(s []uint64, now time.Duration, n int64) {
	head, count, forgotten := g.live(s, now)
	t := uint64(now)
	if count > 0 {
		t = max(t, *g.at(s, head, count-1)) // keep the ring sorted on a stale clock
	}
	for range n {
		*g.at(s, head, count) = t
		count++
	}
	s[0] = header(head, count, forgotten)
}

// sub forgets the oldest n of the times since at. Those are not later than the
// times that were written for these units, if those are still in the window.
func (g slidingLog) sub(s []uint64, now, at time.Duration, n int64) {
	if now-at >= time.Duration(g.window) {
		return
	}
	head, count, forgotten := g.live(s, now)
	from := g.first(s, head, count, uint64(at))
	gone := min(int(n), count-from)
	if forgotten > 0 {
		gone = min(gone, count-1) // one has to stay that says how long those count
	}
	for i := from; i+gone < count; i++ {
		*g.at(s, head, i) = *g.at(s, head, i+gone)
	}
	s[0] = header(head, count-gone, forgotten)
}

func (g slidingLog) idle(s []uint64, now time.Duration) bool {
	_, count, _ := g.live(s, now)
	return count == 0
}

func (g slidingLog) fill(s []uint64, now time.Duration, n int64) {
	s[0] = uint64(n)
	for i := range n {
		s[1+i] = uint64(now)
	}
}

// carry keeps the newest times: while they are in the window, older ones could
// not have let anything more through.
func (g slidingLog) carry(to []uint64, old algorithm, from []uint64, now time.Duration) bool {
	o, ok := old.(slidingLog)
	if !ok || o.window != g.window {
		return false
	}
	head, count, forgotten := o.live(from, now)
	skip := max(0, count-int(g.quota))
	again := 0
	if count > 0 {
		again = min(forgotten, max(0, int(g.quota)-count))
	}
	for i := range again {
		to[1+i] = *o.at(from, head, 0)
	}
	for i := skip; i < count; i++ {
		to[1+again+i-skip] = *o.at(from, head, i)
	}
	to[0] = header(0, again+count-skip, forgotten-again+skip)
	return true
}
