package queue

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// The moves. Each begins with its letter; numbers are varints, texts have a
// length before them, lists of jobs ascend and are written as differences.
const (
	moveIntake     = 'i' // next, and what lies in between: see intake
	moveAttempt    = 'a' // id, worker
	moveAttempts   = 'A' // worker, ids of jobs in their initial state
	moveAck        = 'k' // ids
	moveBack       = 'b' // id, due, cause
	moveDie        = 'x' // id, reason, cause
	moveCancel     = 'c' // ids
	moveReschedule = 'r' // id, due
	moveRedrive    = 'v' // ids
	movePurge      = 'p' // a bit for each phase
	moveSettings   = 's' // JSON
	movePause      = 'u' // 1 or 0
	moveRecall     = 'l'
	moveFloor      = 'f' // position
	moveTold       = 't' // ids
	moveTerms      = 'q' // id, JSON
	moveAckWith    = 'd' // id, stream number, position

	movePutSchedule = 'S' // JSON
	moveEndSchedule = 'D' // name
	moveFed         = 'e' // pattern, cursor
	moveRan         = 'F' // name, the newest due time with a job, up to when all is done
)

// decode checks a move against the state and gives what makes it. Nothing has
// changed before that is called, and it cannot fail: this is where moves are
// refused.
func (m *machine) decode(data []byte) (func(now int64), error) {
	if len(data) == 0 {
		return nil, damaged("is empty")
	}
	d := decoder{b: data[1:]}
	change := m.decodeLeases(data[0], &d)
	if change == nil {
		change = m.decodeJobs(data[0], &d)
	}
	if change == nil {
		change = m.decodeQueue(data[0], &d)
	}
	if change == nil {
		change = m.decodeSchedules(data[0], &d)
	}
	switch {
	case d.bad || len(d.b) > 0:
		return nil, damaged("is cut short, too long or of impossible values")
	case d.err != nil:
		return nil, d.err
	case change == nil:
		return nil, parley.Errorf(parley.Unsupported, "a queue's move of the unknown kind %q: something newer wrote it", data[0])
	}
	return change, nil
}

// decodeLeases decodes what leasing and settling do to jobs.
func (m *machine) decodeLeases(kind byte, d *decoder) func(now int64) {
	switch kind {
	case moveAttempt:
		id, worker := d.id(), d.text(MaxWorker)
		d.job(m, id, phaseReady, phaseDelayed)
		if e := m.entries[id]; e != nil && e.group != nil && e.group.out != 0 {
			d.refuse(id, "stands behind a leased job of its key")
		}
		return func(now int64) { m.attempt(id, worker, now) }
	case moveAttempts:
		worker, ids := d.text(MaxWorker), d.ids()
		for _, id := range ids {
			if !d.bad && !m.initial(id) {
				d.refuse(id, "is not in its initial state")
			}
		}
		return func(now int64) {
			for _, id := range ids {
				m.attempt(id, worker, now)
			}
		}
	case moveAck:
		ids := d.jobs(m, phaseLeased)
		return func(int64) {
			m.done += int64(len(ids))
			m.removeAll(ids)
		}
	case moveBack:
		id, due, cause := d.id(), d.time(), d.text(MaxCause)
		d.job(m, id, phaseLeased)
		return func(now int64) { m.back(id, due, cause, now) }
	case moveDie:
		id, reason, cause := d.id(), d.text(MaxCause), d.text(MaxCause)
		d.job(m, id, phaseLeased)
		return func(now int64) { m.die(id, reason, cause, now) }
	case moveAckWith:
		id, e := d.id(), d.end()
		d.job(m, id, phaseLeased)
		return func(int64) { m.ackWith(id, e) }
	}
	return nil
}

