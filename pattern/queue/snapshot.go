package queue

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"maps"
	"slices"

	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// Records of a snapshot. Each part is a whole number of records, each with its
// letter before it.
const (
	snapHead  = 'h' // settings, paused, next, floor, records, enqueued, done
	snapMark  = 'm' // at, records
	snapRun   = 'r' // priority, first, step, n
	snapEntry = 'e' // see appendEntry
	snapDup   = 'd' // id, of
	snapEnd   = 'z' // id, stream number, position
	snapFed   = 'f' // pattern, cursor
	snapSched = 's' // updated, ran, done, JSON
)

// Snapshot implements journal.Machine. All of it is encoded at once; a backlog of
// jobs in their initial state is a few bytes.
func (m *machine) Snapshot() iter.Seq[[]byte] {
	var parts [][]byte
	part, err := m.appendHead(nil)
	if err != nil {
		return refusedSnapshot
	}
	cut := func() {
		if len(part) > journal.MaxPart-largestRecord {
			parts, part = append(parts, part), nil
		}
	}
	for _, k := range m.marks {
		part = appendID(appendID(append(part, snapMark), k.at), k.records)
		cut()
	}
	for c := range m.fresh {
		for _, r := range m.fresh[c].runs {
			prio := mark8(class(c).prio(), class(c).terms())
			part = appendID(appendID(appendID(append(part, snapRun, prio), r.first), r.step), r.n)
			cut()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		part = m.entries[id].append(append(part, snapEntry), id)
		cut()
	}
	for _, id := range m.dups.order {
		part = appendID(appendID(append(part, snapDup), id), m.dups.of[id])
		cut()
	}
	for _, id := range m.ends.order {
		e := m.ends.of[id]
		part = appendID(appendID(appendID(append(part, snapEnd), id), int64(e.number)), e.at)
		cut()
	}
	for _, pattern := range slices.Sorted(maps.Keys(m.fed)) {
		part = appendText(appendText(append(part, snapFed), pattern), m.fed[pattern])
		cut()
	}
	for _, name := range slices.Sorted(maps.Keys(m.schedules)) {
		s := m.schedules[name]
		text, err := s.text()
		if err != nil {
			return refusedSnapshot
		}
		part = appendText(appendID(appendID(appendID(append(part, snapSched), s.updated), s.ran), s.done), text)
		cut()
	}
	parts = append(parts, part)
	return slices.Values(parts)
}

func refusedSnapshot(yield func([]byte) bool) { yield([]byte{0}) }

// largestRecord bounds one record: an entry with all its texts.
const largestRecord = 64 << 10

func (m *machine) appendHead(b []byte) ([]byte, error) {
	settings, err := json.Marshal(m.settings)
	if err != nil {
		return nil, err
	}
	b = appendText(append(b, snapHead), string(settings))
	paused := int64(0)
	if m.paused {
		paused = 1
	}
	for _, v := range []int64{paused, m.next, m.floor, m.records, m.enqueued, m.done} {
		b = appendID(b, v)
	}
	return b, nil
}

func (e *entry) append(b []byte, id int64) []byte {
	b = appendID(appendID(appendID(b, id), e.place), e.due)
	b = binary.AppendUvarint(append(b, mark8(e.prio, e.unread), byte(e.phase)), uint64(e.attempts))
	key := ""
	if e.group != nil {
		key = e.group.key
	}
	b = appendText(b, key)
	r := e.more
	if r == nil {
		return append(b, 0)
	}
	flag := byte(1)
	if r.untold {
		flag = 2
	}
	if r.terms != nil {
		flag += 2
	}
	b = appendText(appendText(append(b, flag), r.unique), r.reason)
	b = appendID(binary.AppendUvarint(b, uint64(r.deaths)), r.died)
	b = binary.AppendUvarint(b, uint64(len(r.history)))
	for _, a := range r.history {
		b = appendText(binary.AppendUvarint(b, uint64(a.Number)), a.Worker)
		ended := int64(0)
		if !a.Ended.IsZero() {
			ended = a.Ended.UnixMilli()
		}
		b = appendText(appendID(appendID(b, a.Began.UnixMilli()), ended), a.Cause)
	}
	if r.terms != nil {
		b = appendText(b, r.terms.text())
	}
	return b
}

// Restore implements journal.Machine.
func (m *machine) Restore(parts iter.Seq[[]byte]) error {
	m.reset()
	for part := range parts {
		d := decoder{b: part}
		for len(d.b) > 0 && !d.bad && d.err == nil {
			m.restore(&d)
		}
		if d.bad || d.err != nil {
			return damaged("'s snapshot cannot be read")
		}
	}
	return nil
}

func (m *machine) restore(d *decoder) {
	switch d.byte() {
	case snapHead:
		m.restoreHead(d)
	case snapMark:
		m.marks = append(m.marks, mark{d.small(), d.small()})
	case snapRun:
		p, terms := cut8(d.byte())
		r := run{d.id(), d.id(), d.id()}
		if d.bad || p > MaxPriority || r.n > 1 && r.step > (1<<61)/r.n {
			d.bad = true
			return
		}
		f := &m.fresh[classOf(p, terms)]
		f.runs, f.n = append(f.runs, r), f.n+r.n
	case snapEntry:
		m.restoreEntry(d)
	case snapDup:
		if id, of := d.id(), d.id(); !d.bad {
			m.dups.add(id, of)
		}
	case snapEnd:
		if id, e := d.id(), d.end(); !d.bad {
			m.ends.add(id, e)
		}
	case snapFed:
		if pattern, cursor := d.text(topic.MaxName), d.text(maxCursor); !d.bad {
			m.feed(pattern, cursor)
		}
	case snapSched:
		updated, ran, done := d.time(), d.time(), d.time()
		if s := d.schedule(); !d.bad && d.err == nil {
			m.putSchedule(s, updated)
			s.ran, s.done = ran, done
		}
	default:
		d.bad = true
	}
}

func (m *machine) restoreHead(d *decoder) {
	text := d.text(64 << 10)
	paused := d.small()
	for _, v := range []*int64{&m.next, &m.floor, &m.records, &m.enqueued, &m.done} {
		*v = d.small()
	}
	if d.bad {
		return
	}
	var s Settings
	if d.err = s.parse([]byte(text), false); d.err == nil {
		m.settings, d.err = s.Defaults()
	}
	m.paused = paused == 1
}

func (m *machine) restoreEntry(d *decoder) {
	id := d.id()
	e := &entry{place: d.id(), due: d.time()}
	e.prio, e.unread = cut8(d.byte())
	p := phase(d.byte())
	e.attempts = uint32(d.small())
	key := d.text(MaxKey)
	if flag := d.byte(); flag > 0 {
		r := e.rest()
		r.untold = flag == 2 || flag == 4
		d.bad = d.bad || flag > 4
		r.unique, r.reason, r.deaths, r.died = d.text(MaxKey), d.text(MaxCause), uint32(d.small()), d.time()
		for n := d.small(); n > 0 && !d.bad; n-- {
			a := Attempt{Number: int(d.small()), Worker: d.text(MaxWorker), Began: timeOf(d.time())}
			if ended := d.time(); ended != 0 {
				a.Ended = timeOf(ended)
			}
			a.Cause = d.text(MaxCause)
			r.history = append(r.history, a)
		}
		if flag > 2 {
			r.terms = d.terms()
		}
	}
	if p == phaseDead {
		e.rest()
	}
	if d.bad || p >= stateCount || e.prio > MaxPriority || m.entries[id] != nil {
		d.bad = true
		return
	}
	switch {
	case key != "" && p == phaseDead:
		e.group = &group{key: key} // it joins the living when it is redriven
	case key != "":
		m.join(id, e, key)
		if p == phaseLeased {
			e.group.out = id
		}
	}
	if e.more != nil && e.more.unique != "" && p != phaseDead {
		m.unique[e.more.unique] = id
	}
	if e.more != nil && e.more.untold {
		m.untold++
	}
	m.add(id, e, p)
}
