package patterntest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// patience is how long, in fake time, a reader waits for what must come, and
// silence how long for what must not.
const (
	patience = 2 * time.Minute
	silence  = 10 * time.Second
)

// reader is one subscriber: it takes what a way delivers, one at a time, and when
// the connection is lost goes on from the last cursor by itself.
type reader struct {
	*World
	name string
	got  chan Received
	stop context.CancelFunc
	done chan struct{}
	err  error // why it ended; valid once done is closed

	// Of what was taken with next:
	cursor string // the newest; "" before the first
	events int
	lately []string // the data since cursor was set
}

// read subscribes by the scene's way.
func (s *scene) read(q Query) *reader { return s.readBy(s.way, q) }

func (w *World) readBy(way Way, q Query) *reader {
	ctx, stop := context.WithCancel(w.Life)
	r := &reader{World: w, name: way.Name, got: make(chan Received), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = follow(ctx, way, q, func(got Received) bool {
			select {
			case r.got <- got:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	w.Cleanup(r.end)
	return r
}

// end leaves the subscription, and returns when it is gone.
func (r *reader) end() {
	r.stop()
	<-r.done
}

// A reader that lost its connection comes back at first after retry, and then
// after longer and longer waits.
const (
	retry    = 100 * time.Millisecond
	maxRetry = 10 * time.Second
)

// follow delivers over as many connections as it takes. It returns what another
// connection cannot mend, or nil when take has had enough.
func follow(ctx context.Context, way Way, q Query, take func(Received) bool) error {
	for pause := retry; ; pause = min(2*pause, maxRetry) {
		err := once(ctx, way, &q, func(got Received) bool {
			pause = retry
			return take(got)
		})
		if !lost(err) {
			return err
		}
		if !wait(ctx, pause) {
			return ctx.Err()
		}
	}
}

// once is one connection. It keeps q where the next one goes on.
func once(ctx context.Context, way Way, q *Query, take func(Received) bool) error {
	for got, err := range way.Subscribe(ctx, *q) {
		if err != nil {
			return err
		}
		if got.Place {
			q.From = got.Cursor
			continue
		}
		if !take(got) {
			return nil
		}
		if got.Cursor != "" {
			q.From = got.Cursor
		}
	}
	return nil
}

func lost(err error) bool {
	return err != nil && (parley.CodeOf(err) == parley.Unavailable || parley.CodeOf(err) == parley.Unknown)
}

// next waits for an event or a notice.
func (r *reader) next() Received {
	r.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case got := <-r.got:
		r.took(got)
		return got
	case <-r.done:
		r.Fatalf("%s ended after %d events: %v", r.name, r.events, r.err)
	case <-late.C:
		r.Fatalf("%s: nothing came within %s after %d events", r.name, patience, r.events)
	}
	return Received{}
}

func (r *reader) took(got Received) {
	if got.Notice != "" {
		return
	}
	r.events++
	r.lately = append(r.lately, string(got.Data))
	if got.Cursor != "" {
		r.cursor, r.lately = got.Cursor, nil
	}
}

// word shows what came: an event's data, or a notice in brackets.
func word(got Received) string {
	if got.Notice != "" {
		return "[" + got.Notice + "]"
	}
	return strings.TrimSpace(string(got.Data))
}

// expect wants just these to be next, in this order.
func (r *reader) expect(words ...string) {
	r.Helper()
	for i, want := range words {
		if got := r.next(); word(got) != want {
			r.Fatalf("%s: got %s, want %s, at %d of %v", r.name, word(got), want, i, words)
		}
	}
}

// upTo wants the numbers from one to another.
func (r *reader) upTo(from, to int) {
	r.Helper()
	for _, e := range numbers(from, to) {
		r.expect(string(e.Data))
	}
}

// quiet wants nothing to come.
func (r *reader) quiet() {
	r.Helper()
	over := time.NewTimer(silence)
	defer over.Stop()
	select {
	case got := <-r.got:
		r.Fatalf("%s: got %s, want nothing", r.name, word(got))
	case <-r.done:
		r.Fatalf("%s ended: %v", r.name, r.err)
	case <-over.C:
	}
}

// settled waits until the subscription stands, if it can.
func (r *reader) settled() { r.pass(time.Second) }

// told wants word that the reader's place is gone, before any event: the notice,
// or of a strict way an error. It says whether the reader goes on.
func (r *reader) told(way Way, notice string, codes ...parley.Code) (goesOn bool) {
	r.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case got := <-r.got:
		if got.Notice != notice {
			r.Fatalf("%s: got %s, want [%s]", r.name, word(got), notice)
		}
		return true
	case <-r.done:
		if !way.Strict || !slices.Contains(codes, parley.CodeOf(r.err)) {
			r.Fatalf("%s ended with %v, want [%s] or, if it is strict, one of %v", r.name, r.err, notice, codes)
		}
	case <-late.C:
		r.Fatalf("%s: heard nothing within %s", r.name, patience)
	}
	return false
}
