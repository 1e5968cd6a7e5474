package graph

import (
	"context"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

// Step takes events of a lane, passes on what waits no longer, and gives what came
// of it. The events are the machine's from then on. After an error, which
// is that of ctx or says that a bound was passed, the machine is in no known state:
// make another and Restore it.
func (m *Machine) Step(ctx context.Context, now time.Time, lane int, events []parley.Event) (Output, error) {
	return m.step(ctx, now, lane, func(items []item, from int64) ([]item, error) {
		for i := range events {
			items = append(items, item{event: events[i], from: origin{lane, from + int64(i)}})
		}
		return items, nil
	})
}

// StepLines is Step for lines, of which no more is made than the stages and sinks ask
// for. The text is the machine's from then on.
func (m *Machine) StepLines(ctx context.Context, now time.Time, lane int, lines Lines) (Output, error) {
	return m.step(ctx, now, lane, func(items []item, from int64) ([]item, error) {
		return lines.items(items, lane, from), nil
	})
}

// StepRecords is Step for records of a topic. Only what stages ask for is decoded, and
// what a sink takes in a record that it came in goes on as it is: see Records. The
// records are the machine's from then on. Error, beyond those of Step: Damaged, of a
// record in structured mode that holds no event.
func (m *Machine) StepRecords(ctx context.Context, now time.Time, lane int, records []parley.Record) (Output, error) {
	return m.step(ctx, now, lane, func(items []item, from int64) ([]item, error) {
		for i := range records {
			it := item{event: parley.Event{Data: records[i].Value}, unmade: ofRecord, record: &records[i], from: origin{lane, from + int64(i)}}
			if records[i].Structured() {
				var err error
				if it.event, err = records[i].Event(); err != nil {
					return items, err
				}
				it.unmade = nothing
			}
			items = append(items, it)
		}
		return items, nil
	})
}

// Records says that a sink takes events in the records that they came in: see Output.
func (m *Machine) Records(sink int) { m.wants[sink].records = true }

// Taken says how many events of a lane came.
func (m *Machine) Taken(lane int) int64 { return m.lanes[lane].Events }

func (m *Machine) step(ctx context.Context, now time.Time, lane int, produce func(to []item, from int64) ([]item, error)) (Output, error) {
	m.begin(ctx, now)
	if err := m.ticks(); err != nil {
		return m.take(err)
	}
	items, err := produce(m.items[:0], m.lanes[lane].Events) // no stage keeps the slice
	m.items = items
	m.lanes[lane].Events += int64(len(items))
	if !m.done && len(items) > 0 && err == nil {
		err = m.give(m.tops[lane], items)
	}
	clear(items)
	return m.take(err)
}

// DataOnly says that of a sink's events only data and content type are of interest:
// what else they have need not be made. A content type that nobody has asked for may be
// empty then.
func (m *Machine) DataOnly(sink int) { m.wants[sink].bare = true }

// wish is how a sink wants events.
type wish struct{ bare, records bool }

// sinking is the end of a pipe.
type sinking struct {
	stage
	index int
}

func (s *sinking) care() care { return little }

func (s *sinking) push(items []item) error {
	out := &s.m.out.Sinks[s.index]
	*out = slices.Grow(*out, len(items))
	wants := s.m.wants[s.index]
	for i := range items {
		it := &items[i]
		if wants.records {
			s.m.out.Records[s.index] = append(s.m.out.Records[s.index], it.record)
		}
		if !(wants.records && it.record != nil) && !(wants.bare && it.unmade != ofRecord) {
			it.open()
		}
		*out = append(*out, it.event)
	}
	return nil
}

func (p *Plan) output() Output {
	return Output{Sinks: make([][]parley.Event, len(p.sinks)), Records: make([][]*parley.Record, len(p.sinks))}
}

// mostSpare is for how many events of a sink room is kept.
const mostSpare = 2000

// emptied forgets what is in lists, and keeps their room.
func emptied[T any](lists [][]T) {
	for i, list := range lists {
		clear(list)
		if lists[i] = list[:0]; cap(list) > mostSpare {
			lists[i] = nil
		}
	}
}
