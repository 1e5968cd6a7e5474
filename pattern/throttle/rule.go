package throttle

import (
	"fmt"
	"math"
	"time"
)

// Rule is a compiled [Limit]: a pure machine over a few words of state that
// the caller keeps, one slice for each key. It reads no clock and takes no
// lock; now is the time since any origin that the caller likes, at least 0.
//
// A state of zeros is a key never seen. A now that is earlier than the state's
// counts as no time passed. So clocks that disagree by up to δ can stretch a
// window by δ, and no more: what is admitted in a span of real time is at most
// Worst(span+δ). See [Clock] for clocks that step.
type Rule struct {
	limit Limit
	held  bool
	alg   algorithm // nil if nothing needs counting: all or none pass
	most  int64     // of alg
	quick bool      // alg has a grab
}

// algorithm is what the nine ways to limit have in common. The slices have
// words() words; 0 ≤ n ≤ the most that can be inside at once.
type algorithm interface {
	words() int
	// most is the largest n that can ever pass in one call.
	most() int64
	// look says how many units could pass at now, and how long until n can
	// when ahead others pass first: 0 for at once, forever for "not by waiting
	// alone". It changes nothing.
	look(s []uint64, now time.Duration, ahead, n int64) (free int64, wait time.Duration)
	// add commits n units that look let pass.
	add(s []uint64, now time.Duration, n int64)
	// sub gives back n units that were added at the time at.
	sub(s []uint64, now, at time.Duration, n int64)
	// idle says whether the state could be forgotten without loss.
	idle(s []uint64, now time.Duration) bool
	// fill sets a fresh state to n units spent at now.
	fill(s []uint64, now time.Duration, n int64)
}

// carrier is an algorithm that can go on from the exact state of another limit
// of its kind: the same window, another quota.
type carrier interface {
	carry(to []uint64, old algorithm, from []uint64, now time.Duration) bool
}

// forever is the wait for something that time alone does not bring.
const forever = time.Duration(math.MaxInt64)

