package queue

import (
	"slices"

	"github.com/parleyhq/parley/base/journal"
)

// machine is the rules of the queue: which jobs there are, and where each is in
// its life. It is the fold of its moves. Leases themselves are not part of it
// (see leases): a job is leased in the fold, but by whom and until when only its
// owner knows.
//
// A job in its initial state (ready, never tried, with neither a key nor Unique)
// is a number in a run. All others are entries. Numbers are positions in the jobs
// stream, and stay when compaction copies a job forward: its entry then has
// another place.
type machine struct {
	settings Settings
	paused   bool
	next     int64 // the jobs stream is taken in up to here
	floor    int64 // the jobs stream is not needed below
	records  int64 // taken in at or above floor, as far as marks tell
	marks    []mark

	fresh   [classes]ready
	entries map[int64]*entry
	groups  map[string]*group
	unique  map[string]int64
	dups    duplicates
	ends    ends

	schedules map[string]*schedule
	fed       map[string]string // cursors, by the patterns of the settings

	counts   [stateCount]int64 // of entries
	untold   int64             // dead ones that are not yet published
	enqueued int64
	done     int64

	thrift thrift

	ended func(id int64) // is told of each job that ends; nil: nobody is

	spare spare

	// What follows is derived.
	offers  [MaxPriority + 1]index // ready entries that may be leased, by id
	resting index                  // delayed entries, by due
}

// phase is an entry's state. Whether a waiting job is ready or delayed is known
// only together with the time: promote moves it from one to the other.
type phase uint8

const (
	phaseReady phase = iota
	phaseDelayed
	phaseLeased
	phaseDead
	stateCount
)

func (p phase) state() State { return [...]State{Ready, Delayed, Leased, Dead}[p] }

// entry is a job that is not in its initial state.
type entry struct {
	place    int64 // where its event is in the jobs stream
	due      int64 // in milliseconds: when it is, or became, ready; 0 = at once
	group    *group
	more     *more // nil: nothing of it
	attempts uint32
	prio     uint8
	phase    phase
	offered  bool // it is in offers
	unread   bool // its event holds terms that were not read yet: nobody had it so far
}

// more is what only some entries have.
type more struct {
	unique  string
	terms   *terms // nil: the queue's settings hold
	history []Attempt
	reason  string
	died    int64 // in milliseconds
	deaths  uint32
	untold  bool // dead, and not yet published
}

func (e *entry) rest() *more {
	if e.more == nil {
		e.more = new(more)
	}
	return e.more
}

// group is the live jobs of one key.
type group struct {
	key string
	ids []int64 // ascending; the leased one is among them
	out int64   // the one that is leased, or 0
}

// mark tells how many records the jobs stream has below a position.
type mark struct{ at, records int64 }

// thrift is when space is won back. Tests are more eager than the default.
type thrift struct {
	every  int   // jobs that come or go between two looks, at least
	sparse int64 // records that are kept before survivors are copied
	marks  int64 // records between two marks
}

var defaultThrift = thrift{every: 4096, sparse: 8192, marks: 1024}

func newMachine() *machine {
	m := &machine{thrift: defaultThrift}
	m.reset()
	return m
}

// reset makes the state in which no move was ever made.
func (m *machine) reset() {
	settings, _ := Settings{}.Defaults()
	*m = machine{thrift: m.thrift, ended: m.ended, settings: settings, entries: make(map[int64]*entry), groups: make(map[string]*group), unique: make(map[string]int64)}
	for p := range m.offers {
		m.offers[p].valid = func(i item) bool {
			e := m.entries[i.id]
			if e != nil && int(e.prio) == p && e.eligible(i.id) {
				return true
			}
			if e != nil {
				e.offered = false // it is dropped: whoever finds it eligible again offers it anew
			}
			return false
		}
	}
	m.resting.valid = func(i item) bool {
		e := m.entries[i.id]
		return e != nil && e.phase == phaseDelayed && e.due == i.key
	}
}

// Apply implements journal.Machine.
func (m *machine) Apply(v journal.Move) error {
	change, err := m.decode(v.Data)
	if err != nil {
		return err
	}
	now := v.Time.UnixMilli()
	m.promote(now)
	change(now)
	return nil
}

