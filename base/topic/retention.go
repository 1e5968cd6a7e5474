package topic

import (
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

// Facts are what Plan needs to know of one stream.
type Facts struct {
	Stats parley.Stats
	// Young is the first position whose events are younger than max_age; 0 when
	// all are, or when nobody asked.
	Young parley.Position
	// Fits is the first position from which on what is kept fits max_bytes; 0
	// when all of it does.
	Fits parley.Position
	// Holds are those on the stream, in any order.
	Holds []Hold
	// Pressed says that space is short and that this stream shall give some.
	Pressed bool
}

// Hold is a holder's place in a stream: events from At on are kept for it.
type Hold struct {
	Holder string
	At     parley.Position
}

// Decision is what to do with one stream.
type Decision struct {
	UpTo parley.Position // trim below; 0 = nothing to trim
	Cut  []Hold          // holders that do not count any more, oldest first
	Held bool            // a holder keeps back events that would go otherwise
}

// Plan decides which events of a stream are to go. Both limits count: what is
// too old goes, and what does not fit goes. Holders keep events back from their
// places on, until the stream has reached holdMax bytes (0 = no limit) or space
// is short: then the one that is furthest behind is cut, one at a time.
func Plan(f Facts, holdMax int64) Decision {
	want := max(f.Young, f.Fits)
	if want <= f.Stats.Earliest {
		return Decision{}
	}
	holds := slices.Clone(f.Holds)
	slices.SortFunc(holds, func(a, b Hold) int { return int(min(1, max(-1, a.At-b.At))) })
	var d Decision
	over := f.Pressed || holdMax > 0 && f.Stats.Bytes > holdMax
	if over && len(holds) > 0 && holds[0].At < want {
		d.Cut, holds = holds[:1:1], holds[1:]
	}
	d.UpTo = want
	if len(holds) > 0 && holds[0].At < want {
		d.UpTo, d.Held = holds[0].At, true
	}
	if d.UpTo <= f.Stats.Earliest {
		d.UpTo = 0
	}
	return d
}

// tooOld gives the time before which events may go; the zero time is never.
func (s Settings) tooOld(now time.Time) time.Time {
	if s.MaxAge == NoLimit {
		return time.Time{}
	}
	return now.Add(-s.MaxAge)
}

// share is how many bytes one partition may keep; NoLimit is all.
func (s Settings) share() int64 {
	if s.MaxBytes == NoLimit {
		return NoLimit
	}
	return max(1, s.MaxBytes/int64(s.Partitions))
}
