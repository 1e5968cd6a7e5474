package journal

import (
	"github.com/parleyhq/parley"
)

// survey is what a first pass over a stream learns: whether the history is
// whole, which snapshots are, and where the stream ends. It is pure.
type survey struct {
	number uint64          // moves so far
	term   uint64          // of the newest takeover
	millis int64           // latest time of a record
	newest parley.Position // base of the newest batch; Empty = none

	any   bool  // a record was seen
	whole bool  // the first record is the first ever, and nothing is missing since
	cause error // why history broke, the last time it did

	shots   []shot // complete and sound, oldest first; at most keepShots
	writing *shot  // begun, not ended

	tally // since the last complete snapshot began, without the snapshots themselves
}

// shot is one snapshot.
type shot struct {
	at     parley.Position // of its begin record
	number uint64          // moves that are in it
	term   uint64
	sum    sum
	tally  // of the survey when it began
}

// tally is what the snapshot policy counts.
type tally struct {
	records int
	bytes   int64
}

// recordBytes is about what a record takes beside its key and value.
const recordBytes = 8

// keepShots is one more than trimming leaves: a crash between the end of a
// snapshot and the trim leaves three.
const keepShots = 3

func newSurvey() *survey { return &survey{newest: parley.Empty} }

// batch takes the next batch.
func (s *survey) batch(b parley.Batch) {
	s.newest = b.Base()
	if err := b.Check(); err != nil {
		s.lost(err)
		return
	}
	for rec, err := range b.Records() {
		if err == nil {
			err = s.record(rec)
		}
		if err != nil {
			s.lost(err)
		}
	}
}

// lost notes that history cannot be followed across this point: only a snapshot
// that begins after it can be restored.
func (s *survey) lost(err error) {
	s.cause, s.any, s.whole, s.writing = err, true, false, nil
	s.shots = s.shots[:0]
}

func (s *survey) record(rec parley.Record) error {
	k, number, err := cutKey(rec.Key)
	if err != nil {
		return err
	}
	if !s.any {
		s.any = true
		s.whole = number == s.follows(k)
		if !s.whole {
			s.cause = parley.Errorf(parley.Damaged, "the stream begins at %d with record %q of number %d", rec.Position, string(k), number)
		}
	} else if expect := s.follows(k); number != expect {
		s.lost(parley.Errorf(parley.Damaged, "record %q at %d has number %d, %d would follow", string(k), rec.Position, number, expect))
	}
	s.number = number
	s.millis = max(s.millis, rec.Millis)
	if k != kindPart && k != kindEnd {
		s.records++
		s.bytes += int64(len(rec.Key) + len(rec.Value) + recordBytes)
	}
	switch k {
	case kindTake:
		s.writing = nil
		term, _, err := cutTerm(rec.Value)
		if err != nil {
			return err
		}
		s.term = max(s.term, term)
	case kindBegin:
		term, _, err := cutTerm(rec.Value)
		if err != nil {
			return err
		}
		s.term = max(s.term, term)
		s.writing = &shot{at: rec.Position, number: number, term: term, tally: s.tally}
	case kindPart:
		if s.writing != nil {
			s.writing.sum.add(rec.Value)
		}
	case kindEnd:
		s.end(rec)
	}
	return nil
}

// follows is the number that the next record must have.
func (s *survey) follows(k kind) uint64 {
	if k == kindMove {
		return s.number + 1
	}
	return s.number
}

// end completes the snapshot being written if it is sound; if not, it is as if
// it had never been written.
func (s *survey) end(rec parley.Record) {
	said, ok := cutEnd(rec.Value)
	if w := s.writing; w != nil && ok && said == w.sum {
		if len(s.shots) == keepShots {
			s.shots = append(s.shots[:0], s.shots[1:]...)
		}
		s.shots = append(s.shots, *w)
		s.records -= w.records
		s.bytes -= w.bytes
	} else {
		s.cause = parley.Errorf(parley.Damaged, "the snapshot that ends at %d does not match its count and CRC", rec.Position)
	}
	s.writing = nil
}

// from gives the places that a restore can begin at, best first. None, with
// something in the stream, means that it must be refused.
func (s *survey) from() []shot {
	var list []shot
	for i := len(s.shots) - 1; i >= 0; i-- {
		list = append(list, s.shots[i])
	}
	if s.whole || !s.any {
		list = append(list, shot{})
	}
	return list
}
