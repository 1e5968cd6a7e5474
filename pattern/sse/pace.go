package sse

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

const (
	// minWait keeps `retry: 0` from turning a broken server into a busy loop.
	minWait = 100 * time.Millisecond
	// maxAsked bounds what a server may ask for: one bad number must not silence
	// a client for years.
	maxAsked = time.Hour
)

// pace decides how long to wait before the next connection: the server's
// reconnection time, doubled for every connection in a row that did not last.
// Back-off ends with a connection that lasted, not with one that was made, else a
// server that accepts and dies would be hammered at full speed.
type pace struct {
	base  time.Duration
	cap   time.Duration
	fails int
}

// next gives the wait after a connection that lasted so long. asked is a floor
// that the server set; random in [0,1) adds up to half, as clients that lost one
// server together must not return together.
func (p *pace) next(lasted, asked time.Duration, random float64) time.Duration {
	if lasted >= p.cap {
		p.fails = 0
	}
	wait := max(p.base, minWait)
	for i := 0; i < p.fails && wait < p.cap; i++ {
		wait = min(2*wait, p.cap)
	}
	p.fails++
	wait = max(wait, min(asked, maxAsked))
	return wait + time.Duration(random*float64(wait)/2)
}

// retryAfter reads a Retry-After field (RFC 9110 section 10.2.3): seconds or a
// date. Anything else is no wish, and neither is one of the past.
func retryAfter(field string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(field, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(field); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// idleTimer cancels a connection from which nothing came for a while. The zero
// wait means never.
type idleTimer struct {
	wait  time.Duration
	timer *time.Timer
}

func newIdleTimer(wait time.Duration, cancel context.CancelCauseFunc) idleTimer {
	if wait <= 0 {
		return idleTimer{}
	}
	err := parley.Errorf(parley.Timeout, "sse: nothing came for %v", wait)
	return idleTimer{wait: wait, timer: time.AfterFunc(wait, func() { cancel(err) })}
}

func (t idleTimer) rest() {
	if t.timer != nil {
		t.timer.Reset(t.wait)
	}
}

func (t idleTimer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// watch restarts the timer with every byte that comes, heartbeats included.
func (t idleTimer) watch(body io.Reader) io.Reader {
	if t.timer == nil {
		return body
	}
	return watched{body: body, idle: t}
}

type watched struct {
	body io.Reader
	idle idleTimer
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if n > 0 {
		w.idle.rest()
	}
	return n, err
}
