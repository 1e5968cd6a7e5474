package stream

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// The moves. Each begins with its letter; numbers are varints, texts have a
// length before them.
const (
	moveJoin       = 'j' // protocol, id, client, session, rebalance, topics
	moveLeave      = 'l' // ids
	moveTrack      = 't' // whether to rebalance, and partitions: number, topic, index, at, epoch
	moveForget     = 'f' // stream numbers
	moveGeneration = 'g' // for each member, by id: how many, and their stream numbers
	moveCommit     = 'c' // places: stream number, at, epoch
	moveSeek       = 's' // whether members begin anew, and places
	moveClear      = 'x'
)

// place is how far a partition is read.
type place struct {
	Number uint64          `json:"n"`
	At     parley.Position `json:"at"`
	Epoch  uint32          `json:"e,omitempty"`
}

// track is a partition that a group did not know.
type track struct {
	place
	Topic string `json:"t"`
	Index int    `json:"i"`
}

// decode checks a move against the state and gives what makes it. Nothing has
// changed before that is called, and it cannot fail.
func (m *machine) decode(data []byte) (func(now int64), error) {
	if len(data) == 0 {
		return nil, damaged("a move is empty")
	}
	d := decoder{b: data[1:]}
	change := m.decodeMembers(data[0], &d)
	if change == nil {
		change = m.decodePlaces(data[0], &d)
	}
	switch {
	case d.bad || len(d.b) > 0:
		return nil, damaged("a move is cut short, too long or of impossible values")
	case d.err != nil:
		return nil, d.err
	case change == nil:
		return nil, parley.Errorf(parley.Unsupported, "a group's move of the unknown kind %q: something newer wrote it", data[0])
	}
	return change, nil
}

func (m *machine) decodeMembers(kind byte, d *decoder) func(now int64) {
	switch kind {
	case moveJoin:
		protocol, id, who := d.text(maxMember), d.text(maxMember), d.member()
		d.bad = d.bad || id == ""
		return func(now int64) {
			if have := m.members[id]; have != nil {
				now = have.joined
			}
			who.joined = now
			m.protocol, m.members[id] = protocol, who
			m.pending, m.emptied = true, 0
		}
	case moveLeave:
		var ids []string
		for len(d.b) > 0 && !d.bad {
			id := d.text(maxMember)
			if m.members[id] == nil {
				d.refuse("member %q is not in the group", id)
			}
			ids = append(ids, id)
		}
		return func(now int64) { m.remove(ids, now) }
	case moveGeneration:
		return m.decodeGeneration(d)
	case moveClear:
		return func(now int64) { m.clear(now) }
	}
	return nil
}

func (m *machine) decodeGeneration(d *decoder) func(now int64) {
	owners := make(map[uint64]string, len(m.parts))
	for _, id := range m.ids() {
		last := uint64(0)
		for n := d.count(MaxPartitions); n > 0 && !d.bad; n-- {
			last += d.number()
			if _, twice := owners[last]; twice || m.parts[last] == nil {
				d.refuse("partition %d is not there, or given twice", last)
			}
			owners[last] = id
		}
	}
	return func(int64) { m.begin(owners) }
}

func (m *machine) decodePlaces(kind byte, d *decoder) func(now int64) {
	switch kind {
	case moveTrack:
		return m.decodeTrack(d)
	case moveForget:
		var list []uint64
		for len(d.b) > 0 && !d.bad {
			list = append(list, d.number())
		}
		return func(int64) {
			for _, n := range list {
				if p := m.parts[n]; p != nil {
					m.pending = m.pending || p.owner != ""
					delete(m.parts, n)
				}
			}
		}
	case moveCommit:
		list := m.decodeList(d)
		for _, at := range list {
			if p := m.parts[at.Number]; p != nil && p.behind(at) {
				d.refuse("partition %d is committed up to %d already", at.Number, p.at)
			}
		}
		return func(now int64) { m.place(list, now) }
	case moveSeek:
		anew := d.flag()
		list := m.decodeList(d)
		return func(now int64) {
			m.place(list, now)
			if !anew {
				return
			}
			numbers := make([]uint64, len(list))
			for i := range list {
				numbers[i] = list[i].Number
			}
			m.restart(numbers)
		}
	}
	return nil
}

func (m *machine) decodeTrack(d *decoder) func(now int64) {
	rebalance := d.flag()
	var list []track
	for len(d.b) > 0 && !d.bad {
		t := track{Topic: "", place: place{Number: d.number()}}
		t.Topic, t.Index = d.text(topic.MaxName), int(d.count(topic.MaxPartitions))
		t.At, t.Epoch = d.position(), d.epoch()
		list = append(list, t)
	}
	if len(m.parts)+len(list) > MaxPartitions {
		d.refuse("a group has places in at most %d partitions", MaxPartitions)
	}
	return func(int64) {
		for _, t := range list {
			if m.parts[t.Number] == nil {
				m.parts[t.Number] = &part{topic: t.Topic, index: t.Index, at: t.At, epoch: t.Epoch}
				m.pending = m.pending || rebalance && len(m.members) > 0
			}
		}
	}
}

