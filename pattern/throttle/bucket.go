package throttle

import (
	"errors"
	"math/bits"
	"time"
)

// bucket is the token bucket, the leaky bucket as a meter and the leaky queue:
// one arithmetic seen from three sides. It keeps what is spent, not what is
// left, so that zeros are a full bucket.
//
// State: the debt, in shares of 1/per of a unit, and the time it was true. In
// one nanosecond rate shares drain. All is exact: quota and window are reduced
// to lowest terms and nothing is ever rounded.
//
// Admits in any [t, t+span) at most burst - 1 + ⌈quota·span/window⌉.
type bucket struct {
	per, rate uint64 // shares a unit, shares a nanosecond
	full      uint64 // burst in shares
	burst     int64
}

func newBucket(l Limit, burst int64) (bucket, error) {
	per, rate := reduce(uint64(l.Window), uint64(l.Quota))
	hi, full := bits.Mul64(uint64(burst), per)
	if hi > 0 || full > maxFill {
		// Too fine for 64 bits. A whole number of nanoseconds a unit is slower
		// by less than one in a thousand if a unit takes at least a thousand.
		per, rate = (per+rate-1)/rate, 1
		hi, full = bits.Mul64(uint64(burst), per)
		if per < 1000 || hi > 0 || full > maxFill {
			return bucket{}, errors.New("throttle: burst: is too large to reckon with at this quota and window; lower it or round the quota")
		}
	}
	return bucket{per: per, rate: rate, full: full, burst: burst}, nil
}

// reduce divides both by their greatest common divisor.
func reduce(a, b uint64) (uint64, uint64) {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x, b / x
}

func (b bucket) words() int  { return 2 }
func (b bucket) most() int64 { return b.burst }

// debt is what is still spent at now.
func (b bucket) debt(s []uint64, now time.Duration) uint64 {
	if uint64(now) <= s[1] {
		return s[0]
	}
	hi, drained := bits.Mul64(uint64(now)-s[1], b.rate)
	if hi > 0 || drained >= s[0] {
		return 0
	}
	return s[0] - drained
}

func (b bucket) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	debt := b.debt(s, now)
	free := int64((b.full - debt) / b.per)
	if ahead == 0 && n <= free {
		return free, 0
	}
	hi, want := bits.Mul64(uint64(ahead)+uint64(n), b.per)
	if hi > 0 || want > maxFill {
		return free, forever
	}
	if want+debt <= b.full {
		return free, 0
	}
	wait := (want + debt - b.full + b.rate - 1) / b.rate
	if stale := s[1] - uint64(now); s[1] > uint64(now) {
		wait += stale // nothing drains until the clock is back where it was
	}
	return free, time.Duration(min(wait, uint64(forever)))
}

func (b bucket) add(s []uint64, now time.Duration, n int64) {
	s[0] = b.debt(s, now) + uint64(n)*b.per
	s[1] = max(s[1], uint64(now))
}

// grab is look and add in one, for 1 ≤ n ≤ burst.
func (b bucket) grab(s []uint64, now time.Duration, n int64) bool {
	debt := b.debt(s, now) + uint64(n)*b.per
	if debt > b.full {
		return false
	}
	s[0], s[1] = debt, max(s[1], uint64(now))
	return true
}

// sub gives back what cannot have drained since: had these units never been
// taken, the bucket might have stood full, and wasted refill, at most from at
// until now.
func (b bucket) sub(s []uint64, now, at time.Duration, n int64) {
	debt := b.debt(s, now)
	back := uint64(n) * b.per
	now = max(now, time.Duration(s[1]))
	if hi, lost := bits.Mul64(uint64(max(now-at, 0)), b.rate); hi > 0 || lost >= back {
		back = 0
	} else {
		back -= lost
	}
	s[0], s[1] = debt-min(back, debt), uint64(now)
}

func (b bucket) idle(s []uint64, now time.Duration) bool { return b.debt(s, now) == 0 }

func (b bucket) fill(s []uint64, now time.Duration, n int64) {
	s[0], s[1] = uint64(n)*b.per, uint64(now)
}

// arrival is GCRA in its virtual scheduling form (ITU-T I.371): one word, the
// theoretical arrival time of the next unit. The spacing is rounded up to whole
// nanoseconds.
//
// Admits in any [t, t+span) at most burst - 1 + ⌈quota·span/window⌉.
type arrival struct {
	space uint64 // nanoseconds between units, rounded up
	full  uint64 // burst·space
	burst int64
}

func newArrival(l Limit) (arrival, error) {
	per, rate := reduce(uint64(l.Window), uint64(l.Quota))
	space := (per + rate - 1) / rate
	if rate > 1 && space < 100 {
		return arrival{}, errors.New("throttle: quota: leaves less than 100ns between units, which one word cannot " +
			"keep exactly; use token-bucket")
	}
	hi, full := bits.Mul64(uint64(l.Burst), space)
	if hi > 0 || full > maxFill {
		return arrival{}, errors.New("throttle: burst: takes more than 73 years to refill; lower it")
	}
	return arrival{space: space, full: full, burst: l.Burst}, nil
}

func (a arrival) words() int  { return 1 }
func (a arrival) most() int64 { return a.burst }

func (a arrival) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	tat := max(s[0], uint64(now))
	var free int64
	if ahead == 0 && tat == uint64(now) {
		if n <= a.burst {
			return a.burst, 0
		}
	}
	if spent := tat - uint64(now); spent < a.full {
		free = int64((a.full - spent) / a.space)
	}
	if ahead == 0 && n <= free {
		return free, 0
	}
	hi, want := bits.Mul64(uint64(ahead)+uint64(n), a.space)
	if hi > 0 || want > maxFill {
		return free, forever
	}
	if ready := tat + want; ready > uint64(now)+a.full {
		return free, time.Duration(ready - a.full - uint64(now))
	}
	return free, 0
}

func (a arrival) add(s []uint64, now time.Duration, n int64) {
	s[0] = max(s[0], uint64(now)) + uint64(n)*a.space
}

// grab mirrors bucket.grab.
func (a arrival) grab(s []uint64, now time.Duration, n int64) bool {
	next := max(s[0], uint64(now)) + uint64(n)*a.space
	if next > uint64(now)+a.full {
		return false
	}
	s[0] = next
	return true
}

// sub mirrors bucket.sub.
func (a arrival) sub(s []uint64, now, at time.Duration, n int64) {
	back := uint64(n) * a.space
	back -= min(back, uint64(max(now-at, 0)))
	s[0] -= min(back, s[0])
}

func (a arrival) idle(s []uint64, now time.Duration) bool { return s[0] <= uint64(now) }

func (a arrival) fill(s []uint64, now time.Duration, n int64) {
	s[0] = uint64(now) + uint64(n)*a.space
}
