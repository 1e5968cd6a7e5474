package throttle

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Algorithm names one of the ways to limit. It is a string so that it can
// stand in a configuration file as it is.
type Algorithm string

// The algorithms. What each can admit at worst is in the package comment and,
// as a number, in [Limit.Worst].
const (
	FixedWindow    Algorithm = "fixed-window"    // count in aligned windows
	SlidingLog     Algorithm = "sliding-log"     // remember every admission
	SlidingCounter Algorithm = "sliding-counter" // weigh the previous window
	TokenBucket    Algorithm = "token-bucket"    // tokens refill, each unit costs one
	LeakyMeter     Algorithm = "leaky-meter"     // a level drains, a full bucket refuses
	LeakyQueue     Algorithm = "leaky-queue"     // one unit each interval, the rest in line
	GCRA           Algorithm = "gcra"            // a theoretical arrival time, one word a key
	Concurrency    Algorithm = "concurrency"     // so many inside at once
	Adaptive       Algorithm = "adaptive"        // concurrency that finds its own number (AIMD)
)

// Infinite as a quota admits everything and remembers nothing.
const Infinite int64 = math.MaxInt64

// Limit is a policy as data: which algorithm, how much, in how long. The
// functions named New… fill one in; [Compile] checks it. The zero Limit is
// refused, so that a forgotten one neither opens nor shuts a door.
type Limit struct {
	// Algorithm must be one of the constants.
	Algorithm Algorithm `json:"algorithm"`
	// Quota is the units admitted each Window or, for Concurrency and Adaptive,
	// the units inside at once (Adaptive: the number it begins with). 0 admits
	// nothing ever, [Infinite] everything. For SlidingLog at most 65,536, for
	// SlidingCounter, Concurrency and Adaptive at most 2³¹-1.
	Quota int64 `json:"quota"`
	// Window is the time that Quota is for, 1 ns to 10 years; 0 means 1 s. It has no meaning
	// for Concurrency and Adaptive.
	Window time.Duration `json:"window,omitempty"`
	// Burst is the bucket's size for TokenBucket, LeakyMeter and GCRA (0 means
	// Quota) and the length of the line for LeakyQueue (0 means no bound of its
	// own). The others have no use for it.
	Burst int64 `json:"burst,omitempty"`
	// Min and Max bound Adaptive: 0 means 1 and 1,000.
	Min int64 `json:"min,omitempty"`
	Max int64 `json:"max,omitempty"`
	// Target is the time inside above which Adaptive takes a unit's work for
	// overload although nobody said so; 0 means only what is reported counts.
	Target time.Duration `json:"target,omitempty"`
}

// NewFixedWindow admits quota units in each window aligned to the clock.
func NewFixedWindow(quota int64, window time.Duration) Limit {
	return Limit{Algorithm: FixedWindow, Quota: quota, Window: window}
}

// NewSlidingLog admits quota units in any window whatever, exactly. It costs
// 8 bytes a unit of quota for each key.
func NewSlidingLog(quota int64, window time.Duration) Limit {
	return Limit{Algorithm: SlidingLog, Quota: quota, Window: window}
}

// NewSlidingCounter admits about quota units in any window, taking the
// previous window for evenly spread.
func NewSlidingCounter(quota int64, window time.Duration) Limit {
	return Limit{Algorithm: SlidingCounter, Quota: quota, Window: window}
}

// NewTokenBucket is a bucket of capacity tokens that refills by refillRate
// tokens a second. A refill rate that is no whole number is kept to five
// decimals, the rest cut off. A capacity below 1 or a rate that is not above 0 admits
// nothing; a rate of +Inf admits everything.
func NewTokenBucket(capacity int64, refillRate float64) Limit {
	l := Limit{Algorithm: TokenBucket, Burst: capacity, Window: time.Second}
	switch {
	case math.IsInf(refillRate, 1) || capacity == Infinite:
		l.Quota = Infinite
	case capacity < 1 || !(refillRate > 0):
		l.Quota, l.Burst = 0, 0
	default:
		l.Quota, l.Window = ratio(refillRate)
	}
	return l
}

// ratio writes a rate above 0 as units in a window, not faster than the rate.
func ratio(perSecond float64) (int64, time.Duration) {
	const scale = 100_000
	switch {
	case perSecond >= 1e18:
		return 1e18, time.Second
	case perSecond < 1:
		return 1, time.Duration(min(math.Ceil(1e9/perSecond), float64(maxWindow)))
	case perSecond == math.Trunc(perSecond) || perSecond >= 1e12:
		return int64(perSecond), time.Second
	}
	units := perSecond * scale
	if r := math.Round(units); math.Abs(units-r) < 1e-3 {
		units = r // 2.3 is a hair below 230,000 units once multiplied
	}
	return int64(units), scale * time.Second
}

// NewLeakyMeter is a bucket of capacity units that drains quota units each
// window; what would overflow is refused.
func NewLeakyMeter(capacity, quota int64, window time.Duration) Limit {
	return Limit{Algorithm: LeakyMeter, Quota: quota, Window: window, Burst: capacity}
}

