package journal

import (
	"time"

	"github.com/parleyhq/parley"
)

// ledger holds who waits for what: the rules of when an answer may leave. It is
// pure. There are at most two groups: one gathering, one whose Append is under
// way.
type ledger struct {
	open   *group // gathering; never nil
	flight *group // being appended, or nil
	firm   *group // the newest of the two with a firm move, or nil
}

// group is the moves of one Append.
type group struct {
	build   parley.Builder
	also    []parley.Write
	places  []*parley.Appended // to be filled in; as long as also
	waiters []*call            // answered when the group's fate is known
	moves   int
	bytes   int  // of moves and of what rides along
	begin   int  // index of the record that begins a snapshot, or -1
	ends    bool // a snapshot is complete with this group

	since time.Time // when it began to wait for company; zero: it does not
}

func newGroup() *group { return &group{begin: -1} }

// reset makes the group ready for use again; it keeps its buffers.
func (g *group) reset() {
	g.build.Reset()
	clear(g.also)
	clear(g.places)
	clear(g.waiters)
	g.also, g.places, g.waiters = g.also[:0], g.places[:0], g.waiters[:0]
	g.moves, g.bytes, g.begin, g.ends, g.since = 0, 0, -1, false, time.Time{}
}

// full says that the group takes no more calls: it gathers only so much that the
// moves of one more call, and a part of a snapshot, always fit.
func (g *group) full() bool {
	return g.moves >= groupMoves || g.bytes >= groupBytes || len(g.also) >= groupAlso
}

// empty says that there is nothing to append.
func (g *group) empty() bool { return g.build.Len() == 0 }

// taken files a call whose function has run. It reports whether the call may be
// answered at once: when it made no firm move itself and rests on none that is
// not yet durable.
func (l *ledger) taken(c *call) (answer bool) {
	if c.moves > 0 || c.firm {
		c.group = l.open
	}
	if c.firm {
		l.firm = l.open
	}
	if l.firm == nil {
		return true
	}
	l.firm.waiters = append(l.firm.waiters, c)
	return false
}

// send closes the open group: its Append begins. next takes its place.
func (l *ledger) send(next *group) *group {
	l.flight, l.open = l.open, next
	return l.flight
}

// landed takes the group in flight out: it is durable.
func (l *ledger) landed() *group {
	g := l.flight
	l.flight = nil
	if l.firm == g {
		l.firm = nil
	}
	return g
}

// lost ends both groups and gives all who wait.
func (l *ledger) lost() (waiters []*call) {
	if l.flight != nil {
		waiters = l.flight.waiters
	}
	waiters = append(waiters, l.open.waiters...)
	l.flight, l.open, l.firm = nil, newGroup(), nil
	return waiters
}

// fate is what became of a call's group, and so of the call.
func (c *call) fate(failed *group, certain bool, why error) error {
	if c.group != nil && c.group == failed && !certain {
		return &parley.Error{Code: parley.Unknown, Detail: "the machine lost its log before it knew whether the change was stored", Fix: "ask again; if the change cannot be made twice, ask whether it was made", Err: why}
	}
	return unchanged(why)
}

// unchanged says that nothing came of a call.
func unchanged(why error) error {
	code := parley.CodeOf(why)
	switch code {
	case parley.Full, parley.Apart, parley.TooLarge, parley.Invalid, parley.Forbidden:
	default:
		code = parley.Unavailable
	}
	return &parley.Error{Code: code, Detail: "the machine could not store the change; nothing was changed", Fix: "ask again", Err: why}
}
