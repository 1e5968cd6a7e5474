package throttle

import (
	"sync"
	"time"
)

// shard is a part of a limiter's keys under one lock, which is never held over
// anything that can wait.
//
// What a call writes lies together with the lock, in one cache line of its own:
// two processors with one hot key pass each other this line and that of the key's
// cell, and no others.
type shard struct {
	mu               sync.Mutex
	last             time.Duration // see moment
	granted, refused uint64        // see Stats
	rule             *Rule
	cells            table
	// fresh is the state of any key never seen. It stays zero.
	fresh []uint64
	// spare is the state that keys without a cell share once the table is full.
	spare []uint64
	lines lines
	timer *time.Timer
	order uint64 // rank in which locks are taken together

	shared uint64 // see Stats

	_ [64]byte // neighbours do not share a cache line
}

func newShard(rule *Rule, keys int, order uint64) *shard {
	s := &shard{order: order}
	s.cells.most = keys
	s.use(rule)
	return s
}

// use sets the rule of an empty shard.
func (s *shard) use(rule *Rule) {
	s.rule = rule
	s.cells = table{words: rule.Words(), most: s.cells.most}
	s.fresh = make([]uint64, rule.Words())
	s.spare = make([]uint64, rule.Words())
}

// state is what is known of a key, without making room for it.
func (s *shard) state(h hash) []uint64 {
	if cell := s.cells.find(h); cell != nil {
		return cell
	}
	return s.fresh
}

// writable is the state of a key to be written: its cell, a new one, or the
// spare one that it then shares.
//
// A new cell begins as the spare one stands, so that a key which was served
// from it does not begin anew. Units that are inside cannot be copied, so a
// held rule keeps to the spare state until that is empty.
func (s *shard) writable(h hash, now time.Duration) (cell []uint64, shared bool) {
	if cell = s.cells.find(h); cell != nil {
		return cell, false
	}
	clean := s.rule.Idle(s.spare, now)
	if s.rule.held && !clean {
		return s.spare, true
	}
	if cell = s.cells.claim(h, now, s.rule.alg); cell == nil {
		return s.spare, true
	}
	if !clean {
		copy(cell, s.spare)
	}
	return cell, false
}

// judge answers for a key without spending.
func (s *shard) judge(d *Decision, h hash, now time.Duration, n int64) {
	var ahead int64
	if n > 0 && s.lines.waiting > 0 {
		ahead = s.lines.ahead(h)
	}
	s.rule.judge(d, s.state(h), now, ahead, n)
}

// quick is the state of a key for grab; nil when the call has to go the long way:
// the key is new, somebody is in line, the cost is out of the ordinary, or the
// algorithm has no grab.
func (s *shard) quick(h hash, n int64) []uint64 {
	if s.lines.waiting > 0 || n <= 0 || n > s.rule.most || !s.rule.quick {
		return nil
	}
	return s.cells.find(h)
}

// grab is take for a state that quick gave, without the answer's figures: those
// can be worked out once others have the lock.
func (s *shard) grab(cell []uint64, now time.Duration, n int64) bool {
	if !s.rule.grab(cell, now, n) {
		s.refused++
		return false
	}
	s.granted++
	return true
}

// take answers for a key and spends, unless others are in line before it.
func (s *shard) take(d *Decision, h hash, now time.Duration, n int64) {
	if s.lines.waiting > 0 && s.lines.ahead(h) > 0 {
		s.judge(d, h, now, n)
	} else {
		s.spend(d, h, now, n)
	}
	if d.OK {
		s.granted++
	} else {
		s.refused++
	}
}

// spend takes units whatever the line: for its head. A cost that no state lets
// pass makes no cell.
func (s *shard) spend(d *Decision, h hash, now time.Duration, n int64) {
	if n <= 0 || n > s.rule.most || s.rule.alg == nil || s.rule.limit.Quota == 0 {
		s.rule.judge(d, s.state(h), now, 0, n)
		return
	}
	cell, shared := s.writable(h, now)
	s.rule.judge(d, cell, now, 0, n)
	if !d.OK {
		return
	}
	s.rule.alg.add(cell, now, n)
	if shared {
		d.shared = true
		s.shared++
	}
}

// moment is the shard's time for a reading of the clock that was taken before
// the lock was: no earlier than any before it. So every decision falls within
// its call, in the order of the lock, and what is promised holds however long
// calls wait for the lock.
func (s *shard) moment(reading time.Duration) time.Duration {
	s.last = max(s.last, reading)
	return s.last
}

// giveBack returns what d took. The cell of a key that is gone had nothing
// left to give.
func (s *shard) giveBack(h hash, now time.Duration, d Decision, overloaded bool) {
	if s.rule.alg == nil || !d.OK || d.Cost <= 0 {
		return
	}
	cell := s.spare
	if !d.shared {
		if cell = s.cells.find(h); cell == nil {
			return
		}
	}
	if overloaded {
		s.rule.Overloaded(cell, now, d)
	} else {
		s.rule.Back(cell, now, d)
	}
}

// convert changes the rule and carries every key's state over.
func (s *shard) convert(rule *Rule, now time.Duration) {
	old, cells, spare := s.rule, s.cells, s.spare
	s.use(rule)
	if rule.alg == nil {
		return
	}
	// After a limit of zero the spare state is spent, and so new cells are.
	rule.Convert(s.spare, old, spare, now)
	if old.alg == nil {
		return
	}
	cells.each(func(h hash, from []uint64) {
		if old.alg.idle(from, now) {
			return
		}
		// The hand must not touch cells that are about to be filled.
		if slots := s.cells.slots(); s.cells.used+1 > slots-slots/4 {
			s.cells.grow()
		}
		s.cells.used++
		rule.Convert(s.cells.place(h), old, from, now)
	})
}
