package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/parleyhq/parley/wire/door"
)

// Line is one line of a run's answer; one member is set.
type Line struct {
	Start *Start        `json:"start,omitempty"`
	Trace []Message     `json:"trace,omitempty"`
	End   *End          `json:"end,omitempty"`
	Error *door.Problem `json:"error,omitempty"` // the run broke off
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

// stream runs, and tells meanwhile. A client that goes away ends the run.
func stream(w http.ResponseWriter, r *http.Request, one *run) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &lines{w: w, c: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Accel-Buffering", "no")
	out.write(Line{Start: startOf(one)})
	over := make(chan error, 1)
	go func() { over <- one.do(ctx) }()
	err := out.follow(one.rec, over, cancel)
	out.rest(one.rec)
	if err != nil {
		p := door.ProblemOf(err, door.TraceOf(r.Header.Get("Traceparent")))
		out.write(Line{Error: &p})
		return
	}
	figures, truncated := one.rec.figures(one.names())
	out.write(Line{End: &End{Figures: figures, Truncated: truncated, Took: milliseconds(time.Since(one.rec.start))}})
}

func startOf(one *run) *Start {
	s := &Start{Topic: one.topic, Request: one.req}
	for _, at := range one.req.Schedule() {
		s.Schedule = append(s.Schedule, milliseconds(at))
	}
	return s
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

func (l *lines) rest(rec *recorder) {
	if messages := rec.take(); len(messages) > 0 {
		l.write(Line{Trace: messages})
	}
}

// follow writes what happens until the run is over, and gives its error.
func (l *lines) follow(rec *recorder, over <-chan error, cancel func()) error {
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-over:
			return err
		case <-tick.C:
			select {
			case <-rec.news:
				l.rest(rec)
			default:
			}
			if l.err != nil {
				cancel() // nobody listens
			}
		}
	}
}