// decodeJobs decodes what is done to jobs besides.
func (m *machine) decodeJobs(kind byte, d *decoder) func(now int64) {
	switch kind {
	case moveCancel:
		ids := d.jobs(m, phaseReady, phaseDelayed, phaseLeased)
		return func(int64) { m.cancel(ids) }
	case moveReschedule:
		id, due := d.id(), d.time()
		d.job(m, id, phaseReady, phaseDelayed)
		return func(now int64) { m.wait(id, m.live(id), due, now) }
	case moveTerms:
		id, t := d.id(), d.terms()
		d.job(m, id, phaseReady, phaseDelayed, phaseLeased, phaseDead)
		return func(int64) { m.know(id, t) }
	case moveRedrive:
		ids := d.jobs(m, phaseDead)
		return func(now int64) {
			for _, id := range ids {
				m.redrive(id, now)
			}
		}
	case moveTold:
		ids := d.jobs(m, phaseDead)
		return func(int64) {
			for _, id := range ids {
				m.tell(m.entries[id], true)
			}
		}
	}
	return nil
}

// decodeQueue decodes the moves of the queue as a whole.
func (m *machine) decodeQueue(kind byte, d *decoder) func(now int64) {
	switch kind {
	case moveIntake:
		return m.decodeIntake(d)
	case movePurge:
		bits := d.number()
		d.bad = d.bad || bits >= 1<<stateCount
		var phases [stateCount]bool
		for p := range phases {
			phases[p] = bits>>p&1 == 1
		}
		return func(int64) { m.purge(phases) }
	case moveSettings:
		var s Settings
		err := s.parse(d.b, false)
		if err == nil {
			s, err = s.Defaults()
		}
		d.b, d.err = nil, err
		return func(int64) { m.set(s) }
	case moveFed:
		pattern, cursor := d.text(topic.MaxName), d.text(maxCursor)
		if !d.bad && !slices.Contains(m.settings.Feed, pattern) {
			d.err = parley.Errorf(parley.Conflict, "the queue is not fed by %s", pattern)
		}
		return func(int64) { m.feed(pattern, cursor) }
	case movePause:
		on := d.number()
		d.bad = d.bad || on > 1
		return func(int64) { m.paused = on == 1 }
	case moveRecall:
		return func(now int64) { m.recall(now) }
	case moveFloor:
		at := d.id()
		d.bad = d.bad || at < m.floor || at > m.next
		return func(int64) { m.raise(at) }
	}
	return nil
}

// set changes the settings. Of a pattern that feeds the queue no more, the cursor
// goes.
func (m *machine) set(s Settings) {
	m.settings = s
	for pattern := range m.fed {
		if !slices.Contains(s.Feed, pattern) {
			delete(m.fed, pattern)
		}
	}
}

// maxCursor bounds the text of a cursor, in bytes.
const maxCursor = 8 << 10

func (m *machine) feed(pattern, cursor string) {
	if m.fed == nil {
		m.fed = make(map[string]string)
	}
	m.fed[pattern] = cursor
}

func encodeFed(pattern, cursor string) []byte {
	return appendText(appendText([]byte{moveFed}, pattern), cursor)
}

func (m *machine) removeAll(ids []int64) {
	for _, id := range ids {
		m.remove(id)
	}
}

func damaged(what string) error {
	return parley.Errorf(parley.Damaged, "a move of the queue %s", what)
}

