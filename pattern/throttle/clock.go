package throttle

import "time"

// DefaultSkew is what [Clock] takes for callers that disagree rather than for
// a clock that was set back.
const DefaultSkew = time.Second

// maxTime is the latest time that the machines reckon with. As nanoseconds since
// 1970 it lies in 2116.
const maxTime = 1<<62 - 1

// Clock makes a time that never goes backwards out of readings that may: wall
// clocks that are set, readings of several goroutines or hosts that arrive out
// of order. It is a pure machine and not safe for concurrent use.
//
// A reading behind the latest by up to Skew counts as no time passed. One that
// is further behind is a step back: time goes on from where it was, so that no
// key is locked out until the clock has caught up. A step forward counts as
// time passed, since it cannot be told from a machine that slept. As long as
// readings differ by no more than Skew, time passes no faster than the fastest
// of them.
type Clock struct {
	// Skew is the largest disagreement; 0 means [DefaultSkew].
	Skew time.Duration

	begun bool
	high  time.Duration // the latest reading since the last step back
	now   time.Duration // what was told last
}

// Read turns a reading into the machine's time, which is at least 0 and never
// less than before. It stops in the year 2116 if readings count from 1970.
func (c *Clock) Read(raw time.Duration) time.Duration {
	raw = max(-maxTime, min(raw, maxTime))
	skew := c.Skew
	if skew <= 0 {
		skew = DefaultSkew
	}
	switch {
	case !c.begun:
		c.begun, c.high, c.now = true, raw, max(0, raw)
	case raw > c.high:
		c.now += min(raw-c.high, maxTime-c.now)
		c.high = raw
	case c.high-raw > skew:
		c.high = raw
	}
	return c.now
}