// NewLeakyQueue lets quota units out each window, evenly spaced, and keeps at
// most depth waiting in line for each key.
func NewLeakyQueue(depth, quota int64, window time.Duration) Limit {
	return Limit{Algorithm: LeakyQueue, Quota: quota, Window: window, Burst: depth}
}

// NewGCRA admits quota units each window on average and burst of them at once.
func NewGCRA(quota int64, window time.Duration, burst int64) Limit {
	return Limit{Algorithm: GCRA, Quota: quota, Window: window, Burst: burst}
}

// NewAtMost is a GCRA that admits at most quota units in any window whatever,
// burst of them at once, in one word of memory. What it gives up against
// [NewSlidingLog] is speed: the sustained pace is quota-burst+1 units a window.
// A burst outside 1…quota is brought inside.
func NewAtMost(quota int64, window time.Duration, burst int64) Limit {
	burst = max(1, min(burst, quota))
	if quota <= 0 || quota == Infinite {
		return NewGCRA(quota, window, 0)
	}
	return NewGCRA(quota-burst+1, window, burst)
}

// NewConcurrency lets n units be inside at once: the bouncer at the door.
func NewConcurrency(n int64) Limit { return Limit{Algorithm: Concurrency, Quota: n} }

// NewAdaptive lets a number of units be inside at once that begins at start and
// moves between least and most: up by about one a round of work while that goes
// well, down by a tenth when it does not.
func NewAdaptive(start, least, most int64) Limit {
	return Limit{Algorithm: Adaptive, Quota: start, Min: least, Max: most}
}

// Bounds of what Compile takes.
const (
	maxWindow = 10 * 365 * 24 * time.Hour
	maxLog    = 1 << 16
	maxCount  = math.MaxInt32
	// maxFill keeps every sum of two times inside int64: a bucket that takes
	// longer than 73 years to fill is refused.
	maxFill = 1 << 61
)

// normal applies the defaults and checks what every algorithm shares.
func (l Limit) normal() (Limit, error) {
	if l.Quota < 0 {
		return l, errors.New("throttle: quota: is negative; 0 admits nothing")
	}
	if l.Burst < 0 {
		return l, errors.New("throttle: burst: is negative; leave it out for the quota")
	}
	if l.Window == 0 {
		l.Window = time.Second
	}
	if l.Window < 0 || l.Window > maxWindow {
		return l, fmt.Errorf("throttle: window: %s is outside 1ns to %s", l.Window, maxWindow)
	}
	if l.Burst == 0 && l.Algorithm != LeakyQueue {
		l.Burst = l.Quota
	}
	if l.Algorithm == Adaptive && l.Quota > 0 && l.Quota != Infinite {
		if l.Min == 0 {
			l.Min = 1
		}
		if l.Max == 0 {
			l.Max = max(1000, l.Quota)
		}
		if l.Min < 1 || l.Max > maxCount || l.Min > l.Quota || l.Quota > l.Max {
			return l, fmt.Errorf("throttle: quota: %d is outside min %d to max %d", l.Quota, l.Min, l.Max)
		}
		if l.Target < 0 {
			return l, errors.New("throttle: target: is negative; 0 turns it off")
		}
	}
	return l, nil
}

// held says whether units are inside until they are given back.
func (l Limit) held() bool { return l.Algorithm == Concurrency || l.Algorithm == Adaptive }

// Worst is the most units, less those refunded, that the limit admits for one key in any span of
// time [t, t+span), however the callers arrange their calls. [Infinite] means
// no bound: for an infinite quota, and for Concurrency and Adaptive, which
// bound what is inside and not how often. A limit that does not compile, and a
// span that is not above 0, give 0.
func (l Limit) Worst(span time.Duration) int64 {
	l, err := l.normal()
	if err != nil || span <= 0 || l.Quota == 0 {
		return 0
	}
	if l.Quota == Infinite || l.held() {
		return Infinite
	}
	windows := uint64((span-1)/l.Window) + 1 // ⌈span/window⌉
	q := uint64(l.Quota)
	switch l.Algorithm {
	case FixedWindow:
		return product(q, windows+1)
	case SlidingLog:
		return product(q, windows)
	case SlidingCounter:
		return product(q, windows+1) - 1
	case LeakyQueue:
		return sum(0, refilled(q, span, l.Window))
	default:
		return sum(l.Burst-1, refilled(q, span, l.Window))
	}
}

// refilled is ⌈quota·span/window⌉, or Infinite when that is out of range.
func refilled(quota uint64, span, window time.Duration) int64 {
	hi, lo := bits.Mul64(quota, uint64(span))
	if hi >= uint64(window) {
		return Infinite
	}
	d, rest := bits.Div64(hi, lo, uint64(window))
	if rest > 0 {
		d++
	}
	return int64(min(d, uint64(Infinite)))
}

// product multiplies and stops at Infinite.
func product(a, b uint64) int64 {
	hi, lo := bits.Mul64(a, b)
	if hi > 0 || lo > uint64(Infinite) {
		return Infinite
	}
	return int64(lo)
}

// sum adds two numbers that are not negative and stops at Infinite.
func sum(a, b int64) int64 {
	if a > Infinite-b {
		return Infinite
	}
	return a + b
}