// decoder reads a move or a part of a snapshot. After the first thing that is
// wrong, everything is zero.
type decoder struct {
	b   []byte
	bad bool
	err error // a move that is well formed and does not fit the state
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// small is a number that fits int64 with room to add two of them.
func (d *decoder) small() int64 {
	v := d.number()
	if v > math.MaxInt64/4 {
		d.bad = true
		return 0
	}
	return int64(v)
}

// id is a position, 1 or more.
func (d *decoder) id() int64 {
	v := d.small()
	d.bad = d.bad || v < 1
	return v
}

// time is milliseconds since 1970, before the year 10000.
func (d *decoder) time() int64 {
	v := d.small()
	if v > maxMillis {
		d.bad = true
		return 0
	}
	return v
}

const maxMillis = 253_402_300_799_999

func (d *decoder) text(limit int) string {
	n := d.number()
	if d.bad || n > uint64(limit) || n > uint64(len(d.b)) || !utf8.Valid(d.b[:n]) {
		d.bad = true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) byte() byte {
	if d.bad || len(d.b) == 0 {
		d.bad = true
		return 0
	}
	b := d.b[0]
	d.b = d.b[1:]
	return b
}

// ids reads ascending ids up to the end.
func (d *decoder) ids() (ids []int64) {
	last := int64(0)
	ids = make([]int64, 0, min(len(d.b), MaxSettle))
	for len(d.b) > 0 && !d.bad {
		last += d.id()
		d.bad = d.bad || last > math.MaxInt64/4
		ids = append(ids, last)
	}
	return ids
}

// jobs reads ids up to the end; each must be in one of the phases.
func (d *decoder) jobs(m *machine, in ...phase) []int64 {
	ids := d.ids()
	for _, id := range ids {
		d.job(m, id, in...)
	}
	return ids
}

// job wants a job to be in one of the phases.
func (d *decoder) job(m *machine, id int64, in ...phase) {
	if d.bad || d.err != nil {
		return
	}
	if p, there := m.phaseOf(id); !there {
		d.refuse(id, "is not in the queue")
	} else if !slices.Contains(in, p) {
		d.refuse(id, "is "+string(p.state()))
	}
}

func (d *decoder) refuse(id int64, why string) {
	if d.err == nil {
		d.err = parley.Errorf(parley.Conflict, "job %d %s", id, why)
	}
}

// The encoders.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendID(b []byte, id int64) []byte { return binary.AppendUvarint(b, uint64(id)) }

// encodeIDs sorts them.
func encodeIDs(kind byte, ids []int64) []byte {
	slices.Sort(ids)
	return appendIDs(append(make([]byte, 0, 8+2*len(ids)), kind), slices.Compact(ids))
}

func appendIDs(b []byte, ids []int64) []byte {
	last := int64(0)
	for _, id := range ids {
		b, last = appendID(b, id-last), id
	}
	return b
}

// encodeAttempts is of one job, or of several in their initial state that ascend.
func encodeAttempts(ids []int64, worker string) []byte {
	if len(ids) == 1 {
		return encodeAttempt(ids[0], worker)
	}
	worker = clip(worker, MaxWorker)
	return appendIDs(appendText(append(make([]byte, 0, 16+len(worker)+2*len(ids)), moveAttempts), worker), ids)
}

func encodeAttempt(id int64, worker string) []byte {
	return appendText(appendID([]byte{moveAttempt}, id), clip(worker, MaxWorker))
}

func encodeBack(id, due int64, cause string) []byte {
	return appendText(appendID(appendID([]byte{moveBack}, id), due), clip(cause, MaxCause))
}

func encodeDie(id int64, reason, cause string) []byte {
	b := appendText(appendID([]byte{moveDie}, id), clip(reason, MaxCause))
	return appendText(b, clip(cause, MaxCause))
}

func encodeReschedule(id, due int64) []byte {
	return appendID(appendID([]byte{moveReschedule}, id), due)
}

func encodePurge(phases ...phase) []byte {
	bits := uint64(0)
	for _, p := range phases {
		bits |= 1 << p
	}
	return binary.AppendUvarint([]byte{movePurge}, bits)
}

func encodeSettings(s Settings) ([]byte, error) {
	b, err := json.Marshal(s)
	return append([]byte{moveSettings}, b...), err
}

func encodePause(on bool) []byte {
	if on {
		return []byte{movePause, 1}
	}
	return []byte{movePause, 0}
}

// clip makes text valid UTF-8 of at most n bytes, cut between characters.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= n {
		return s
	}
	for s = s[:n]; !utf8.ValidString(s); {
		s = s[:len(s)-1]
	}
	return s
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }
