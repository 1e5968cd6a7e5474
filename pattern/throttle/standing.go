package throttle

import "time"

// Standing is how a key stands with a limit, for people who look.
type Standing struct {
	// Spent is the units that are used up; under a held limit those inside.
	Spent int64
	// Remaining is the units that could be had at once: Infinite if nothing is
	// counted, 0 if the limit is zero.
	Remaining int64
	// Next is the time until one unit more than Remaining can be had, Full until all
	// can. Both are 0 when nothing is missing, and under a held limit, where only
	// somebody's leaving helps.
	Next, Full time.Duration
	// Waiting is how many calls are in line.
	Waiting int
}

// Standing tells how key stands and takes nothing. Of an unknown key it keeps
// nothing either.
func (l *Limiter) Standing(key string) (st Standing) {
	h := l.hash(key)
	s := l.shard(h)
	now := l.lock(s)
	defer s.mu.Unlock()
	if g := s.lines.groups[h]; g != nil {
		st.Waiting = g.count
	}
	rule, state := s.rule, s.state(h)
	switch {
	case rule.limit.Quota == 0 && !rule.held:
		return st
	case rule.alg == nil:
		st.Remaining = Infinite
		return st
	}
	st.Remaining, _ = rule.alg.look(state, now, 0, 0)
	if rule.held {
		st.Spent = int64(state[0] & insideMask)
		return st
	}
	st.Spent = max(0, rule.most-st.Remaining)
	if st.Spent > 0 {
		_, st.Next = rule.alg.look(state, now, 0, st.Remaining+1)
		_, st.Full = rule.alg.look(state, now, 0, rule.most)
	}
	return st
}
