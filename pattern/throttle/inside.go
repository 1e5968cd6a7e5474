package throttle

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// insideMask is the part of a held rule's first word that counts what is
// inside.
const insideMask = math.MaxUint32

// inside is concurrency: units stay until they are given back.
//
// State: the number inside, and how long work takes (an average that leans to
// the newest). Never more than quota inside at once; no bound on how often.
type inside struct{ quota int64 }

func newInside(l Limit) (inside, error) {
	if l.Quota > maxCount {
		return inside{}, fmt.Errorf("throttle: quota: at most %d can be inside", int64(maxCount))
	}
	return inside{quota: l.Quota}, nil
}

func (c inside) words() int  { return 2 }
func (c inside) most() int64 { return c.quota }

func (c inside) look(s []uint64, _ time.Duration, ahead, n int64) (int64, time.Duration) {
	return room(s, c.quota, ahead, n)
}

// room is the answer of both held rules: only somebody's leaving helps.
func room(s []uint64, limit, ahead, n int64) (int64, time.Duration) {
	free := max(0, limit-int64(s[0]&insideMask))
	if sum(ahead, n) <= free || n == 0 {
		return free, 0
	}
	return free, forever
}

func (c inside) add(s []uint64, _ time.Duration, n int64) { s[0] += uint64(n) }

func (c inside) sub(s []uint64, now, at time.Duration, n int64) { leave(s, now, at, n) }

// leave lets n units out and learns from how long they stayed.
func leave(s []uint64, now, at time.Duration, n int64) {
	s[0] -= min(s[0]&insideMask, uint64(n))
	stay := uint64(max(now-at, 1))
	if s[1] == 0 {
		s[1] = stay
	} else {
		s[1] = s[1] - s[1]/8 + stay/8
	}
}

func (c inside) idle(s []uint64, _ time.Duration) bool { return s[0]&insideMask == 0 }

func (c inside) fill(s []uint64, _ time.Duration, n int64) { s[0] = uint64(n) }

// guess is how long until want units have left, going by how long work takes:
// a second when nothing has left yet.
func guess(s []uint64, want int64) time.Duration {
	in := s[0] & insideMask
	if s[1] == 0 || in == 0 {
		return time.Second
	}
	hi, lo := bits.Mul64(s[1], uint64(want))
	if hi >= in {
		return forever
	}
	d, _ := bits.Div64(hi, lo, in)
	return time.Duration(max(1, min(d, uint64(forever))))
}

// adaptive is concurrency whose number moves: additive increase,
// multiplicative decrease. It goes up by 1/number for each unit that ends well
// while at least half the places are taken, so by up to one a round of work, and down by a
// tenth, at least one, when a unit ends badly; units that were already inside
// at the last decrease do not cause another, since they report the same jam.
//
// State: the two words of inside; the number in 1/1024, 0 for the start; the
// time of the last decrease; the time of the last change. A key that has been
// empty for a minute begins anew.
type adaptive struct {
	start, least, greatest int64
	target                 time.Duration
}

const (
	numberUnit   = 1024
	adaptiveRest = time.Minute
)

func newAdaptive(l Limit) (adaptive, error) {
	return adaptive{start: l.Quota, least: l.Min, greatest: l.Max, target: l.Target}, nil
}

func (a adaptive) words() int  { return 5 }
func (a adaptive) most() int64 { return a.greatest }

// number is the limit in 1/1024.
func (a adaptive) number(s []uint64, now time.Duration) uint64 {
	if s[2] == 0 || a.idle(s, now) {
		return uint64(a.start) * numberUnit
	}
	return s[2]
}

func (a adaptive) look(s []uint64, now time.Duration, ahead, n int64) (int64, time.Duration) {
	return room(s, int64(a.number(s, now)/numberUnit), ahead, n)
}

func (a adaptive) add(s []uint64, now time.Duration, n int64) {
	s[2] = a.number(s, now)
	s[0] += uint64(n)
	s[4] = max(s[4], uint64(now))
}

func (a adaptive) sub(s []uint64, now, at time.Duration, n int64) {
	in := s[0] & insideMask
	number := a.number(s, now)
	switch {
	case a.target > 0 && now-at > a.target:
		a.cut(s, now, at)
	case uint64(at) >= s[3] && 2*in*numberUnit >= number:
		number += uint64(n) * numberUnit * numberUnit / number
		s[2] = min(number, uint64(a.greatest)*numberUnit)
	}
	leave(s, now, at, n)
	s[4] = max(s[4], uint64(now))
}

func (a adaptive) cut(s []uint64, now, at time.Duration) {
	if s[3] > 0 && uint64(at) < s[3] {
		return
	}
	number := a.number(s, now)
	number -= min(number, max(number/10, numberUnit))
	s[2] = max(number, uint64(a.least)*numberUnit)
	s[3] = max(uint64(now), 1)
}

func (a adaptive) idle(s []uint64, now time.Duration) bool {
	return s[0]&insideMask == 0 && (s[2] == 0 || uint64(now) >= s[4]+uint64(adaptiveRest))
}

func (a adaptive) fill(s []uint64, now time.Duration, n int64) {
	s[0], s[2], s[4] = uint64(n), uint64(a.start)*numberUnit, uint64(now)
}