// promote makes the delayed jobs ready whose time has come.
func (m *machine) promote(now int64) {
	for {
		i, some := m.resting.first()
		if !some || i.key > now {
			return
		}
		m.resting.pop()
		m.enter(i.id, m.entries[i.id], phaseReady)
	}
}

// add makes an entry of a job that has none.
func (m *machine) add(id int64, e *entry, p phase) {
	m.entries[id] = e
	e.phase = p
	m.counts[p]++
	m.index(id, e)
}

// enter moves an entry into a phase.
func (m *machine) enter(id int64, e *entry, p phase) {
	m.counts[e.phase]--
	m.counts[p]++
	e.phase = p
	m.index(id, e)
}

// index files an entry by what it is.
func (m *machine) index(id int64, e *entry) {
	switch e.phase {
	case phaseReady:
		m.offer(id, e)
	case phaseDelayed:
		m.resting.push(e.due, id)
		m.resting.tidy(int(m.counts[phaseDelayed]))
	case phaseLeased, phaseDead:
	}
}

// eligible says that nothing but the limits of the queue keeps a job back.
func (e *entry) eligible(id int64) bool {
	return e.phase == phaseReady && (e.group == nil || e.group.out == 0 && e.group.ids[0] == id)
}

// offer files a job under those that may be leased, if it may.
func (m *machine) offer(id int64, e *entry) {
	if e.eligible(id) && !e.offered {
		e.offered = true
		m.offers[e.prio].push(0, id)
		m.offers[e.prio].tidy(int(m.counts[phaseReady]))
	}
}

// live gives the entry of a job, and makes one, which is not offered, for a job
// that has none. nil: there is no such job.
func (m *machine) live(id int64) *entry {
	if e := m.entries[id]; e != nil {
		return e
	}
	for c := range m.fresh {
		if m.fresh[c].n > 0 && m.fresh[c].take(id) {
			e := m.spare.entry()
			e.place, e.prio, e.unread = id, class(c).prio(), class(c).terms()
			m.entries[id] = e
			m.counts[phaseReady]++
			return e
		}
	}
	return nil
}

// phaseOf tells where a job is; false: there is no such job.
func (m *machine) phaseOf(id int64) (phase, bool) {
	if e := m.entries[id]; e != nil {
		return e.phase, true
	}
	if m.initial(id) {
		return phaseReady, true
	}
	return 0, false
}

// initial says that a job is in its initial state.
func (m *machine) initial(id int64) bool {
	for c := range m.fresh {
		if m.fresh[c].n > 0 && m.fresh[c].find(id) >= 0 {
			return true
		}
	}
	return false
}

// remove ends a job.
func (m *machine) remove(id int64) {
	e := m.live(id)
	m.release(id, e)
	if e.more != nil {
		m.tell(e, true)
	}
	m.counts[e.phase]--
	delete(m.entries, id)
	m.spare.keep(e)
	m.tellEnd(id)
}

func (m *machine) tellEnd(id int64) {
	if m.ended != nil {
		m.ended(id)
	}
}

// tell notes whether a dead job has still to be published.
func (m *machine) tell(e *entry, told bool) {
	if e.more.untold == told {
		e.more.untold = !told
		if told {
			m.untold--
		} else {
			m.untold++
		}
	}
}

// release takes a job out of what it shares with others: its group, and its
// claim to be the only one.
func (m *machine) release(id int64, e *entry) {
	if e.more != nil && m.unique[e.more.unique] == id {
		delete(m.unique, e.more.unique)
	}
	g := e.group
	if g == nil || e.phase == phaseDead {
		return
	}
	if i, found := slices.BinarySearch(g.ids, id); found {
		if i == 0 {
			g.ids = g.ids[1:]
		} else {
			g.ids = slices.Delete(g.ids, i, i+1)
		}
	}
	if g.out == id {
		g.out = 0
	}
	if len(g.ids) == 0 {
		delete(m.groups, g.key)
		return
	}
	m.offer(g.ids[0], m.entries[g.ids[0]])
}

// join puts a job into the group of its key.
func (m *machine) join(id int64, e *entry, key string) {
	g := m.groups[key]
	if g == nil {
		g = &group{key: key}
		m.groups[key] = g
	}
	e.group = g
	if n := len(g.ids); n == 0 || g.ids[n-1] < id {
		g.ids = append(g.ids, id)
		return
	}
	i, _ := slices.BinarySearch(g.ids, id)
	g.ids = slices.Insert(g.ids, i, id)
}

