package stream

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// protocol is what groups of this package speak.
const protocol = "http"

// book is the rules of a group at its owner: the machine, and what is known only
// there: when members were last heard of, and who has come back for the next
// generation. It is pure; now is in milliseconds.
//
// A rebalance begins when the machine is pending. The members of the generation go
// on committing until each has come back, by asking for events or joining anew,
// with what it had worked off; or has left, or was given up. Then a generation is
// made of who is there.
type book struct {
	*machine
	keep     int64            // how long places of a group without members are kept; 0 = for ever
	sessions map[string]int64 // until when a member must be heard of
	ready    map[string]bool  // who has come back
	deadline int64            // until when the others may; 0 = no rebalance is under way
	next     int64            // when something is due, or earlier; 0 = never
	version  uint64           // grows whenever who waits should look again
}

// mover makes moves; *journal.Tx is one.
type mover interface{ Move(data []byte) error }

func newBook(m *machine, keep int64) *book {
	return &book{machine: m, keep: keep, sessions: make(map[string]int64), ready: make(map[string]bool)}
}

// takeOver begins an ownership: members have a session's time to be heard of, and
// keep their generation. term is the owner's, so that no version comes twice.
func (b *book) takeOver(tx mover, now int64, term uint64) error {
	b.version = term << 32
	for id := range b.members {
		b.hear(id, now)
	}
	b.note(b.retires())
	return b.settle(tx, now)
}

// hear notes a sign of life.
func (b *book) hear(id string, now int64) {
	b.sessions[id] = now + b.members[id].session
	b.note(b.sessions[id])
}

// note has due be no later than at.
func (b *book) note(at int64) {
	if at != 0 && (b.next == 0 || at < b.next) {
		b.next = at
	}
}

// retires is when a group without members is given up, also one whose topics are
// all gone; 0 = never.
func (b *book) retires() int64 {
	if b.keep == 0 || b.emptied == 0 {
		return 0
	}
	return b.emptied + b.keep
}

// unused says that nobody has been in the group for as long as its places are kept.
func (b *book) unused(now int64) bool {
	at := b.retires()
	return at != 0 && at <= now
}

// retireAgain is after how many milliseconds a group that is still there is given up
// once more. It is more than closingMillis: in between, members are let in.
const retireAgain = 2 * closingMillis

// known hears a member, or says that it is none.
func (b *book) known(id string, now int64) error {
	if b.members[id] == nil {
		return &parley.Error{
			Code: parley.Conflict, Field: "member", Detail: strconv.Quote(clip(id, maxMember)) + " is not in the group: it left, was silent for too long, or did not come back in time for a rebalance",
			Fix: "join without member, and begin anew from the committed places",
		}
	}
	b.hear(id, now)
	return nil
}

// joining is what a member says of itself.
type joining struct {
	ID    string
	Again bool // it was in the group before, and is refused when it is no more
	member
}

// join lets a member in, or back in.
func (b *book) join(tx mover, now int64, j joining, tracks []track) error {
	have := b.members[j.ID]
	switch {
	case len(b.members) > 0 && b.protocol != protocol:
		return &parley.Error{Code: parley.Conflict, Field: "group", Detail: "the members of the group speak " + b.protocol, Fix: "join another group, or wait until it is empty"}
	case have == nil && j.Again:
		return b.known(j.ID, now)
	case have == nil && len(b.members) >= MaxMembers:
		return &parley.Error{Code: parley.Overloaded, Field: "group", Detail: "the group has " + strconv.Itoa(MaxMembers) + " members", Fix: "use another group, or fewer members", RetryAfter: 10 * time.Second}
	}
	if err := b.track(tx, true, tracks); err != nil {
		return err
	}
	if have == nil || !slices.Equal(have.topics, j.topics) || have.client != j.client || have.session != j.session || have.rebalance != j.rebalance {
		if err := tx.Move(encodeJoin(protocol, j.ID, &j.member)); err != nil {
			return err
		}
	}
	b.hear(j.ID, now)
	return b.back(tx, now, j.ID)
}

