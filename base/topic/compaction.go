package topic

import (
	"crypto/sha256"
	"time"

	"github.com/parleyhq/parley"
)

// MaxCompactKeys bounds the keys that a pass of compaction remembers at a time; a
// stream of more is compacted in several sections. They take about 64 MiB.
const MaxCompactKeys = 1 << 20

// compactAfter is how long superseded events may stay although they are few.
const compactAfter = time.Hour

// compacted is what is known of a stream from its last pass.
type compacted struct {
	upTo  parley.Position // below it each key has one event
	bytes int64           // of the stream after the pass
	at    time.Time       // of the pass; zero = there was none in this process
	due   time.Time       // when the first tombstone left may go; zero = none is left
}

// worth says whether a pass up to horizon is worth its reading: when half of the
// stream is new, when something has waited for long, or when a tombstone is due.
// It is pure.
func (c compacted) worth(stats parley.Stats, horizon parley.Position, now time.Time) bool {
	switch {
	case horizon <= stats.Earliest:
		return false
	case c.at.IsZero():
		return true
	case !c.due.IsZero() && !now.Before(c.due):
		return true
	case horizon <= c.upTo:
		return false
	}
	return 2*(stats.Bytes-c.bytes) >= stats.Bytes || now.Sub(c.at) >= compactAfter
}

// sweep is one section of a pass: the newest positions of the keys in a part of a
// stream, and with them the decision which records stay. It is pure.
type sweep struct {
	newest map[parley.Key]parley.Position
	limit  int           // of keys
	age    time.Duration // of tombstones
	now    time.Time

	useful bool      // something may be dropped
	due    time.Time // when the first tombstone that stays may go
}

func newSweep(limit int, age time.Duration, now time.Time) *sweep {
	return &sweep{newest: make(map[parley.Key]parley.Position), limit: limit, age: age, now: now}
}

// full says that the section has to end before the next batch.
func (s *sweep) full() bool { return len(s.newest) >= s.limit }

// note takes in a record of the section.
func (s *sweep) note(r parley.Record) {
	if len(r.Key) == 0 {
		return
	}
	k := keyOf(r.Key)
	if _, again := s.newest[k]; again || s.over(r) {
		s.useful = true
	}
	s.newest[k] = r.Position
	s.wait(r)
}

// wait notes when a tombstone that stays may go.
func (s *sweep) wait(r parley.Record) {
	if due := r.Time().Add(s.age); len(r.Value) == 0 && (s.due.IsZero() || due.Before(s.due)) {
		s.due = due
	}
}

// keep decides on a record below the section's end. A record without a key stays:
// it is from before the topic was compacted, and supersedes nothing.
func (s *sweep) keep(r parley.Record) bool {
	if len(r.Key) == 0 {
		return true
	}
	if newest, ok := s.newest[keyOf(r.Key)]; ok && newest > r.Position {
		return false
	}
	if len(r.Value) > 0 {
		return true
	}
	if s.over(r) {
		return false
	}
	s.wait(r)
	return true
}

// over says whether a record is a tombstone that was kept for long enough.
func (s *sweep) over(r parley.Record) bool {
	return len(r.Value) == 0 && !s.now.Before(r.Time().Add(s.age))
}

// batch gives what stays of a batch. Most batches lose nothing, and are not encoded
// anew.
func (s *sweep) batch(b parley.Batch) (parley.Batch, error) {
	stay := 0
	for rec, err := range b.Records() {
		if err != nil {
			return parley.Batch{}, err
		}
		if s.keep(rec) {
			stay++
		}
	}
	switch stay {
	case b.Len():
		return b, nil
	case 0:
		return parley.Batch{}, nil
	}
	return b.Keep(s.keep)
}

// keyOf shortens a key so that memory does not depend on its length; two keys of
// one digest are not to be expected.
func keyOf(key []byte) (k parley.Key) {
	sum := sha256.Sum256(key)
	copy(k[:], sum[:])
	return k
}
