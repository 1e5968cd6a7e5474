package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Poll says what to poll.
type Poll struct {
	After string        // a cursor, "earliest", "latest", "@TIME"; empty = the newest events, or with Wait the next one
	Limit int           // most events; 0 = 100
	Wait  time.Duration // how long the server may hold the request; at most 55s
	Tail  int           // the newest so many events instead
	// Before, with Tail: the page before.
	Before string
	// Ephemeral also takes what is published to ~TOPIC while the request is held.
	Ephemeral bool
	// Partition is the only one of the topic to read; nil = all.
	Partition *int
}

// Page is the answer to a poll.
type Page struct {
	Events []parley.Event
	Cursor string // to poll on from
	Before string // with Tail: for the page before
	More   bool   // there are events after Cursor already
}

// Poll asks once.
func (c *Client) Poll(ctx context.Context, topic string, p Poll) (Page, error) {
	q := url.Values{}
	set := func(name, value string, is bool) {
		if is {
			q.Set(name, value)
		}
	}
	set("after", p.After, p.After != "")
	set("limit", strconv.Itoa(p.Limit), p.Limit > 0)
	set("wait", p.Wait.String(), p.Wait > 0)
	set("tail", strconv.Itoa(p.Tail), p.Tail > 0)
	set("before", p.Before, p.Before != "")
	set("ephemeral", "true", p.Ephemeral)
	if p.Partition != nil {
		q.Set("partition", strconv.Itoa(*p.Partition))
	}
	var in struct {
		Events         []json.RawMessage
		Cursor, Before string
		More           bool
	}
	if _, err := c.do(ctx, request{method: http.MethodGet, url: c.url(q, "v1", "topics", topic, "events")}, &in); err != nil {
		return Page{}, err
	}
	out := Page{Cursor: in.Cursor, Before: in.Before, More: in.More}
	for _, raw := range in.Events {
		e, err := parley.ParseJSON(raw)
		if err != nil {
			return Page{}, parley.Errorf(parley.Internal, "an event of the answer: %w", err)
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}
