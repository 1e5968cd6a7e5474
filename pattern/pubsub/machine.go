package pubsub

import (
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

// Notice tells a reader that its place could not be kept, before the events that
// follow.
type Notice struct {
	Kind      NoticeKind
	Topic     string
	Partition int
	From, To  parley.Position // with Gap: what is gone, From ≤ p < To
}

// NoticeKind is the state of a place that is not ok.
type NoticeKind uint8

// The states of a place.
const (
	// Gap: retention has dropped events that the reader had not seen.
	Gap NoticeKind = iota + 1
	// Reset: the cursor is not of this stream as it is now (re-created, lost
	// acknowledged events, garbage, foreign); the reader starts anew.
	Reset
	// Ahead: the cursor is beyond the end, as after restoring an older backup;
	// the reader goes on from the end.
	Ahead
)

// String gives the name that the doors send.
func (k NoticeKind) String() string {
	return [...]string{"ok", "gap", "reset", "ahead"}[k]
}

// source is one stream as a place is resolved against it.
type source struct {
	topic     string
	partition int
	number    uint64
	stats     parley.Stats
	// successor says that the cursor names a stream that is no more: this one may
	// have taken its place.
	successor bool
}

// first is the lowest place: nothing is below, and a reader that waits there for
// the first event is told when it is trimmed before it came.
const first parley.Position = 1

// resume decides where a reader with a cursor goes on in one stream. marks are
// the cursor's; a stream that is newer than all of them did not exist when the
// cursor was made, and is read from its beginning; unless a stream of the cursor
// was deleted since, and the topic was made anew.
func resume(marks []cursor.Mark, s source) (parley.Position, *Notice) {
	var newest uint64
	for _, m := range marks {
		if m.Number == s.number {
			return resumeAt(m, s)
		}
		newest = max(newest, m.Number)
	}
	if s.number > newest && !s.successor {
		return first, gapAt(first, s)
	}
	return anew(s), &Notice{Kind: Reset, Topic: s.topic, Partition: s.partition}
}

// join puts marks together; of two for one stream, the further one counts.
func join(marks, more []cursor.Mark) []cursor.Mark {
next:
	for _, m := range more {
		for i := range marks {
			if marks[i].Number == m.Number {
				if m.Next > marks[i].Next {
					marks[i] = m
				}
				continue next
			}
		}
		marks = append(marks, m)
	}
	return marks
}

func resumeAt(m cursor.Mark, s source) (parley.Position, *Notice) {
	switch {
	case s.stats.Epoch != 0 && m.Epoch != 0 && m.Epoch != s.stats.Epoch:
		return anew(s), &Notice{Kind: Reset, Topic: s.topic, Partition: s.partition}
	case m.Next > max(s.stats.End, first):
		return max(s.stats.End, first), &Notice{Kind: Ahead, Topic: s.topic, Partition: s.partition, From: s.stats.End, To: m.Next}
	}
	at := m.Next
	if n := gapAt(at, s); n != nil {
		return s.stats.Earliest, n
	}
	return at, nil
}

// anew is where a reader begins whose place is of no use: at a place, so that it
// is told of a gap from there on.
func anew(s source) parley.Position { return max(s.stats.Earliest, first) }

func gapAt(at parley.Position, s source) *Notice {
	if at == 0 || at >= s.stats.Low { // positions are not dense: the earliest may be far above
		return nil
	}
	return &Notice{Kind: Gap, Topic: s.topic, Partition: s.partition, From: at, To: s.stats.Earliest}
}

// Err is the notice as an error, for the doors that answer a bad place with a
// failure: polling and consumer groups. Gap is Trimmed, the others BadCursor.
func (n *Notice) Err() error {
	where := n.Topic + "/" + strconv.Itoa(n.Partition)
	switch n.Kind {
	case Gap:
		return &parley.Error{
			Code: parley.Trimmed, Field: "after", Earliest: n.To,
			Detail: "events of " + where + " after this cursor are no longer kept",
			Fix:    "go on from after=earliest",
		}
	case Ahead:
		return &parley.Error{
			Code: parley.BadCursor, Field: "after",
			Detail: "the cursor is beyond the end of " + where + "; the log is older than the cursor",
			Fix:    "go on from after=latest",
		}
	}
	return &parley.Error{
		Code: parley.BadCursor, Field: "after",
		Detail: "the cursor is not of " + where + " as it is now: it was re-created, or the cursor belongs to other topics",
		Fix:    "start from after=earliest or after=latest",
	}
}

func errFrom(s string) error {
	return parley.BadField("after", "not a time: "+strconv.Quote(s), "send earliest, latest, a cursor, or @ and an RFC 3339 time such as @2026-01-31T12:00:00Z")
}
