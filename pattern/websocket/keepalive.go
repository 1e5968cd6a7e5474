package websocket

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// Pulse is how a connection is kept alive and found dead.
type Pulse struct {
	// Interval is how long a connection may be silent, in either direction,
	// before it is pinged. Default 25 s: proxies drop after 60 s, some after 30 s.
	Interval time.Duration
	// Grace is how long after a ping the peer has to show any sign of life.
	// Default 10 s.
	Grace time.Duration
}

func (p Pulse) withDefaults() Pulse {
	setDefault(&p.Interval, 25*time.Second)
	setDefault(&p.Grace, 10*time.Second)
	return p
}

// Beat is what Conn.Beat asks its driver to do.
type Beat uint8

// What to do now.
const (
	BeatWait Beat = iota // nothing
	BeatPing             // call Ping
	BeatDead             // the peer is gone: Close with CloseNoPong
	BeatLate             // a message is over Options.MessageTimeout: Close with ClosePolicy
)

// LateMessage is the reason of the close frame after BeatLate.
const LateMessage = "message took too long to arrive"

// life is what is known of a connection's traffic, as times since born.
type life struct {
	born  time.Time
	seen  atomic.Int64 // bytes of the peer last arrived
	sent  atomic.Int64 // something was last written
	asked atomic.Int64 // the ping that nothing has followed yet; 0 = none
	begun atomic.Int64 // the reader waits for the rest of a message since; 0 = it does not
}

func (l *life) now() int64 { return int64(time.Since(l.born)) }

// saw notes a sign of life: any byte of the peer is one.
func (l *life) saw() {
	l.seen.Store(l.now())
	l.asked.Store(0)
}

func (l *life) wrote() { l.sent.Store(l.now()) }

// ask notes a ping. The oldest unanswered one counts.
func (l *life) ask() { l.asked.CompareAndSwap(0, max(1, l.now())) }

// begin notes that the reader waits for the rest of a message. Its first byte
// counts from here, not from when it was read: it may have lain behind a message
// whose handler took its time.
func (l *life) begin() {
	if l.begun.Load() == 0 {
		l.begun.Store(max(1, l.now()))
	}
}

// whole notes that nothing unfinished is left of what was begun.
func (l *life) whole() {
	if l.begun.Load() != 0 {
		l.begun.Store(0)
	}
}

// Beat decides, without doing anything, whether a ping is due at now, the peer
// must be taken for dead, or a message takes too long, and when to ask again. It
// allocates nothing and never waits: one timing wheel can look after every
// connection of a process.
func (c *Conn) Beat(now time.Time, p Pulse) (Beat, time.Time) {
	beat, next := c.life.beat(now, p.withDefaults())
	if beat == BeatDead {
		return beat, next
	}
	limit := c.agree.messageTimeout
	late := now.Add(limit) // of a message that begins now
	if begun := c.life.begun.Load(); begun != 0 {
		late = c.life.born.Add(time.Duration(begun) + limit)
	}
	if !now.Before(late) {
		return BeatLate, now
	}
	if late.Before(next) {
		next = late
	}
	return beat, next
}

// beat is Beat for signs of life alone.
func (l *life) beat(now time.Time, p Pulse) (Beat, time.Time) {
	if asked := l.asked.Load(); asked != 0 {
		end := l.born.Add(time.Duration(asked) + p.Grace)
		if !now.Before(end) {
			return BeatDead, now
		}
		return BeatWait, end
	}
	due := l.born.Add(time.Duration(min(l.seen.Load(), l.sent.Load())) + p.Interval)
	if !now.Before(due) {
		return BeatPing, now.Add(p.Grace)
	}
	return BeatWait, due
}

// KeepAlive pings the peer as p says until ctx ends or the connection does, and
// returns nil then. A peer that shows no sign of life has its connection closed
// with CloseNoPong, one whose message is over Options.MessageTimeout with
// ClosePolicy, and KeepAlive returns a *parley.Error of code Timeout. It needs a goroutine of its own; a server with many connections drives Beat
// instead.
func (c *Conn) KeepAlive(ctx context.Context, p Pulse) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.gone:
			return nil
		case <-timer.C:
		}
		beat, at := c.Beat(time.Now(), p)
		switch beat {
		case BeatPing:
			if err := c.Ping(); err != nil {
				return nil // the connection is closing; its reader knows why
			}
		case BeatDead:
			_ = c.Close(CloseNoPong, "no sign of life") // nobody is there to answer
			return &parley.Error{Code: parley.Timeout, Detail: "the peer shows no sign of life"}
		case BeatLate:
			_ = c.Close(ClosePolicy, LateMessage) // the peer is told, whether it answers or not
			return &parley.Error{Code: parley.Timeout, Detail: LateMessage, Fix: "send a message within Options.MessageTimeout"}
		}
		timer.Reset(time.Until(at))
	}
}
