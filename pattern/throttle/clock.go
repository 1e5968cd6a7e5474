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

	high   time.Duration // the latest raw reading since the last step
	offset time.Duration // added to readings
	begun  bool
}

// Read turns a reading into the machine's time, which is at least 0 and never
// less than before. A reading so large that no sum with it fits int64 counts
// as the largest that does.
func (c *Clock) Read(raw time.Duration) time.Duration {
	raw = max(-maxTime, min(raw, maxTime))
	skew := c.Skew
	if skew <= 0 {
		skew = DefaultSkew
	}
	switch {
	case !c.begun:
		c.begun, c.high, c.offset = true, raw, max(0, -raw)
	case raw > c.high:
		c.high = raw
	case c.high-raw > skew:
		c.offset = min(c.offset+c.high-raw, maxTime)
		c.high = raw
	}
	return min(c.high+c.offset, maxTime)
}
