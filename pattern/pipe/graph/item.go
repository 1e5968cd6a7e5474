package graph

import (
	"bytes"
	"strconv"

	"github.com/parleyhq/parley"
)

// item is an event on its way. What nobody has asked for yet is not made: see open.
type item struct {
	event  parley.Event
	unmade unmade
	number int            // of a line, or of several events that were made of one
	record *parley.Record // that the event is in, byte for byte; nil = none
	maker  *stage         // of a made event
	parent *item          // what it was made of: valid within the step, see own
	origin *parley.Event  // as the source gave it; nil = parent's, or else event is that
	from   origin
	more   []origin // of what was made of several
	data   any      // decoded, once it was
	state  decoded
	looked sight
	found  []extent // what the pipe looks at in it, once it was scanned
}

// unmade says what of an event is not made yet. Its data always is.
type unmade uint8

const (
	nothing  unmade = iota
	ofRecord        // all else: it is in the record
	ofLine          // its id, and its content type unless that is known
	ofParent        // all but its content type: it is the parent's, but for id and source
)

// origin is the place of an event among those of its lane, from 0.
type origin struct {
	Lane int   `json:"lane"`
	Seq  int64 `json:"seq"`
}

// open makes the whole event.
func (it *item) open() {
	switch it.unmade {
	case ofRecord:
		e, err := it.record.Event()
		if err != nil { // StepRecords has opened those that may fail
			e = parley.Event{Data: it.event.Data}
		}
		it.event = e
	case ofLine:
		it.event.ID = "line-" + strconv.Itoa(it.number)
		if it.event.DataContentType == "" {
			it.event.DataContentType = textType(it.event.Data)
		}
	case ofParent:
		it.parent.open()
		made := it.event
		it.event = it.parent.event
		it.event.ID = it.maker.id(it.event.Source, it.event.ID, strconv.Itoa(it.number))
		it.event.Source = it.maker.m.source()
		it.event.Data, it.event.DataContentType, it.event.DataSchema = made.Data, made.DataContentType, ""
	}
	it.unmade = nothing
}

// own makes the event independent of all that is valid for a step only, or that many
// share: for stages that keep it.
func (it *item) own() {
	it.open()
	if it.parent != nil {
		first := it.original().Clone()
		it.origin = &first
	}
	it.event = it.event.Clone()
	it.record, it.maker, it.parent, it.found, it.looked = nil, nil, nil, nil, unseen
}

// original gives the event as the source gave it.
func (it *item) original() parley.Event {
	for it.origin == nil && it.parent != nil {
		it = it.parent
	}
	if it.origin != nil {
		return *it.origin
	}
	it.open()
	return it.event
}

// contentType is that of the event, before the event is made.
func (it *item) contentType() string {
	if it.unmade == ofRecord {
		return it.record.ContentType()
	}
	return it.event.DataContentType
}

// mayBeJSON says that the data is JSON if it reads as that.
func (it *item) mayBeJSON() bool {
	t := it.contentType()
	return it.event.Data != nil && (t == "" || parley.IsJSON(t))
}

// sight says whether an item's data was scanned.
type sight uint8

const (
	unseen sight = iota
	seen
	opaque // it is no JSON, or too deep
)

// sights are what a machine looks at, and room for where it is.
type sights struct {
	members
	room []extent
}

// scan finds all that the machine's stages look at in an item's data, once. It says
// whether there is JSON to look at.
func (m *Machine) scan(it *item) bool {
	if it.looked != unseen {
		return it.looked == seen
	}
	it.looked = opaque
	if !it.mayBeJSON() {
		return false
	}
	n := m.looks.count
	room := m.looks.room
	if cap(room)-len(room) < n {
		room = make([]extent, 0, 256*n) // not used again: items may have a part of it
	}
	found := room[len(room) : len(room)+n : len(room)+n]
	if m.looks.room = room; !scan(it.event.Data, &m.looks.members, found) {
		return false
	}
	m.looks.room = room[:len(room)+n]
	it.found, it.looked = found, seen
	if it.unmade == ofLine {
		it.event.DataContentType = "application/json"
	}
	return true
}

// glimpse is some members that a stage looks at, as they stand in the data.
type glimpse struct {
	m     *Machine
	slots []int
	parts [][]byte
}

func (m *Machine) glimpse(paths [][]string) glimpse {
	g := glimpse{m: m, parts: make([][]byte, len(paths))}
	for _, path := range paths {
		g.slots = append(g.slots, m.looks.slot(path))
	}
	return g
}

// at finds the members in an item's data: nil for one that is not there. It is not ok
// when a member is missing for a reason worse than a given one, or the data is no JSON.
func (g *glimpse) at(it *item, worst int32) (parts [][]byte, ok bool) {
	if len(g.slots) > 0 && !g.m.scan(it) {
		return nil, false
	}
	for i, slot := range g.slots {
		at := it.found[slot]
		switch {
		case at.from >= 0:
			g.parts[i] = it.event.Data[at.from:at.to]
		case at.from < worst:
			return nil, false
		default:
			g.parts[i] = nil
		}
	}
	return g.parts, true
}

// value gives an item's data as a value of JSON: maps, slices, strings, int,
// *big.Int, float64, bool and nil. Text is a string; other bytes are one in base64.
func (it *item) value() (any, error) {
	if it.state != notYet {
		return it.data, nil
	}
	it.open()
	v, state, err := valueOf(&it.event)
	if err == nil {
		it.data, it.state = v, state
	}
	return v, err
}

// Lines are lines of text that become events in a machine, as FromLine makes them.
type Lines struct {
	Format string // auto or "", or text
	Source string
	First  int    // the number of the first, from 1: ids have it
	Text   []byte // with the ends of lines; the last may lack its own
}

// items makes items of lines. Empty lines are events in text only.
func (l *Lines) items(to []item, lane int, from int64) []item {
	e := parley.Event{Source: l.Source, Type: lineType}
	if l.Format == "text" {
		e.DataContentType = textPlain
	}
	number := l.First
	for rest := l.Text; len(rest) > 0; number++ {
		line := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			line, rest = rest[:end:end], rest[end+1:]
		} else {
			rest = nil
		}
		if len(line) == 0 && l.Format != "text" {
			continue
		}
		to = append(to, item{event: e, unmade: ofLine, number: number, from: origin{lane, from}})
		to[len(to)-1].event.Data = line
		from++
	}
	return to
}
