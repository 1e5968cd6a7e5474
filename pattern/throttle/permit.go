package throttle

import "time"

// Permit stands for units that were taken, from one limiter or from several
// together. It is a value; of a permit and its copies only one should be given
// back, and the one that was is empty afterwards. The zero Permit is empty.
type Permit struct {
	first charge
	more  []charge
}

// charge is what one limiter took.
type charge struct {
	limiter *Limiter
	h       hash
	d       Decision
}

// Release says that the work is over and went well: places inside become free.
// Units of other limits stay spent.
func (p *Permit) Release() {
	p.end(func(c charge) {
		if c.d.held {
			c.limiter.giveBack(c.h, c.d, false)
		}
	})
}

// Overloaded is Release for work that timed out, was shed, or met with a 503:
// Adaptive limits go down.
func (p *Permit) Overloaded() {
	p.end(func(c charge) {
		if c.d.held {
			c.limiter.giveBack(c.h, c.d, true)
		}
	})
}

// Refund gives everything back, as if it had not been asked for.
func (p *Permit) Refund() {
	p.end(func(c charge) { c.limiter.giveBack(c.h, c.d, false) })
}

func (p *Permit) end(f func(charge)) {
	all := *p
	*p = Permit{}
	if all.first.limiter != nil {
		f(all.first)
	}
	for _, c := range all.more {
		f(c)
	}
}

// Charge is one of several limits to be asked together.
type Charge struct {
	// Limiter must not be nil.
	Limiter *Limiter
	// Key is the key under it.
	Key string
	// Cost is the units; 0 only looks.
	Cost int64
}

// MaxTogether is how many limits TryAll takes together.
const MaxTogether = 16

// TryAll asks several limits and takes from all of them or from none: a
// refusal by one does not burn the units of another. The decisions come in the
// order of the charges. If all are OK the units are taken; else those that are
// OK say what would have been, and nothing is taken. More than [MaxTogether]
// charges are refused as Impossible.
//
// All shards concerned are locked in one order, so that calls with the same
// limits in any order cannot block each other.
func TryAll(charges ...Charge) (Permit, []Decision, error) {
	decisions := make([]Decision, len(charges))
	if len(charges) > MaxTogether {
		return Permit{}, decisions, &Error{Reason: Impossible}
	}
	taken := make([]charge, len(charges))
	var now [MaxTogether]time.Duration
	var shards [MaxTogether]*shard
	n := 0
	for i, c := range charges {
		taken[i] = charge{limiter: c.Limiter, h: c.Limiter.hash(c.Key)}
		now[i] = c.Limiter.now()
		n = insert(&shards, n, c.Limiter.shard(taken[i].h))
	}
	for _, s := range shards[:n] {
		s.mu.Lock()
	}
	refused := commit(charges, taken, &now, decisions)
	for _, s := range shards[:n] {
		s.mu.Unlock()
	}
	if refused >= 0 {
		return Permit{}, decisions, charges[refused].Limiter.named(decisions[refused].Err())
	}
	return Permit{more: taken}, decisions, nil
}

// insert keeps shards in lock order, each once.
func insert(shards *[MaxTogether]*shard, n int, s *shard) int {
	i := n
	for i > 0 && shards[i-1].order >= s.order {
		if shards[i-1] == s {
			return n
		}
		i--
	}
	copy(shards[i+1:n+1], shards[i:n])
	shards[i] = s
	return n + 1
}

// commit judges all, then takes all. It returns the refusal that lasts
// longest, or -1. Two charges may meet in one state; then the first takes
// before the second is judged, and gives back if that fails.
func commit(charges []Charge, taken []charge, now *[MaxTogether]time.Duration, decisions []Decision) int {
	refused := -1
	for i, c := range charges {
		s := c.Limiter.shard(taken[i].h)
		now[i] = s.moment(now[i])
		d := &decisions[i]
		s.judge(d, taken[i].h, now[i], c.Cost)
		d.Reset = s.rule.until(s.state(taken[i].h), now[i], *d)
		if !d.OK && (refused < 0 || lasting(*d) > lasting(decisions[refused])) {
			refused = i
		}
	}
	for i := 0; refused < 0 && i < len(charges); i++ {
		s := charges[i].Limiter.shard(taken[i].h)
		d := &decisions[i]
		if charges[i].Cost > 0 {
			if s.spend(d, taken[i].h, now[i], charges[i].Cost); !d.OK {
				refused = i
			}
			d.Reset = s.rule.until(s.state(taken[i].h), now[i], *d)
		}
		taken[i].d = *d
	}
	for i, c := range charges {
		s := c.Limiter.shard(taken[i].h)
		switch {
		case refused < 0:
			s.granted++
		case i == refused:
			s.refused++
			fallthrough
		default:
			s.giveBack(taken[i].h, now[i], taken[i].d, false)
		}
	}
	return refused
}

// lasting orders refusals: those that waiting does not cure last longest.
func lasting(d Decision) time.Duration {
	if d.Reason == Impossible || d.Reason == Closed {
		return forever
	}
	return d.RetryAfter
}