// Compile checks a limit and prepares it. Errors name the field and the
// remedy.
func Compile(l Limit) (*Rule, error) {
	l, err := l.normal()
	if err != nil {
		return nil, err
	}
	r := &Rule{limit: l, held: l.held()}
	if l.Quota == 0 || l.Quota == Infinite {
		switch {
		case !known(l.Algorithm):
			return nil, unknown(l.Algorithm)
		case l.held():
			// What is inside is counted even while the door is shut or open to
			// all, so that the limit can change.
			r.alg = inside{quota: min(l.Quota, maxCount)}
			r.most = r.alg.most()
		}
		return r, nil
	}
	switch l.Algorithm {
	case FixedWindow:
		r.alg, err = newFixed(l)
	case SlidingLog:
		r.alg, err = newSlidingLog(l)
	case SlidingCounter:
		r.alg, err = newCounter(l)
	case TokenBucket, LeakyMeter:
		r.alg, err = newBucket(l, l.Burst)
	case LeakyQueue:
		r.alg, err = newBucket(l, 1)
	case GCRA:
		r.alg, err = newArrival(l)
	case Concurrency:
		r.alg, err = newInside(l)
	case Adaptive:
		r.alg, err = newAdaptive(l)
	default:
		return nil, unknown(l.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	r.most = r.alg.most()
	switch r.alg.(type) {
	case arrival, bucket:
		r.quick = true
	}
	return r, nil
}

func known(a Algorithm) bool {
	switch a {
	case FixedWindow, SlidingLog, SlidingCounter, TokenBucket, LeakyMeter, LeakyQueue, GCRA, Concurrency, Adaptive:
		return true
	}
	return false
}

func unknown(a Algorithm) error {
	return fmt.Errorf("throttle: algorithm: %q is none of fixed-window, sliding-log, sliding-counter, "+
		"token-bucket, leaky-meter, leaky-queue, gcra, concurrency, adaptive", string(a))
}

// Limit returns what the rule was compiled from, defaults filled in.
func (r *Rule) Limit() Limit { return r.limit }

// Words is the length of one key's state.
func (r *Rule) Words() int {
	if r.alg == nil {
		return 0
	}
	return r.alg.words()
}

// Held says whether units stay inside until they are given back (Concurrency,
// Adaptive) instead of being forgotten with time.
func (r *Rule) Held() bool { return r.held }

// Take asks for n units at now and, when the answer is yes, spends them. n = 0
// only looks.
func (r *Rule) Take(state []uint64, now time.Duration, n int64) (d Decision) {
	r.judge(&d, state, now, 0, n)
	if d.OK && n > 0 && r.alg != nil {
		r.alg.add(state, now, n)
	}
	return d
}

// Back gives back what d took: a cancelled call, a login that was right. Units
// that time has already restored are not given twice, so that a refund never
// lifts a rule above its worst case; for that, now must not be earlier than
// any before it. For a held rule it is how units leave.
func (r *Rule) Back(state []uint64, now time.Duration, d Decision) {
	if r.alg != nil && d.OK && d.Cost > 0 {
		r.alg.sub(state, now, d.at, d.Cost)
	}
}

// Return is Back without the decision: n units are given back as if they had been
// taken at now. It is for units that were taken a moment ago, since of older ones
// time may have restored some already.
func (r *Rule) Return(state []uint64, now time.Duration, n int64) {
	at := now
	if r.limit.Algorithm == SlidingLog { // which knows when; the oldest are the least worth
		at = max(0, now-r.limit.Window+1)
	}
	r.Back(state, now, Decision{OK: true, Cost: n, at: at, held: r.held})
}

// Overloaded is Back for a held rule whose work did not end well: timed out,
// was shed, answered 503. Adaptive lowers its number; for the others it is
// Back.
func (r *Rule) Overloaded(state []uint64, now time.Duration, d Decision) {
	if a, ok := r.alg.(adaptive); ok && d.OK && d.Cost > 0 {
		a.cut(state, now, d.at)
	}
	r.Back(state, now, d)
}

// Idle says whether the state equals a fresh one from now on, so that it may
// be dropped without loss.
func (r *Rule) Idle(state []uint64, now time.Duration) bool {
	return r.alg == nil || r.alg.idle(state, now)
}

// Convert writes into to what the state from under the rule old means under
// this one: for windows of the same kind and length what was counted stays
// counted, else the same fraction is spent, rounded up. For a held rule the
// units inside stay inside. The two rules must be both held or both not.
func (r *Rule) Convert(to []uint64, old *Rule, from []uint64, now time.Duration) {
	clear(to)
	if r.alg == nil {
		return
	}
	if old.alg == nil {
		if old.limit.Quota == 0 {
			r.alg.fill(to, now, r.most) // what was spent before is not known: all of it
		}
		return
	}
	if r.held {
		r.alg.fill(to, now, int64(from[0]&insideMask))
		return
	}
	if c, ok := r.alg.(carrier); ok && c.carry(to, old.alg, from, now) {
		return
	}
	free, _ := old.alg.look(from, now, 0, 0)
	was, is := old.most, r.most
	if spent := was - free; spent > 0 {
		r.alg.fill(to, now, min(is, refilled(uint64(is), time.Duration(spent), time.Duration(was))))
	}
}

// judge answers without spending; ahead units are in line before these. The
// answer goes where d points, since copies of it would cost more than the rest.
func (r *Rule) judge(d *Decision, state []uint64, now time.Duration, ahead, n int64) {
	*d = Decision{Cost: n, Limit: r.limit.Quota, at: now, held: r.held}
	switch {
	case n < 0:
		d.Reason = Impossible
		return
	case r.limit.Quota == 0:
		d.Reason = Closed
		return
	case r.alg == nil:
		d.OK, d.Remaining = true, Infinite
		return
	}
	if n > r.most {
		d.Reason = Impossible
		d.Remaining, _ = r.alg.look(state, now, 0, 0)
		return
	}
	free, wait := r.alg.look(state, now, ahead, n)
	if wait > 0 || (ahead > 0 && n > 0) {
		d.Reason, d.RetryAfter, d.Remaining = Limited, max(wait, 1), free
		if d.held {
			d.RetryAfter = guess(state, sum(ahead, n))
		}
		return
	}
	d.OK, d.Remaining = true, free-n
}

// grab spends n units, 1 to most, if they can be had, and says whether it did. It
// is Take without the figures, for a quick rule; tell has them. Calls go to the
// concrete type, so that nothing escapes to the heap.
func (r *Rule) grab(state []uint64, now time.Duration, n int64) bool {
	switch a := r.alg.(type) {
	case arrival:
		return a.grab(state, now, n)
	case bucket:
		return a.grab(state, now, n)
	}
	return false
}

// tell is the answer that a grab of n units gave, from the state before it.
func (r *Rule) tell(d *Decision, before [2]uint64, now time.Duration, n int64) {
	*d = Decision{OK: true, Cost: n, Limit: r.limit.Quota, at: now}
	var free int64
	var wait time.Duration
	switch a := r.alg.(type) {
	case arrival:
		free, wait = a.look(before[:1], now, 0, n)
	case bucket:
		free, wait = a.look(before[:], now, 0, n)
	}
	if wait > 0 {
		d.OK, d.Reason, d.RetryAfter, d.Remaining = false, Limited, wait, free
		return
	}
	d.Remaining = free - n
}

// until is how long after d until one unit more than it left is there.
func (r *Rule) until(state []uint64, now time.Duration, d Decision) time.Duration {
	if r.alg == nil || r.held || d.Remaining >= r.most {
		return 0
	}
	_, wait := r.alg.look(state, now, 0, d.Remaining+1)
	return wait
}
