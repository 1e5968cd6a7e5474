package lab

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// QueueOpening is what is known before a run with a work queue.
type QueueOpening struct {
	Topic   string       `json:"topic"` // each crew has a queue below it
	Request QueueRequest `json:"request"`
	Crews   []Crew       `json:"crews"`
	Tasks   []float64    `json:"tasks"` // how long each job takes, in milliseconds
}

// QueueClosing is what is known after it.
type QueueClosing struct {
	Figures   []CrewFigures `json:"figures"`
	Truncated int           `json:"truncated"` // messages that were counted and not kept
	Took      float64       `json:"took"`      // milliseconds
}

// queue answers like run, for a work queue.
func (l *Lab) queue(w http.ResponseWriter, r *http.Request) {
	req, err := asked(l, w, r, ParseQueueRequest)
	if err == nil {
		err = l.enter(time.Duration(req.Jobs) * time.Duration(req.Work))
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	defer l.leave()
	one := &queueRun{req: req, api: l.opt.Handler, open: l.open, topic: topicName(), token: bearer(r)}
	settings, _ := json.Marshal(map[string]any{"visibility": req.Visibility, "results": "-", "dead_letter": "-"}) // plain values
	later := r.WithContext(context.WithoutCancel(r.Context()))
	for _, c := range Crews() {
		path := "/v1/queues/" + one.queueOf(c)
		// The API decides who may: it sees the caller's token, origin and host.
		if a := l.ask(r, http.MethodPut, path, string(settings)); a.status >= 300 {
			a.copy(w)
			return
		}
		defer l.ask(later, http.MethodDelete, path, "")
	}
	one.rec = newRecorder(time.Now(), one.names(), 0)
	stream(w, r, one)
}

func (r *queueRun) first() Line {
	o := &QueueOpening{Topic: r.topic, Request: r.req, Crews: Crews()}
	for _, t := range r.req.tasks() {
		o.Tasks = append(o.Tasks, milliseconds(time.Duration(t.Work)))
	}
	return Line{QueueOpening: o}
}

func (r *queueRun) news() Line { return Line{Trace: r.rec.take(), Spans: r.spans.take()} }

func (r *queueRun) last() Line {
	wire, truncated := r.rec.figures(r.names())
	out := &QueueClosing{Truncated: truncated, Took: r.now()}
	for _, c := range Crews() {
		f := crewFigures(c, r.req.Jobs, r.spans.all)
		for range c.clients() {
			f.Requests += wire[0].Requests
			f.Connections += wire[0].Connections
			f.BytesIn += wire[0].BytesIn
			f.BytesOut += wire[0].BytesOut
			wire = wire[1:]
		}
		out.Figures = append(out.Figures, f)
	}
	return Line{QueueClosing: out}
}