// attempt leases a job.
func (m *machine) attempt(id int64, worker string, now int64) {
	e := m.live(id)
	e.attempts++
	e.offered = false
	if e.more == nil {
		e.more = m.spare.more()
	}
	r := e.more
	if len(r.history) >= MaxHistory {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	r.history = append(r.history, Attempt{Number: int(e.attempts), Worker: worker, Began: timeOf(now)})
	if e.group != nil {
		e.group.out = id
	}
	m.enter(id, e, phaseLeased)
}

// end ends the attempt of a leased job.
func (e *entry) end(cause string, now int64) {
	if h := e.rest().history; len(h) > 0 {
		h[len(h)-1].Ended, h[len(h)-1].Cause = timeOf(now), cause
	}
}

// back makes a leased job wait again, at once or from due on.
func (m *machine) back(id, due int64, cause string, now int64) {
	e := m.entries[id]
	e.end(cause, now)
	if e.group != nil {
		e.group.out = 0
	}
	m.wait(id, e, due, now)
	if g := e.group; g != nil && g.ids[0] != id { // an older one came back meanwhile
		m.offer(g.ids[0], m.entries[g.ids[0]])
	}
}

// wait makes a job delayed or ready.
func (m *machine) wait(id int64, e *entry, due, now int64) {
	e.due, e.offered = due, false
	if due > now {
		m.enter(id, e, phaseDelayed)
		return
	}
	m.enter(id, e, phaseReady)
}

// die gives a leased job up.
func (m *machine) die(id int64, reason, cause string, now int64) {
	e := m.entries[id]
	e.end(cause, now)
	m.release(id, e)
	r := e.rest()
	r.reason, r.died = reason, now
	r.deaths++
	m.tell(e, false)
	m.enter(id, e, phaseDead)
	m.tellEnd(id)
}

// redrive makes a dead job ready, as if it had never been tried; it keeps its
// history. If another job has taken its Unique meanwhile, it goes on without.
func (m *machine) redrive(id, now int64) {
	e := m.entries[id]
	e.attempts = 0
	r := e.rest()
	r.reason, r.died = "", 0
	m.tell(e, true)
	if r.unique != "" {
		if _, taken := m.unique[r.unique]; taken {
			r.unique = ""
		} else {
			m.unique[r.unique] = id
		}
	}
	if e.group != nil {
		m.join(id, e, e.group.key)
	}
	m.wait(id, e, 0, now)
}

// exhausted says that a job is not tried again. A job whose terms were not read
// reached no worker, however often it was leased.
func (m *machine) exhausted(e *entry) bool {
	most := m.settings.MaxAttempts
	if t := e.terms(); t != nil && t.MaxAttempts != 0 {
		most = t.MaxAttempts
	}
	return !e.unread && most != Unlimited && int(e.attempts) >= most
}

// recall ends all leases: their owner is gone.
func (m *machine) recall(now int64) {
	var out []int64
	for id, e := range m.entries {
		if e.phase == phaseLeased {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	for _, id := range out {
		if e := m.entries[id]; m.exhausted(e) {
			m.die(id, exhaustedBy(OwnerChanged), OwnerChanged, now)
		} else {
			m.back(id, 0, OwnerChanged, now)
		}
	}
}

func exhaustedBy(cause string) string {
	if cause == "" {
		return "too many attempts"
	}
	return clip("too many attempts; the last: "+cause, MaxCause)
}

// purge removes all jobs of the given phases.
func (m *machine) purge(phases [stateCount]bool) {
	if phases[phaseReady] {
		for p := range m.fresh {
			m.fresh[p].clear()
		}
	}
	var out []int64
	for id, e := range m.entries {
		if phases[e.phase] && e.phase != phaseLeased {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	slices.Reverse(out) // so that a group's next job is not offered and removed in turn
	for _, id := range out {
		m.remove(id)
	}
}

// freshCount is the number of jobs in their initial state.
func (m *machine) freshCount() (n int64) {
	for p := range m.fresh {
		n += m.fresh[p].n
	}
	return n
}

// liveCount is the number of all jobs.
func (m *machine) liveCount() int64 { return m.freshCount() + int64(len(m.entries)) }
