package throttle

import (
	"errors"
	"math"
	"math/bits"
	"time"
)

// fixed counts in windows aligned to the origin of the clock.
//
// State: the window's number and the count in it. Admits in any [t, t+span) at
// most quota·(⌈span/window⌉+1): twice the quota across one edge.
type fixed struct {
	window uint64
	quota  int64
}

func newFixed(l Limit) (fixed, error) {
	return fixed{window: uint64(l.Window), quota: l.Quota}, nil
}

func (f fixed) words() int  { return 2 }
func (f fixed) most() int64 { return f.quota }

// count is the current window and what is spent in it. A clock that lies
// before the window keeps to the window.
func (f fixed) count(s []uint64, now time.Duration) (index uint64, spent int64) {
	index = uint64(now) / f.window
	if index > s[0] {
		return index, 0
	}
	return s[0], int64(s[1])
}

func (f fixed) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	index, spent := f.count(s, now)
	free := max(0, f.quota-spent)
	want := sum(ahead, n)
	if want <= free {
		return free, 0
	}
	windows := uint64(want-free-1)/uint64(f.quota) + 1
	hi, end := bits.Mul64(index+windows, f.window)
	if hi > 0 || end > uint64(forever) {
		return free, forever
	}
	return free, time.Duration(end) - now
}

func (f fixed) add(s []uint64, now time.Duration, n int64) {
	index, spent := f.count(s, now)
	s[0], s[1] = index, uint64(spent+n)
}

func (f fixed) sub(s []uint64, _, at time.Duration, n int64) {
	if uint64(at)/f.window == s[0] {
		s[1] -= min(s[1], uint64(n))
	}
}

func (f fixed) idle(s []uint64, now time.Duration) bool {
	_, spent := f.count(s, now)
	return spent == 0
}

// fill spends in the next window, which the clock then counts as the current
// one: whatever the old limit was, nothing is restored before a whole window
// has passed.
func (f fixed) fill(s []uint64, now time.Duration, n int64) {
	s[0], s[1] = uint64(now)/f.window+1, uint64(n)
}

func (f fixed) carry(to []uint64, old algorithm, from []uint64, _ time.Duration) bool {
	o, ok := old.(fixed)
	if !ok || o.window != f.window {
		return false
	}
	copy(to, from)
	return true
}

// counter is the sliding window counter: the count of the current window plus
// the share of the previous one that still lies in the sliding window, as if it
// had come evenly.
//
// State: the window's number; the previous count in the upper half of a word,
// the current in the lower. Admits in any [t, t+span) at most
// quota·(⌈span/window⌉+1) - 1, and about quota·span/window for even traffic.
type counter struct {
	window uint64
	quota  int64
}

func newCounter(l Limit) (counter, error) {
	if l.Quota > maxCount {
		return counter{}, errors.New("throttle: quota: a sliding counter counts to 2,147,483,647; use token-bucket")
	}
	return counter{window: uint64(l.Window), quota: l.Quota}, nil
}

func (c counter) words() int  { return 2 }
func (c counter) most() int64 { return c.quota }

// roll brings the state to now without writing it. into is the time since the
// window began.
func (c counter) roll(s []uint64, now time.Duration) (index, prev, cur, into uint64) {
	index = uint64(now) / c.window
	prev, cur = s[1]>>32, s[1]&math.MaxUint32
	switch {
	case index > s[0]+1:
		prev, cur = 0, 0
	case index == s[0]+1:
		prev, cur = cur, 0
	default:
		index = s[0]
	}
	if start := index * c.window; uint64(now) > start {
		into = uint64(now) - start
	}
	return index, prev, cur, into
}

func (c counter) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	index, prev, cur, into := c.roll(s, now)
	hi, lo := bits.Mul64(prev, c.window-into)
	weighed, rest := bits.Div64(hi, lo, c.window)
	if rest > 0 {
		weighed++
	}
	free := max(0, c.quota-int64(cur)-int64(weighed))
	if ahead == 0 && n <= free {
		return free, 0
	}
	var wait uint64
	left := c.quota - n
	switch {
	case n <= free:
	case int64(cur) <= left: // enough once less of the previous window weighs
		wait = c.window - quotient(uint64(left)-cur, c.window, prev) - into
	default: // not before the next window, in which this one weighs
		wait = 2*c.window - quotient(uint64(left), c.window, cur) - into
	}
	if start := index * c.window; start > uint64(now) {
		wait += start - uint64(now) // the clock lies before the window
	}
	// Those ahead need at least this: no window lets through twice the quota.
	hi, lo = bits.Mul64(uint64(ahead)/uint64(2*c.quota), c.window)
	if hi > 0 || lo > maxFill {
		return free, forever
	}
	return free, time.Duration(wait + lo)
}

// quotient is ⌊a·b/c⌋ for a < c.
func quotient(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, _ := bits.Div64(hi, lo, c)
	return q
}

func (c counter) add(s []uint64, now time.Duration, n int64) {
	index, prev, cur, _ := c.roll(s, now)
	s[0], s[1] = index, prev<<32|(cur+uint64(n))
}

func (c counter) sub(s []uint64, _, at time.Duration, n int64) {
	prev, cur := s[1]>>32, s[1]&math.MaxUint32
	switch uint64(at) / c.window {
	case s[0]:
		cur -= min(cur, uint64(n))
	case s[0] - 1:
		prev -= min(prev, uint64(n))
	}
	s[1] = prev<<32 | cur
}

func (c counter) idle(s []uint64, now time.Duration) bool {
	_, prev, cur, _ := c.roll(s, now)
	return prev == 0 && cur == 0
}

func (c counter) fill(s []uint64, now time.Duration, n int64) {
	s[0], s[1] = uint64(now)/c.window+1, uint64(n)
}

func (c counter) carry(to []uint64, old algorithm, from []uint64, _ time.Duration) bool {
	o, ok := old.(counter)
	if !ok || o.window != c.window {
		return false
	}
	copy(to, from)
	return true
}
