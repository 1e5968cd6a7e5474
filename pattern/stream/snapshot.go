package stream

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// Records of a snapshot. Each part is a whole number of records, each with its
// letter before it.
const (
	snapHead   = 'h' // protocol, generation, pending, emptied
	snapMember = 'm' // id, member, joined
	snapPart   = 'p' // number, topic, index, at, epoch, committed, owner, since
)

// largestRecord bounds one record: a member with all its patterns.
const largestRecord = 64 << 10

// Snapshot implements journal.Machine. All of it is encoded at once: a group is
// small.
func (m *machine) Snapshot() iter.Seq[[]byte] {
	var parts [][]byte
	b := appendFlag(binary.AppendUvarint(appendText([]byte{snapHead}, m.protocol), m.generation), m.pending)
	b = appendInt(b, m.emptied)
	cut := func() {
		if len(b) > journal.MaxPart-largestRecord {
			parts, b = append(parts, b), nil
		}
	}
	for _, id := range m.ids() {
		who := m.members[id]
		b = appendInt(who.append(appendText(append(b, snapMember), id)), who.joined)
		cut()
	}
	for _, n := range m.numbers() {
		p := m.parts[n]
		b = appendInt(appendText(binary.AppendUvarint(append(b, snapPart), n), p.topic), p.index)
		b = appendInt(binary.AppendUvarint(appendInt(b, p.at), uint64(p.epoch)), p.committed)
		b = binary.AppendUvarint(appendText(b, p.owner), p.since)
		cut()
	}
	return slices.Values(append(parts, b))
}

// Restore implements journal.Machine.
func (m *machine) Restore(parts iter.Seq[[]byte]) error {
	m.reset()
	for data := range parts {
		d := decoder{b: data}
		for len(d.b) > 0 && !d.bad {
			m.restore(&d)
		}
		if d.bad {
			return damaged("its snapshot cannot be read")
		}
	}
	for _, p := range m.parts {
		if p.owner != "" && m.members[p.owner] == nil {
			return damaged("its snapshot names an owner that is no member")
		}
	}
	return nil
}

func (m *machine) restore(d *decoder) {
	kind := d.b[0]
	d.b = d.b[1:]
	switch kind {
	case snapHead:
		m.protocol, m.generation, m.pending, m.emptied = d.text(maxMember), d.number(), d.flag(), d.millis()
	case snapMember:
		id, who := d.text(maxMember), d.member()
		who.joined = d.millis()
		d.bad = d.bad || id == "" || m.members[id] != nil || len(m.members) == MaxMembers
		m.members[id] = who
	case snapPart:
		n := d.number()
		p := &part{topic: d.text(topic.MaxName), index: int(d.count(topic.MaxPartitions)), at: d.position(), epoch: d.epoch(), committed: d.millis()}
		p.owner, p.since = d.text(maxMember), d.number()
		d.bad = d.bad || m.parts[n] != nil || len(m.parts) == MaxPartitions
		m.parts[n] = p
	default:
		d.bad = true
	}
}
