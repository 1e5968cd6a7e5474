package lab

import (
	"slices"
	"sync"
	"time"
)

// Ways of an event at a stage.
const (
	MarkIn  = "in"
	MarkOut = "out"
)

// Mark is an event that went into a stage or came out of it, in milliseconds from the
// start of the run. A source only gives, a sink only takes.
type Mark struct {
	Lane  string  `json:"lane"`
	Stage string  `json:"stage"` // source, one of the flow's stages, or sink
	Way   string  `json:"way"`   // in or out
	Event int     `json:"event"` // from 1, in the order of the source
	At    float64 `json:"at"`
}

// marks gathers what happens in all flows, in the order of time.
type marks struct {
	mu    sync.Mutex
	all   []Mark
	taken int
}

// take gives the marks since it was last called.
func (m *marks) take() []Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.taken
	m.taken = len(m.all)
	return m.all[from:len(m.all):len(m.all)]
}

// FlowFigures are what a flow did with the events.
type FlowFigures struct {
	Lane      string         `json:"lane"`
	Events    int            `json:"events"`    // that the sink has
	Took      float64        `json:"took"`      // until it had the last, in milliseconds
	Overtaken int            `json:"overtaken"` // events that came after a later one
	Calls     int            `json:"calls"`     // of the stage that takes time
	Peak      int            `json:"peak"`      // events at work there at a time
	Held      float64        `json:"held"`      // how long the source was not asked though it had more
	Acked     int64          `json:"acked"`     // events that the source was told are done
	Latency   Latency        `json:"latency"`   // from the source to the sink
	Stages    []StageFigures `json:"stages"`    // the flow's, and the sink
}

// StageFigures are one stage and its queue: what the stage before has let go, and it
// has not begun.
type StageFigures struct {
	Stage   string  `json:"stage"`
	Busy    float64 `json:"busy"`    // milliseconds with an event at least
	Waiting float64 `json:"waiting"` // events in its queue, in the mean over the run
	Most    int     `json:"most"`    // at a time
}

// flowFigures adds up the marks of a flow.
func flowFigures(f Flow, all []Mark) FlowFigures {
	out := FlowFigures{Lane: f.Name, Stages: []StageFigures{}}
	var mine []Mark
	for _, m := range all {
		if m.Lane == f.Name {
			mine = append(mine, m)
		}
	}
	gave, newest, times := map[int]float64{}, 0, []time.Duration(nil)
	for _, m := range mine {
		switch m.Stage {
		case StageSource:
			gave[m.Event] = m.At
		case StageSink:
			out.Events++
			out.Took = m.At
			times = append(times, time.Duration((m.At-gave[m.Event])*float64(time.Millisecond)))
			if m.Event < newest {
				out.Overtaken++
			}
			newest = max(newest, m.Event)
		}
	}
	out.Latency = latencyOf(times)
	before := StageSource
	for _, stage := range append(slices.Clone(f.Stages), StageSink) {
		s, peak := stageFigures(before, stage, mine)
		if out.Took > 0 {
			s.Waiting /= out.Took
		}
		out.Stages = append(out.Stages, s)
		if stage == StageWork {
			out.Peak = peak
		}
		before = stage
	}
	return out
}

// stageFigures adds up the marks of one stage and of what is before it: peak is how many
// events were at work at a time. Waiting is the sum of the time that they have waited.
func stageFigures(before, stage string, mine []Mark) (f StageFigures, peak int) {
	f.Stage = stage
	left := map[int]float64{} // the stage before, and not begun here
	begun, began := 0, 0.0
	for i, m := range mine {
		switch {
		case m.Stage == before && m.Way == MarkOut:
			left[m.Event] = m.At
		case m.Stage == stage && m.Way == MarkIn:
			f.Waiting += m.At - left[m.Event]
			delete(left, m.Event)
			if begun++; begun == 1 {
				began = m.At
			}
			peak = max(peak, begun)
		case m.Stage == stage && m.Way == MarkOut:
			if begun--; begun == 0 {
				f.Busy += m.At - began
			}
		}
		if i == len(mine)-1 || mine[i+1].At > m.At { // what goes on at once does not wait
			f.Most = max(f.Most, len(left))
		}
	}
	return f, peak
}