// decodeList reads places up to the end; each must be in a partition of the group.
func (m *machine) decodeList(d *decoder) (list []place) {
	for len(d.b) > 0 && !d.bad {
		p := place{Number: d.number()}
		p.At, p.Epoch = d.position(), d.epoch()
		if m.parts[p.Number] == nil {
			d.refuse("partition %d is not one of the group's", p.Number)
		}
		list = append(list, p)
	}
	return list
}

func (m *machine) place(list []place, now int64) {
	for _, at := range list {
		p := m.parts[at.Number]
		p.at, p.epoch, p.committed = at.At, at.Epoch, now
	}
}

// behind says that a place would take the group back. In a stream that lost
// events, which its epoch tells, positions begin anew below.
func (p *part) behind(at place) bool {
	return at.At < p.at && (at.Epoch == p.epoch || at.Epoch == 0 || p.epoch == 0)
}

func damaged(what string) error {
	return parley.Errorf(parley.Damaged, "the memory of a group: %s", what)
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
	if n <= 0 || d.bad || v > math.MaxInt64 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is a number of at most limit.
func (d *decoder) count(limit uint64) uint64 {
	v := d.number()
	if v > limit {
		d.bad = true
		return 0
	}
	return v
}

func (d *decoder) position() parley.Position { return parley.Position(d.number()) }

func (d *decoder) epoch() uint32 { return uint32(d.count(math.MaxUint32)) }

func (d *decoder) flag() bool { return d.count(1) == 1 }

// millis is a time or a duration, before the year 10000.
func (d *decoder) millis() int64 { return int64(d.count(253_402_300_799_999)) }

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

func (d *decoder) member() *member {
	m := &member{client: d.text(MaxClient), session: d.millis(), rebalance: d.millis()}
	for n := d.count(MaxPatterns); n > 0 && !d.bad; n-- {
		m.topics = append(m.topics, d.text(topic.MaxName))
	}
	return m
}

func (d *decoder) refuse(format string, args ...any) {
	if d.err == nil && !d.bad {
		d.err = parley.Errorf(parley.Conflict, format, args...)
	}
}

// The encoders.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendInt[T ~int | ~int64](b []byte, v T) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendFlag(b []byte, on bool) []byte {
	if on {
		return append(b, 1)
	}
	return append(b, 0)
}

func (m *member) append(b []byte) []byte {
	b = appendInt(appendInt(appendText(b, m.client), m.session), m.rebalance)
	b = appendInt(b, len(m.topics))
	for _, t := range m.topics {
		b = appendText(b, t)
	}
	return b
}

func (p place) append(b []byte) []byte {
	return binary.AppendUvarint(appendInt(binary.AppendUvarint(b, p.Number), p.At), uint64(p.Epoch))
}

func encodeJoin(protocol, id string, m *member) []byte {
	return m.append(appendText(appendText([]byte{moveJoin}, protocol), id))
}

func encodeLeave(ids []string) []byte {
	b := []byte{moveLeave}
	for _, id := range ids {
		b = appendText(b, id)
	}
	return b
}

func encodeTrack(rebalance bool, list []track) []byte {
	b := appendFlag([]byte{moveTrack}, rebalance)
	for _, t := range list {
		b = appendInt(appendText(binary.AppendUvarint(b, t.Number), t.Topic), t.Index)
		b = binary.AppendUvarint(appendInt(b, t.At), uint64(t.Epoch))
	}
	return b
}

func encodeForget(numbers []uint64) []byte {
	b := []byte{moveForget}
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// encodeGeneration writes who reads what; lists are by the order of members, each
// sorted.
func encodeGeneration(lists [][]uint64) []byte {
	b := []byte{moveGeneration}
	for _, list := range lists {
		b = appendInt(b, len(list))
		last := uint64(0)
		for _, n := range list {
			b, last = binary.AppendUvarint(b, n-last), n
		}
	}
	return b
}

func encodeCommit(list []place) []byte { return appendPlaces([]byte{moveCommit}, list) }

func encodeSeek(anew bool, list []place) []byte {
	return appendPlaces(appendFlag([]byte{moveSeek}, anew), list)
}

func appendPlaces(b []byte, list []place) []byte {
	for _, p := range list {
		b = p.append(b)
	}
	return b
}
