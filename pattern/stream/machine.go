package stream

import (
	"cmp"
	"maps"
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// machine is what a group remembers: its members, who reads what, and how far each
// partition is read. It is the fold of its moves. When members were last heard of
// is not part of it (see book): a heartbeat is no move.
//
// A group speaks one protocol at a time. That of this package is leaderless: the
// owner shares partitions out. A protocol whose members hand in data of their own
// and let one of them decide needs moves of its own beside join and generation;
// everything else here is the same for it.
type machine struct {
	protocol   string
	generation uint64
	pending    bool  // who is in, or what there is to read, is not what the generation was made of
	emptied    int64 // in milliseconds: since when it has had no member; 0 = it has some, or never had and was never cleared
	members    map[string]*member
	parts      map[uint64]*part // by stream number
}

// member is who reads. Times are milliseconds.
type member struct {
	client    string
	topics    []string // names and patterns
	session   int64
	rebalance int64
	joined    int64

	patterns []topic.Pattern // of topics, read once
}

// wants says whether a topic is one of the member's.
func (m *member) wants(name string) bool {
	if m.patterns == nil {
		for _, text := range m.topics {
			if p, err := topic.ParsePattern(text); err == nil { // checked when it joined
				m.patterns = append(m.patterns, p)
			}
		}
	}
	for _, p := range m.patterns {
		if p.Match(name) {
			return true
		}
	}
	return false
}

// part is a partition in which the group has a place.
type part struct {
	topic     string
	index     int
	at        parley.Position // where to read on; 0 = from the earliest event
	epoch     uint32          // of the stream, when the place was taken; 0 = not known
	committed int64           // in milliseconds: when; 0 = never, at is where it began
	owner     string          // a member's id, or "" = nobody
	since     uint64          // the generation from which on the owner has it without a break
}

var _ journal.Machine = (*machine)(nil)

func newMachine() *machine {
	m := new(machine)
	m.reset()
	return m
}

func (m *machine) reset() {
	*m = machine{members: make(map[string]*member), parts: make(map[uint64]*part)}
}

// Apply implements journal.Machine.
func (m *machine) Apply(move journal.Move) error {
	change, err := m.decode(move.Data)
	if err != nil {
		return err
	}
	change(move.Time.UnixMilli())
	return nil
}

// ids gives the members, sorted.
func (m *machine) ids() []string { return slices.Sorted(maps.Keys(m.members)) }

// numbers gives the partitions, sorted by stream number.
func (m *machine) numbers() []uint64 { return slices.Sorted(maps.Keys(m.parts)) }

// of gives the partitions of a member, sorted by stream number.
func (m *machine) of(id string) []uint64 {
	var list []uint64
	for n, p := range m.parts {
		if p.owner == id {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// remove takes members out. What they read is nobody's until the next generation.
func (m *machine) remove(ids []string, now int64) {
	for _, id := range ids {
		delete(m.members, id)
	}
	for _, p := range m.parts {
		if p.owner != "" && m.members[p.owner] == nil {
			p.owner, p.since = "", 0
		}
	}
	m.pending = len(m.members) > 0
	if !m.pending {
		m.emptied, m.protocol = now, ""
	}
}

// begin makes a generation: owners holds the owner of each partition that has one.
func (m *machine) begin(owners map[uint64]string) {
	m.generation++
	m.pending = false
	for n, p := range m.parts {
		if owner := owners[n]; owner != p.owner {
			p.owner, p.since = owner, m.generation
		}
	}
}

// restart makes a generation in which everybody keeps what they have, and begins
// anew in the partitions that were moved.
func (m *machine) restart(moved []uint64) {
	m.generation++
	for _, n := range moved {
		if p := m.parts[n]; p.owner != "" {
			p.since = m.generation
		}
	}
}

// clear forgets everything but the generation, so that nobody who is still
// somewhere out there can be taken for a member of what comes; and since when there
// is no member, so that a group that stays listed all the same is found unused.
func (m *machine) clear(now int64) {
	generation, emptied := m.generation, m.emptied
	m.reset()
	m.generation, m.emptied = generation+1, cmp.Or(emptied, now)
}
