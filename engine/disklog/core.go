package disklog

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// core is the log between two recoveries. When the disk fails, a new one is
// made from what is there and takes the old one's place.
//
// Three locks, taken in this order: maint, a semaphore, orders those who change
// segments and the meta file; pub guards what is published, mu what is decided.
// The latter two are never held over I/O.
type core struct {
	log *Log
	decided
	published
	layout
	flush  flushQueue
	failed chan struct{} // closed with phase broken
}

// decided is the state after every Append that was let in.
type decided struct {
	mu      sync.Mutex
	phase   phase
	cause   error // of phase broken
	byName  map[parley.Stream]*stream
	epoch   uint32   // last one given
	number  uint64   // last stream number given
	appends uint64   // counts Appends, for stream.plan
	seq     uint64   // last group begun
	waiters int      // of changed
	queue   []*group // begun and not yet taken by the writer; the last may grow
	queued  int64    // bytes in queue
	arena   arena
	space

	changed chan struct{} // closed when whoever waits in admit should try again
	kick    chan struct{} // the writer has work
}

// space is where groups go. It is guarded by mu too.
type space struct {
	file   *walFile
	off    int64         // where the next group begins in file
	next   *walFile      // prepared, to follow file
	want   int64         // size that the next file must have
	stuck  error         // why there is no next file: Full or Unavailable; nil = one is coming
	gen    uint64        // last generation given
	hungry chan struct{} // the preparer has work
}

// published is what became visible.
type published struct {
	pub      sync.Mutex
	streams  map[uint64]*stream // created and not removed before the last checkpoint
	garbage  []*segment         // dropped, to be deleted
	pins     int                // snapshots that read segments: nothing is deleted
	free     []*walFile         // to be used again
	sealed   []*walFile         // whole and flushed, waiting for their segments
	laid     uint64             // generation up to which all lies in segments
	layDone  chan struct{}      // closed and made anew when a log file was laid out
	readable sync.Map           // parley.Stream → *stream: what is visible; needs no lock
}

// layout is for those who make segments.
type layout struct {
	maint   chan struct{} // a semaphore of one
	meta    *meta         // the last one saved; of whoever holds maint
	segment atomic.Uint64 // last segment id given
	adopted uint64        // newest generation that the recovery found something in
	toLay   chan struct{} // the segment writer has work
}

func newCore(l *Log) *core {
	c := &core{log: l, failed: make(chan struct{})}
	c.byName, c.streams = make(map[parley.Stream]*stream), make(map[uint64]*stream)
	c.changed, c.layDone = make(chan struct{}), make(chan struct{})
	for _, ch := range []*chan struct{}{&c.kick, &c.hungry, &c.toLay, &c.maint, &c.flush.kick} {
		*ch = make(chan struct{}, 1)
	}
	c.flush.synced.Store(&place{})
	return c
}

// phase is where in its life the core is.
type phase uint8

