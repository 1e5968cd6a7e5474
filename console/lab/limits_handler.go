package lab

import (
	"context"
	"net/http"
	"time"

	"github.com/parleyhq/parley/client"
)

// Opening is what is known before a run with limits.
type Opening struct {
	Topic      string       `json:"topic"` // each lane has one below it
	Request    LimitRequest `json:"request"`
	Experiment Experiment   `json:"experiment"`
	Limits     []Limited    `json:"limits"`
	Schedule   []float64    `json:"schedule"`       // when each caller comes, in milliseconds
	Edge       float64      `json:"edge,omitempty"` // when a window of the clock ends
	Wait       float64      `json:"wait"`           // until the run starts
}

// Limited is the limit of a lane.
type Limited struct {
	Lane string `json:"lane"`
	Name string `json:"name"`
	client.LimitDefinition
}

// Closing is what is known after it.
type Closing struct {
	Figures   []LimitFigures `json:"figures"`
	Truncated int            `json:"truncated"` // messages that were counted and not kept
	Took      float64        `json:"took"`      // milliseconds
}

// limits answers like run, for an experiment with limits.
func (l *Lab) limits(w http.ResponseWriter, r *http.Request) {
	req, err := asked(l, w, r, ParseLimitRequest)
	if err == nil {
		err = l.enter(4 * req.window())
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	defer l.leave()
	kind, _ := experimentNamed(req.Experiment) // it was checked
	one := &limitRun{req: req, kind: kind, api: l.opt.Handler, open: l.open, topic: topicName(), token: bearer(r)}
	later := r.WithContext(context.WithoutCancel(r.Context()))
	for _, lane := range kind.Lanes {
		topic := one.topicOf(lane.Name)
		definition, err := lane.definition(req, topic)
		if err != nil {
			fail(w, r, err)
			return
		}
		// The API decides who may: it sees the caller's token, origin and host. What is
		// stored is not worth waiting for a disk, which would blur when calls are let in.
		for _, made := range []struct{ path, body string }{
			{"/v1/topics/" + topic, `{"max_age": "10m", "durability": "memory"}`},
			{"/v1/limits/" + topic, definition},
		} {
			if a := l.ask(r, http.MethodPut, made.path, made.body); a.status >= 300 {
				a.copy(w)
				return
			}
			defer l.ask(later, http.MethodDelete, made.path, "")
		}
	}
	one.rec = newRecorder(req.startAfter(time.Now()), one.names(), 0)
	stream(w, r, one)
}

func (r *limitRun) first() Line {
	o := &Opening{Topic: r.topic, Request: r.req, Experiment: r.kind, Wait: max(0, milliseconds(time.Until(r.rec.start)))}
	for _, t := range r.req.schedule() {
		o.Schedule = append(o.Schedule, milliseconds(t.at))
	}
	if r.req.Experiment == Strategies {
		o.Edge = milliseconds(time.Duration(edge * float64(r.req.window())))
	}
	for _, lane := range r.kind.Lanes {
		d := lane.limit(r.req)
		d.On = []string{lane.on(r.topicOf(lane.Name))}
		o.Limits = append(o.Limits, Limited{Lane: lane.Name, Name: r.topicOf(lane.Name), LimitDefinition: d})
	}
	return Line{Opening: o}
}

func (r *limitRun) news() Line { return Line{Trace: r.rec.take(), Calls: r.calls.take()} }

func (r *limitRun) last() Line {
	wire, truncated := r.rec.figures(r.names())
	c := &Closing{Truncated: truncated, Took: milliseconds(time.Since(r.rec.start))}
	callers, window, waits := len(r.req.schedule()), milliseconds(r.req.window()), map[string]bool{}
	for _, lane := range r.kind.Lanes {
		waits[lane.Name] = lane.limit(r.req).Action == "shape"
	}
	span := window - slack(window, waits, r.calls.all)
	for i, lane := range r.kind.Lanes {
		f := figuresOf(lane.Name, callers, span, r.calls.all)
		f.Connections, f.BytesIn, f.BytesOut = wire[i].Connections, wire[i].BytesIn, wire[i].BytesOut
		c.Figures = append(c.Figures, f)
	}
	return Line{Closing: c}
}