// track takes in the partitions that are new to the group.
func (b *book) track(tx mover, rebalance bool, list []track) error {
	list = slices.DeleteFunc(slices.Clone(list), func(t track) bool { return b.parts[t.Number] != nil })
	if len(list) == 0 {
		return nil
	}
	if len(b.parts)+len(list) > MaxPartitions {
		return &parley.Error{Code: parley.Unprocessable, Field: "topics", Detail: "the group would have places in more than " + strconv.Itoa(MaxPartitions) + " partitions", Fix: "name fewer topics, or use several groups"}
	}
	return tx.Move(encodeTrack(rebalance, list))
}

// back notes that a member has come back, if it is waited for, and goes on if it
// was the last.
func (b *book) back(tx mover, now int64, id string) error {
	err := b.settle(tx, now) // begins the rebalance, if there is to be one
	if err == nil && b.pending {
		b.ready[id] = true
		err = b.settle(tx, now)
	}
	return err
}

// sync is a member that asks for events: what it was given before is worked off.
func (b *book) sync(tx mover, now int64, id string, generation uint64) error {
	if err := b.known(id, now); err != nil {
		return err
	}
	if generation > b.generation {
		return b.past(generation)
	}
	return b.back(tx, now, id)
}

// past is the error of a generation that is not the present one.
func (b *book) past(generation uint64) error {
	return &parley.Error{
		Code: parley.Conflict, Field: "generation", Detail: "the group is at generation " + strconv.FormatUint(b.generation, 10) + ", not " + strconv.FormatUint(generation, 10),
		Fix: "ask for events, which tells the generation and what is assigned now, and go on from there",
	}
}

// leave takes a member out.
func (b *book) leave(tx mover, now int64, id string) error {
	if err := b.known(id, now); err != nil {
		return err
	}
	return b.drop(tx, now, []string{id})
}

// drop takes members out and goes on without them.
func (b *book) drop(tx mover, now int64, ids []string) error {
	if len(ids) == 0 {
		return b.settle(tx, now)
	}
	slices.Sort(ids)
	if err := tx.Move(encodeLeave(ids)); err != nil {
		return err
	}
	for _, id := range ids {
		delete(b.sessions, id)
		delete(b.ready, id)
	}
	b.version++
	b.note(b.retires())
	return b.settle(tx, now)
}

// settle begins a rebalance that is to be, and ends one that nobody is waited for
// in any more.
func (b *book) settle(tx mover, now int64) error {
	if !b.pending {
		b.deadline = 0
		clear(b.ready)
		return nil
	}
	if b.deadline == 0 {
		b.deadline = now
		for _, m := range b.members {
			b.deadline = max(b.deadline, now+m.rebalance)
		}
		clear(b.ready)
		b.note(b.deadline)
		b.version++
	}
	if len(b.ready) < len(b.members) {
		return nil
	}
	if err := tx.Move(encodeGeneration(b.plan())); err != nil {
		return err
	}
	b.deadline = 0
	clear(b.ready)
	b.version++
	return nil
}

// plan decides who reads what next: for each member, by id, the partitions.
func (b *book) plan() [][]uint64 {
	ids, numbers := b.ids(), b.numbers()
	topics := make(map[string]int)
	p := plan{members: len(ids)}
	for _, n := range numbers {
		at := b.parts[n]
		t, known := topics[at.topic]
		if !known {
			t = len(p.wants)
			topics[at.topic] = t
			p.wants = append(p.wants, b.wanting(ids, at.topic))
		}
		s := share{topic: t, owner: nobody}
		if i, there := slices.BinarySearch(ids, at.owner); there {
			s.owner = i
		}
		p.parts = append(p.parts, s)
	}
	p.balance()
	lists := make([][]uint64, len(ids))
	for i, s := range p.parts {
		if s.owner != nobody {
			lists[s.owner] = append(lists[s.owner], numbers[i])
		}
	}
	return lists
}

// wanting gives the indexes of the members that want a topic.
func (b *book) wanting(ids []string, name string) (list []int) {
	for i, id := range ids {
		if b.members[id].wants(name) {
			list = append(list, i)
		}
	}
	return list
}