const (
	waiting phase = iota // for Run
	running
	broken // the disk failed; Run is about to recover
	closed
)

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// change wakes everybody who waits in admit. The caller holds mu.
func (c *core) change() {
	if c.waiters > 0 {
		c.waiters = 0
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// later gives what closes when it is time to try again. The caller holds mu.
func (c *core) later() <-chan struct{} {
	c.waiters++
	return c.changed
}

// setPhase moves on in life.
func (c *core) setPhase(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != broken || p == closed {
		c.phase = p
	}
	c.change()
}

// usable says whether the core takes appends now: nil, an error, or a channel to
// wait on. The caller holds mu.
func (c *core) usable() (<-chan struct{}, error) {
	switch c.phase {
	case waiting:
		return c.later(), nil
	case broken:
		return nil, unavailable("the disk failed; the log is being recovered")
	case closed:
		return nil, errClosed
	}
	if since := c.flush.syncing.Load(); since != 0 && c.log.since()-time.Duration(since) > stalledSync {
		return nil, unavailable("the disk does not answer")
	}
	return nil, nil
}

// admit decides an Append and places it in a group, or says why not.
func (c *core) admit(j *job) ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait, err := c.usable(); wait != nil || err != nil {
		return ticket{wait: wait, err: err}
	}
	if len(j.writes) == 1 && j.writes[0].Once != (parley.Key{}) {
		if t, ok := c.repeated(j); ok {
			return t
		}
	}
	sts := j.few[:0]
	created := 0
	for i := range j.writes {
		st := c.stream(j.writes[i].Stream)
		if st.number == 0 && !j.writes[i].Batch.IsZero() {
			created += 2 * createFrame(st.name)
		}
		sts = append(sts, st)
	}
	j.sts = sts
	defer c.dropEmpty(sts)
	if t, ok := c.decide(j); !ok {
		return t
	}
	level := c.levelOf(j)
	if j.count == 0 { // guards only
		return ticket{on: newestSignal(sts)}
	}
	frames := j.count
	if created > 0 {
		frames *= 3 // two more for each at most
	}
	g, wait, err := c.room(j.size+int64(created), frames, false)
	if g == nil {
		return ticket{wait: wait, err: err}
	}
	for i := range j.writes {
		if !j.writes[i].Batch.IsZero() {
			c.place(g, j, i, level)
		}
	}
	g.appends++
	poke(c.kick)
	if level == Fsync {
		g.needSync = true
		return ticket{on: g.fate.durable, sent: true}
	}
	return ticket{on: g.fate.written, sent: true}
}

// decide makes all comparisons and gives each write its position. ok false comes
// with the ticket of an Append that goes no further.
func (c *core) decide(j *job) (t ticket, ok bool) {
	c.appends++
	for i := range j.writes {
		w, st := &j.writes[i], j.sts[i]
		if err := st.view.Load().quarantined(st.name); err != nil {
			return ticket{err: err}, false
		}
		p := &st.plan
		if p.append != c.appends {
			*p = plan{c.appends, st.newest, max(st.next, 1)}
		}
		if !holds(w.Expect, p.newest) {
			// What it lost against must be there to be read when it is told.
			return ticket{err: conflict(w, p.newest), on: st.pendingLast()}, false
		}
		if !w.Batch.IsZero() {
			p.newest = p.next
			p.next += parley.Position(w.Batch.Span())
		}
		j.out[i].Base = p.newest
	}
	return ticket{}, true
}

// pendingLast gives what to wait for until the newest decided change is visible;
// nil when it is.
func (st *stream) pendingLast() *signal {
	if s := st.last.at(st.lastLevel); s.pending() {
		return s
	}
	return nil
}

// repeated answers an Append whose Once key was met before.
func (c *core) repeated(j *job) (ticket, bool) {
	st := c.byName[j.writes[0].Stream]
	if st == nil || st.once.Len() == 0 || st.view.Load().quarantined(st.name) != nil {
		return ticket{}, false
	}
	st.once.Prune(c.log.since(), window)
	first, ok := st.once.Get(j.writes[0].Once)
	if !ok {
		return ticket{}, false
	}
	j.out[0] = parley.Appended{Base: first, Repeat: true}
	return ticket{on: st.pendingLast()}, true
}

// levelOf gives the level of an Append: that of its streams, but Fsync where one
// of them has a change at Fsync under way, which must become visible before.
func (c *core) levelOf(j *job) Level {
	if j.level == Fsync {
		return Fsync
	}
	for _, st := range j.sts {
		if st.lastSync.at(Fsync).pending() {
			return Fsync
		}
	}
	return OS
}

// newestSignal gives what to wait for until all that was decided for the
// streams is visible.
func newestSignal(sts []*stream) *signal {
	var last *fate
	level := OS
	for _, st := range sts {
		if st.pendingLast() == nil {
			continue
		}
		if last == nil || st.last.seq > last.seq {
			last = st.last
		}
		level = min(level, st.lastLevel)
	}
	return last.at(level)
}

// stream finds a stream, or makes a place for one; see dropEmpty.
func (c *core) stream(name parley.Stream) *stream {
	st := c.byName[name]
	if st == nil {
		st = &stream{name: name}
		c.byName[name] = st
	}
	return st
}

// dropEmpty forgets streams that nothing was placed for.
func (c *core) dropEmpty(sts []*stream) {
	for _, st := range sts {
		if st.number == 0 {
			delete(c.byName, st.name)
		}
	}
}

func createFrame(s parley.Stream) int { return frameHeader + 5 + len(s.Namespace) + len(s.Name) }

// place puts one decided write into a group.
func (c *core) place(g *group, j *job, i int, level Level) {
	w, st, base := &j.writes[i], j.sts[i], j.out[i].Base
	if st.number == 0 {
		c.create(g, st, level)
	}
	var buf []byte
	if j.frames != nil && j.frames[i] != nil {
		buf, j.frames[i] = j.frames[i], nil
	} else {
		buf = c.arena.take(batchFrame(w))
		fillBatch(buf, w)
	}
	o := op{st: st, kind: kindBatch, level: level, frame: buf, key: w.Once}
	flags := byte(0)
	if level == OS {
		flags = flagOS
	}
	at := frameHeader
	if w.Once != (parley.Key{}) {
		flags |= flagKey
		at += keyBytes
		st.once.Add(w.Once, base, c.log.since(), window)
	}
	putFrame(buf, kindBatch, flags, st.number)
	body := buf[at:len(buf):len(buf)]
	parley.SetBase(body, base, st.epoch)
	o.batch, _, _ = parley.CutBatch(body) // its shape was checked
	st.newest, st.next = base, base+parley.Position(w.Batch.Span())
	c.put(g, o)
}

// create gives a stream its number and places its first frames.
func (c *core) create(g *group, st *stream, level Level) {
	c.number++
	c.epoch++
	st.number, st.epoch = c.number, c.epoch
	for range 2 { // a name that is lost could be taken for that of an empty stream
		buf := c.arena.take(createFrame(st.name))
		appendCreate(buf[:frameHeader], st.epoch, st.name)
		putFrame(buf, kindCreate, 0, st.number)
		c.put(g, op{st: st, kind: kindCreate, level: level, frame: buf})
	}
}

// put appends an op to a group.
func (c *core) put(g *group, o op) {
	g.ops = append(g.ops, o)
	g.atOS = g.atOS || o.level == OS
	g.bytes += int64(len(o.frame))
	c.queued += int64(len(o.frame))
	o.st.last, o.st.lastLevel = g.fate, o.level
	if o.level == Fsync {
		o.st.lastSync = g.fate
	}
}
