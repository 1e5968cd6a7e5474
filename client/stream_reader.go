package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

// Reader reads one partition by positions, without a group: its program keeps the
// place, next to its effects if it wants each event once. It is for one goroutine
// at a time.
type Reader struct {
	c         *Client
	topic     string
	partition int
	from      string // where to begin; "" = at next
	next      parley.Position
}

// Reader makes a reader of a partition that begins at from: "earliest", "latest",
// "@TIME" or a cursor; empty = earliest. It asks the server for nothing.
func (c *Client) Reader(topic string, partition int, from string) *Reader {
	if from == "" {
		from = "earliest"
	}
	return &Reader{c: c, topic: topic, partition: partition, from: from}
}

// Seek makes the reader go on at a position; 0 is the earliest event.
func (r *Reader) Seek(at parley.Position) { r.from, r.next = "", at }

// Position is the position to go on from: one after the last event that was given,
// or more where others are gone; 0 before the first answer.
func (r *Reader) Position() parley.Position { return r.next }

// Fetch gives up to limit events, 1 to stream.MaxFetch, and waits for the first as
// long as wait, at most stream.MaxWait. None, and nil, says that there are none
// yet. Errors: NotFound; Trimmed, after which Seek(0) goes on at what is left;
// BadCursor, Forbidden, ….
func (r *Reader) Fetch(ctx context.Context, limit int, wait time.Duration) ([]stream.Message, error) {
	v := url.Values{"limit": {strconv.Itoa(limit)}, "wait": {wait.String()}}
	if r.from != "" {
		v.Set("after", r.from)
	} else {
		v.Set("position", strconv.FormatInt(int64(r.next), 10))
	}
	var in struct {
		Events    []json.RawMessage
		Positions []parley.Position
		Next      parley.Position
	}
	q := request{method: http.MethodGet, url: r.c.url(v, "v1", "topics", r.topic, "partitions", strconv.Itoa(r.partition), "events")}
	if err := r.c.within(ctx, wait+patience, q, &in); err != nil {
		return nil, err
	}
	places := make([]stream.Place, len(in.Positions))
	for i, at := range in.Positions {
		places[i] = stream.Place{Topic: r.topic, Partition: r.partition, Position: at}
	}
	list, err := messagesOf(in.Events, places)
	if err != nil {
		return nil, err
	}
	r.next, r.from = in.Next, "" // 0 where nothing was ever: what comes first is the earliest then
	return list, nil
}

// Messages gives the events of the partition for ever, in order. It makes lost
// connections again with jittered back-off, and ends with ctx's error, or with one
// that trying again cannot mend, yielded last. The reader is behind the event that
// it gave last.
func (r *Reader) Messages(ctx context.Context) iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for wait := time.Duration(0); ; {
			hold := holdFetch
			if r.from != "" {
				hold = 0 // where latest is, is asked at once: if a held request broke, the next one would begin later
			}
			list, err := r.Fetch(ctx, stream.MaxFetch, hold)
			after := r.next
			switch {
			case ctx.Err() != nil:
				yield(stream.Message{}, ctx.Err())
				return
			case err != nil && !mends(err):
				yield(stream.Message{}, err)
				return
			case err != nil:
				if wait = r.c.lull(err, wait); !pause(ctx, wait) {
					yield(stream.Message{}, ctx.Err())
					return
				}
				continue
			}
			wait = 0
			for _, m := range list {
				if r.next = m.Position + 1; !yield(m, nil) {
					return
				}
			}
			r.next = max(r.next, after)
		}
	}
}

// mends says whether asking again can help a reader: also when the server took its
// request for given up, which happens when a connection breaks by halves.
func mends(err error) bool { return again(err) || parley.CodeOf(err) == parley.Canceled }

// lull is how long to wait after an error, when it was so long before; whoever wants
// to know is told.
func (c *Client) lull(err error, before time.Duration) time.Duration {
	wait := min(before+250*time.Millisecond, 10*time.Second)
	wait += rand.N(wait)
	var e *parley.Error
	if errors.As(err, &e) && e.RetryAfter > wait {
		wait = e.RetryAfter
	}
	if c.opt.OnReconnect != nil {
		c.opt.OnReconnect(err, wait)
	}
	return wait
}