// expire gives up who was silent for too long, and who did not come back in time.
// It says whether the group itself is to be given up, and says so again, since that
// can fail, until it is gone or somebody is in it.
func (b *book) expire(tx mover, now int64) (retired bool, err error) {
	if b.next == 0 || now < b.next {
		return false, nil
	}
	var late []string
	for id := range b.members {
		if b.sessions[id] <= now || b.deadline != 0 && b.deadline <= now && !b.ready[id] {
			late = append(late, id)
		}
	}
	if err := b.drop(tx, now, late); err != nil {
		return false, err
	}
	b.next = 0
	b.note(b.deadline)
	if retired = b.unused(now); retired {
		b.note(now + retireAgain)
	} else {
		b.note(b.retires())
	}
	for _, until := range b.sessions {
		b.note(until)
	}
	return retired, nil
}

// clearAll forgets the group, its members included.
func (b *book) clearAll(tx mover) error {
	if err := tx.Move([]byte{moveClear}); err != nil {
		return err
	}
	clear(b.sessions)
	clear(b.ready)
	b.deadline = 0
	b.version++
	return nil
}

// commit moves places on. Without a member it is for a group that has none.
func (b *book) commit(tx mover, now int64, id string, generation uint64, list []place) error {
	switch {
	case id == "" && len(b.members) > 0:
		return &parley.Error{Code: parley.Conflict, Field: "member", Detail: "the group has members: only they commit", Fix: "send member and generation, or move the group with seek"}
	case id != "":
		if err := b.known(id, now); err != nil {
			return err
		}
		if generation != b.generation {
			return b.past(generation)
		}
	}
	var moved []place
	for _, at := range list {
		p := b.parts[at.Number]
		switch {
		case p == nil:
			return unknownPart(at.Number)
		case p.owner != id:
			return &parley.Error{Code: parley.Conflict, Field: "positions", Detail: p.name() + " is not assigned to the member in this generation", Fix: "commit only what is assigned"}
		case p.behind(at):
			return &parley.Error{Code: parley.Conflict, Field: "positions", Detail: p.name() + " is committed up to " + strconv.FormatInt(int64(p.at), 10) + " already, which is beyond " + strconv.FormatInt(int64(at.At), 10), Fix: "go on from there; seek takes a group back"}
		case p.at != at.At || p.epoch != at.Epoch && at.Epoch != 0 || p.committed == 0:
			moved = append(moved, at)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return tx.Move(encodeCommit(moved))
}

// seek moves places anywhere. Members that have one of them begin anew, in a new
// generation: what they still commit of the present one is refused.
func (b *book) seek(tx mover, list []track) error {
	if err := b.track(tx, true, list); err != nil {
		return err
	}
	places, anew := make([]place, len(list)), false
	for i, t := range list {
		places[i] = t.place
		anew = anew || b.parts[t.Number].owner != ""
	}
	if err := tx.Move(encodeSeek(anew, places)); err != nil {
		return err
	}
	b.version++
	return nil
}

// change takes in that partitions came, or are gone. The latter make room for the
// former.
func (b *book) change(tx mover, now int64, came []track, gone []uint64) error {
	gone = slices.DeleteFunc(gone, func(n uint64) bool { return b.parts[n] == nil })
	if len(gone) > 0 {
		if err := tx.Move(encodeForget(gone)); err != nil {
			return err
		}
	}
	var wanted []track
	for _, t := range came {
		if b.wantedByAny(t.Topic) && len(b.parts)+len(wanted) < MaxPartitions {
			wanted = append(wanted, t)
		}
	}
	if err := b.track(tx, true, wanted); err != nil {
		return err
	}
	return b.settle(tx, now)
}

func (b *book) wantedByAny(name string) bool {
	for m := range maps.Values(b.members) {
		if m.wants(name) {
			return true
		}
	}
	return false
}

// rebalancing says whether a member is waited for.
func (b *book) rebalancing(id string) bool { return b.pending && !b.ready[id] }

func unknownPart(n uint64) error {
	return &parley.Error{Code: parley.Conflict, Field: "positions", Detail: "stream " + strconv.FormatUint(n, 10) + " is not one of the group's partitions", Fix: "commit only what is assigned"}
}

func (p *part) name() string { return p.topic + "/" + strconv.Itoa(p.index) }
