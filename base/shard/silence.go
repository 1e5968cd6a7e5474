package shard

import (
	"time"

	"github.com/parleyhq/parley"
)

// silence is what a node that does not own a shard knows of its owner: the rules
// of when it may take over. It is pure.
type silence struct {
	after time.Duration // so long must the stream be still

	newest   parley.Position // base of the newest batch seen; Empty = none
	since    time.Time       // when it was first seen
	resigned bool            // it says that its owner has left
}

// begin starts the watch at now, with nothing seen: an owner may have beaten just
// before, so the silence counts from here.
func (s *silence) begin(now time.Time) {
	s.newest, s.since, s.resigned = parley.Empty, now, false
}

// saw takes note of the newest batch.
func (s *silence) saw(newest parley.Position, resigned bool, now time.Time) {
	if newest > s.newest {
		s.newest, s.since, s.resigned = newest, now, resigned
	}
}

// free says whether the shard may be taken over, and if not, when to look again.
// A stream that was never written has no owner.
func (s *silence) free(now time.Time) (wait time.Duration, free bool) {
	if s.newest == parley.Empty || s.resigned {
		return 0, true
	}
	left := s.since.Add(s.after).Sub(now)
	return left, left <= 0
}
