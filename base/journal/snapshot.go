package journal

import (
	"iter"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// snapshots decides when a snapshot is written, and writes it a piece at a time
// into the groups that leave.
type snapshots struct {
	every int   // records; 0 = no snapshots any more
	size  int64 // bytes
	term  uint64

	records int   // appended since the last begin
	bytes   int64 // likewise
	last    int64 // bytes of the last complete snapshot

	next   func() ([]byte, bool) // the snapshot being written; nil: none
	stop   func()
	sum    sum
	at     parley.Position // of its begin record, once it is appended
	before parley.Position // of the begin record of the last complete one; 0 = none
}

func snapshotsAfter(r restored, o Options) snapshots {
	return snapshots{
		every: o.SnapshotMoves, size: o.SnapshotBytes, term: r.term,
		records: r.records, bytes: r.bytes,
		last: int64(r.base.sum.bytes), before: r.base.at,
	}
}

// due says that it is time for a snapshot.
func (s *snapshots) due() bool {
	return s.every > 0 && (s.records >= s.every || s.bytes >= s.size) && s.bytes >= s.last
}

// write adds what is next of a snapshot to the open group, which is about to
// leave: all moves made so far are in it or before it. It returns how far the
// stream can be trimmed when the group is durable.
func (s *snapshots) write(a *actor, now time.Time) (trim parley.Position) {
	g := a.open
	s.records += g.build.Len()
	s.bytes += int64(g.build.Size())
	at := a.clock.at(now)
	if s.next == nil {
		if !s.due() {
			return 0
		}
		g.begin = g.build.Len()
		a.put(kindBegin, at, appendBegin(nil, s.term))
		s.next, s.stop = iter.Pull(a.machine.Snapshot())
		s.sum, s.at, s.records, s.bytes = sum{}, 0, 0, 0
	}
	for written := 0; written < MaxPart; {
		part, more := s.next()
		if !more {
			a.put(kindEnd, at, appendEnd(nil, s.sum))
			s.next, s.stop = nil, nil
			g.ends = true
			return s.before
		}
		if len(part) > MaxPart {
			a.opt.Logger.Error("machine's snapshot has a part that is too large", slog.String("stream", a.stream.Name), slog.Int("bytes", len(part)))
			s.drop()
			return 0
		}
		s.sum.add(part)
		a.put(kindPart, at, part)
		written += len(part) + 16 // its record's own bytes, so that empty parts end too
	}
	return 0
}

// landed takes note of a group that is durable at base.
func (s *snapshots) landed(g *group, base parley.Position) {
	if g.begin >= 0 {
		s.at = base + parley.Position(g.begin)
	}
	if g.ends {
		s.before, s.last = s.at, int64(s.sum.bytes)
	}
}

// off ends the writing of snapshots.
func (s *snapshots) off() {
	s.drop()
	s.every = 0
}

// drop gives up the snapshot being written: without its end, it does not count.
func (s *snapshots) drop() {
	if s.next != nil {
		s.stop()
		s.next, s.stop = nil, nil
	}
}
