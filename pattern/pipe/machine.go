package pipe

// unit is a part of what a source gave, or something made of several such parts:
// whatever is settled as one. The zero unit is settled always.
type unit uint32

// ledger knows which events of each source are done. It is a machine: no lock, no
// clock, no goroutine.
//
// A unit lives as long as somebody holds it. A unit that was made of others holds
// those in turn, so that an acknowledgement finds its way back through batches,
// whatever they mix. A source's units settle in any order, and are told as the
// count of events before the first that has not.
type ledger struct {
	nodes []node
	free  []unit
	lanes []lane
}

// node is one unit.
type node struct {
	holds   int
	parents []unit // of a derived unit
	lane    int32  // of a source's unit, from 1; 0 = derived
	turn    uint64 // its number in the lane
}

// lane is the units of one source that are not told yet, oldest first: those from
// turn `first`. events holds the size of each, negative when it has settled.
type lane struct {
	first  uint64
	events []int
	acked  int64
}

// source adds a source.
func (l *ledger) source() int {
	l.lanes = append(l.lanes, lane{})
	return len(l.lanes)
}

func (l *ledger) node() unit {
	if len(l.nodes) == 0 {
		l.nodes = append(l.nodes, node{}) // the zero unit
	}
	if n := len(l.free); n > 0 {
		u := l.free[n-1]
		l.free = l.free[:n-1]
		return u
	}
	l.nodes = append(l.nodes, node{})
	return unit(len(l.nodes) - 1)
}

// open begins a unit of a source's events, held once.
func (l *ledger) open(source, events int) unit {
	u := l.node()
	at := &l.lanes[source-1]
	n := &l.nodes[u]
	n.holds, n.lane, n.turn = 1, int32(source), at.first+uint64(len(at.events))
	at.events = append(at.events, events)
	return u
}

// derive begins a unit that is made of others, which join adds. It is held once.
func (l *ledger) derive() unit {
	u := l.node()
	n := &l.nodes[u]
	n.holds, n.lane, n.parents = 1, 0, n.parents[:0]
	return u
}

// join makes u hold parent, once however often it is joined in a row.
func (l *ledger) join(u, parent unit) {
	if u == 0 || parent == 0 {
		return
	}
	n := &l.nodes[u]
	if k := len(n.parents); k > 0 && n.parents[k-1] == parent {
		return
	}
	n.parents = append(n.parents, parent)
	l.nodes[parent].holds++
}

// hold adds a hold.
func (l *ledger) hold(u unit) {
	if u != 0 {
		l.nodes[u].holds++
	}
}

// drop takes a hold away, and gives the sources that have something to be told, as
// bits (source 1 is bit 0; sources beyond 64 share the last bit).
func (l *ledger) drop(u unit) (news uint64) {
	if u == 0 {
		return 0
	}
	n := &l.nodes[u]
	if n.holds--; n.holds > 0 {
		return 0
	}
	l.free = append(l.free, u)
	if n.lane == 0 {
		parents := n.parents
		for _, p := range parents {
			news |= l.drop(p)
		}
		return news
	}
	if l.lanes[n.lane-1].settle(n.turn) {
		news = 1 << min(n.lane-1, 63)
	}
	return news
}

// settle marks a unit, and says whether the count of what is done has grown.
func (a *lane) settle(turn uint64) bool {
	i := int(turn - a.first)
	a.events[i] = -a.events[i]
	if i > 0 {
		return false
	}
	for i < len(a.events) && a.events[i] < 0 {
		a.acked += int64(-a.events[i])
		i++
	}
	a.first += uint64(i)
	a.events = a.events[:copy(a.events, a.events[i:])]
	return true
}
