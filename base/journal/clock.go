package journal

import "time"

// clock makes the times of moves: milliseconds that never go back along a
// stream. When the clock of this owner is behind that of the one before, it goes
// on from the last move at the usual pace, rather than standing still until it
// has caught up: deadlines must keep coming.
type clock struct {
	ahead int64 // milliseconds added to the time of day
	last  int64
}

// at gives the time of a move made at wall.
func (c *clock) at(wall time.Time) time.Time {
	ms := wall.UnixMilli() + c.ahead
	if ms < c.last {
		c.ahead += c.last - ms
		ms = c.last
	}
	c.last = ms
	return time.UnixMilli(ms).UTC()
}

// saw takes note of the time of a stored move.
func (c *clock) saw(ms int64) { c.last = max(c.last, ms) }

// until is how long after wall the time t comes, in whole milliseconds as moves
// have; not below 0.
func (c *clock) until(t, wall time.Time) time.Duration {
	ceil := t.Add(time.Millisecond - 1).UnixMilli()
	return max(0, time.UnixMilli(ceil-c.ahead).Sub(wall))
}
