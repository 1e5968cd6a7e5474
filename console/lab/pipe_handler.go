package lab

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/parleyhq/parley/wire/door"
)

// PipeOpening is what is known before a run with pipes.
type PipeOpening struct {
	Request PipeRequest `json:"request"`
	Flows   []Flow      `json:"flows"`
	Tasks   []float64   `json:"tasks"` // how long each event is worked on, in milliseconds
}

// PipeClosing is what is known after it.
type PipeClosing struct {
	Figures []FlowFigures `json:"figures"`
	Took    float64       `json:"took"` // milliseconds
}

// labPipe is the pipe that who runs this has to be allowed to administer.
const labPipe = "lab"

// pipe answers like run, for pipes.
func (l *Lab) pipe(w http.ResponseWriter, r *http.Request) {
	req, err := asked(l, w, r, ParsePipeRequest)
	if err == nil {
		err = l.enter(time.Duration(req.Events) * time.Duration(req.Work))
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	defer l.leave()
	// The API decides who may: that there is no such pipe is told only to who may
	// administer it.
	if a := l.ask(r, http.MethodGet, "/v1/pipes/"+labPipe, ""); a.status >= 300 && !a.misses("pipe") {
		a.copy(w)
		return
	}
	stream(w, r, newPipeRun(req))
}

// misses says that what was asked for is not there, and which it is.
func (a *answer) misses(field string) bool {
	var p door.Problem
	return a.status == http.StatusNotFound && json.Unmarshal(a.body.Bytes(), &p) == nil && p.Field == field
}

func (r *pipeRun) first() Line {
	o := &PipeOpening{Request: r.req, Flows: Flows()}
	for _, t := range r.req.tasks() {
		o.Tasks = append(o.Tasks, milliseconds(time.Duration(t.Work)))
	}
	return Line{PipeLine: PipeLine{PipeOpening: o}}
}

func (r *pipeRun) news() Line { return Line{PipeLine: PipeLine{Marks: r.marks.take()}} }

func (r *pipeRun) last() Line {
	out := &PipeClosing{Took: r.now()}
	for _, f := range Flows() {
		figures, from := flowFigures(f, r.marks.all), r.given[f.Name]
		figures.Calls, figures.Held, figures.Acked = r.calls[f.Name], milliseconds(from.held), from.acked
		out.Figures = append(out.Figures, figures)
	}
	return Line{PipeLine: PipeLine{PipeClosing: out}}
}
