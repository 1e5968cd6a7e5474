package poll

import (
	"context"
	"encoding/json"
	"time"
)

// Page is what a source holds after a place.
type Page struct {
	// Events are JSON values, sent as they are.
	Events []json.RawMessage
	// Cursor is the place after the last of Events, or, without events, a place
	// from which no event is missed: the one asked for, or one further on when the
	// source passed over events that are not for this reader. It is never empty and
	// consists of at most MaxCursor visible ASCII characters without " and \.
	Cursor string
	// More says that the source holds events after Cursor already, so that a client
	// need not wait before it asks again.
	More bool
	// Before is the cursor for the page before this one, of a source that can page
	// backwards; empty when there is none.
	Before string
}

// Source is what is polled. Its methods are called concurrently.
type Source interface {
	// Read returns at most limit events after a place, and never waits for one.
	// The place is a Page's cursor, "earliest" (before the oldest event), "latest"
	// (after the newest one), @ and an RFC 3339 time (before the first event not
	// older), or empty: the newest events there are. A source that does not know
	// one of these, or is given a cursor it never made, answers with a BadCursor
	// error, and with Trimmed when it no longer keeps what follows.
	Read(ctx context.Context, after string, limit int) (Page, error)
	// Wait returns nil as soon as there may be an event after the cursor, at once
	// if there is one already, and the error of ctx when that ends first. Returning
	// too early costs a Read; returning too late delays a client.
	Wait(ctx context.Context, after string) error
}

// ReadFunc is Source.Read as a function.
type ReadFunc func(ctx context.Context, after string, limit int) (Page, error)

// Every makes a Source of a function alone: whoever waits looks again after each
// interval. 0 or less means one second.
func Every(interval time.Duration, read ReadFunc) Source {
	if interval <= 0 {
		interval = time.Second
	}
	return every{read: read, interval: interval}
}

type every struct {
	read     ReadFunc
	interval time.Duration
}

func (e every) Read(ctx context.Context, after string, limit int) (Page, error) {
	return e.read(ctx, after, limit)
}

func (e every) Wait(ctx context.Context, _ string) error {
	timer := time.NewTimer(e.interval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
