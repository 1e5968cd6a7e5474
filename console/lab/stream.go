package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/parleyhq/parley/wire/door"
)

// Line is one line of a run's answer. It has a beginning, an end, or what happened in
// between.
type Line struct {
	Start   *Start        `json:"start,omitempty"`
	Opening *Opening      `json:"opening,omitempty"` // of a run with limits
	Trace   []Message     `json:"trace,omitempty"`
	Calls   []Call        `json:"calls,omitempty"` // of a run with limits
	End     *End          `json:"end,omitempty"`
	Closing *Closing      `json:"closing,omitempty"` // of a run with limits
	Error   *door.Problem `json:"error,omitempty"`   // the run broke off

	QueueOpening *QueueOpening `json:"queue_opening,omitempty"` // of a run with a work queue
	Spans        []Span        `json:"spans,omitempty"`
	QueueClosing *QueueClosing `json:"queue_closing,omitempty"`

	GroupsOpening *GroupsOpening `json:"groups_opening,omitempty"` // of a run with consumer groups
	Acts          []Act          `json:"acts,omitempty"`
	GroupsClosing *GroupsClosing `json:"groups_closing,omitempty"`

	PipeLine
}

// PipeLine is what a line of a run with pipes has.
type PipeLine struct {
	PipeOpening *PipeOpening `json:"pipe_opening,omitempty"`
	Marks       []Mark       `json:"marks,omitempty"`
	PipeClosing *PipeClosing `json:"pipe_closing,omitempty"`
}

// Start is what is known before the run.
type Start struct {
	Topic    string    `json:"topic"`
	Request  Request   `json:"request"`  // with its defaults
	Schedule []float64 `json:"schedule"` // when each event is published, in milliseconds
}

// End is what is known after it.
type End struct {
	Figures   []Figures `json:"figures"`   // the publisher's, then those of the lanes in their order
	Truncated int       `json:"truncated"` // messages that were counted and not kept
	Took      float64   `json:"took"`      // milliseconds; more than the duration when the machine was late
}

// streamEvery gathers messages: a page draws no faster.
const streamEvery = 50 * time.Millisecond

// writeTimeout is how long the client may take nothing.
const writeTimeout = 5 * time.Second

// experiment is a run as it is told of.
type experiment interface {
	first() Line
	do(ctx context.Context) error
	news() Line // since it was last called
	last() Line
}

// stream runs, and tells meanwhile. A client that goes away ends the run.
func stream(w http.ResponseWriter, r *http.Request, one experiment) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &lines{w: w, c: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Accel-Buffering", "no")
	out.write(one.first())
	over := make(chan error, 1)
	go func() { over <- one.do(ctx) }()
	err := out.follow(one, over, cancel)
	out.rest(one)
	if err != nil {
		p := door.ProblemOf(err, door.TraceOf(r.Header.Get("Traceparent")))
		out.write(Line{Error: &p})
		return
	}
	out.write(one.last())
}

func (r *run) first() Line {
	s := &Start{Topic: r.topic, Request: r.req}
	for _, at := range r.req.Schedule() {
		s.Schedule = append(s.Schedule, milliseconds(at))
	}
	return Line{Start: s}
}

func (r *run) news() Line { return Line{Trace: r.rec.take()} }

func (r *run) last() Line {
	figures, truncated := r.rec.figures(r.names())
	return Line{End: &End{Figures: figures, Truncated: truncated, Took: milliseconds(time.Since(r.rec.start))}}
}

// lines writes JSON lines until one fails.
type lines struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	err error
}

func (l *lines) write(line Line) {
	if l.err != nil {
		return
	}
	body, err := json.Marshal(line)
	if err == nil {
		_ = l.c.SetWriteDeadline(time.Now().Add(writeTimeout)) // what gathers the whole answer has none
		_, err = l.w.Write(append(body, '\n'))
	}
	if err == nil {
		if err = l.c.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil // what gathers the whole answer has nothing to flush
		}
	}
	l.err = err
}

func (l *lines) rest(one experiment) {
	if line := one.news(); len(line.Trace)+len(line.Calls)+len(line.Spans)+len(line.Acts)+len(line.Marks) > 0 {
		l.write(line)
	}
}

// follow writes what happens until the run is over, and gives its error.
func (l *lines) follow(one experiment, over <-chan error, cancel func()) error {
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-over:
			return err
		case <-tick.C:
			if l.rest(one); l.err != nil {
				cancel() // nobody listens
			}
		}
	}
}
