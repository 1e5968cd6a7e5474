package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/poll"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
)

// PollAnswer is a page of events.
type PollAnswer struct {
	Events      []map[string]any `json:"events"` // CloudEvents in JSON
	Cursor      string           `json:"cursor"`
	More        bool             `json:"more"`
	NewMessages int              `json:"new_messages"`
	Before      string           `json:"before,omitempty"`
}

func (a *API) pollRoutes() []door.Route {
	return []door.Route{{
		Method: http.MethodGet, Path: "/v1/topics/{topic}/events", Name: "poll", Pattern: "poll",
		Summary: "Poll events: at once, or held until there is something.",
		Verb:    "read", On: "topic", Answer: PollAnswer{}, Handle: a.poll,
		Errors: []parley.Code{parley.Invalid, parley.BadCursor, parley.Trimmed, parley.NotFound, parley.Unprocessable, parley.Overloaded},
		Params: []door.Param{
			{Name: "after", In: "query", Type: "string", Description: "a cursor, earliest, latest, or @ and an RFC 3339 time; without it the newest events, or with wait the next one"},
			{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "most events to answer with, at most 1000"},
			{Name: "wait", In: "query", Type: "duration", Description: "hold the request until there is something, at most 55s; also Prefer: wait=SECONDS, or wait=true with timeout=SECONDS"},
			{Name: "partition", In: "query", Type: "integer", Description: "only this partition of the topic, from 0"},
			{Name: "tail", In: "query", Type: "integer", Description: "the newest so many events, with a cursor to page backwards"},
			{Name: "before", In: "query", Type: "string", Description: "the page before, from the answer's before"},
			{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "also what is published to ~TOPIC meanwhile"},
			{Name: "If-None-Match", In: "header", Type: "string", Description: "the ETag of the last answer: 304 when it has not changed"},
			{Name: "Prefer", In: "header", Type: "string", Description: "wait=SECONDS, as the parameter wait"},
		},
		Example: `curl 'http://127.0.0.1:7275/v1/topics/orders/events?after=earliest'`,
	}}
}

func (a *API) poll(c *door.Call) error {
	req, err := poll.ParseQuery(c.Query, c.R.Header)
	if err != nil {
		return err
	}
	sub := pubsub.Request{Topics: []string{c.R.PathValue("topic")}, Strict: true}
	if sub.Ephemeral, err = boolParam(c.Query, "ephemeral"); err != nil {
		return err
	}
	if sub.Partition, err = onePartition(c.Query); err != nil {
		return err
	}
	if sub.Ephemeral {
		req.IfNoneMatch = "" // what is not stored does not change the tag
	}
	options := poll.Options{}
	if t, err := a.opt.Topics.Get(sub.Topics[0]); err == nil {
		options.Hint = t.Settings.PollHint
	}
	if c.Query.Has("tail") || c.Query.Has("before") || req.After == "" && req.Wait == 0 {
		return a.newest(c, sub, req, options)
	}
	held := &heldPoll{api: a, topic: sub.Topics[0], req: req.First(), hint: options.Hint, ephemeral: sub.Ephemeral, partition: sub.Partition}
	page, err := held.look(c.Context())
	if err != nil {
		held.Done()
		return a.withEarliest(c, sub, inParam("after", err))
	}
	if req.Wait == 0 || held.req.Settled(page) {
		held.Done()
		return writePage(c, req, page, options)
	}
	return a.hold(c, held)
}

// onePartition reads the one partition to read; nil = all.
func onePartition(q url.Values) (*int, error) {
	if !q.Has("partition") {
		return nil, nil
	}
	n, err := partitionParam(q)
	return &n, err
}

// newest answers with the newest events, or with those before a cursor.
func (a *API) newest(c *door.Call, sub pubsub.Request, req poll.Request, options poll.Options) error {
	tail, err := param(c.Query, "tail")
	if err != nil {
		return err
	}
	before, err := param(c.Query, "before")
	if err != nil {
		return err
	}
	n := req.Limit
	if c.Query.Has("tail") {
		if n, err = strconv.Atoi(tail); err != nil || n < 1 || n > poll.MaxLimit {
			return parley.BadField("tail", "not a number of events that an answer can hold", "send a whole number from 1 to "+strconv.Itoa(poll.MaxLimit))
		}
	}
	switch {
	case c.Query.Has("before") && before == "":
		return parley.BadField("before", "is empty", "send the before of an answer; an answer without one was the oldest page")
	case req.After != "":
		return parley.BadField("after", "the newest events, or those before a place, are not after one", "send after without tail and before")
	case req.Wait > 0 && c.Query.Has("wait"):
		return parley.BadField("wait", "the newest events are there already", "send wait without tail and before")
	}
	req.Wait, req.Applied = 0, ""
	page, err := a.opt.Hub.Tail(c.Context(), sub, n, before)
	if err != nil {
		return inParam("before", err)
	}
	return writePage(c, req, poll.PageOf(page), options)
}

// inParam names the parameter that an error about a cursor is about: the sealer
// and the hub do not know where it came from.
func inParam(name string, err error) error {
	e, ok := err.(*parley.Error) //nolint:errorlint // only theirs, unwrapped
	if !ok || e.Field != "cursor" && e.Field != "after" {
		return err
	}
	at := *e
	at.Field = name
	return &at
}

// withEarliest adds to an error about a trimmed place the cursor to go on from: at
// the oldest event of the streams that lost some, and where the reader was in all
// others.
func (a *API) withEarliest(c *door.Call, r pubsub.Request, err error) error {
	if parley.CodeOf(err) != parley.Trimmed {
		return err
	}
	r.Strict, r.From = false, pubsub.After(c.Query.Get("after"))
	sub, lost := a.opt.Hub.Subscribe(c.Context(), r)
	if lost != nil {
		return err // the first error says more
	}
	defer sub.Close()
	return &door.StatusError{Err: err, Earliest: sub.Cursor()}
}

func writePage(c *door.Call, req poll.Request, page poll.Page, o poll.Options) error {
	h := c.W.Header()
	status := poll.SetHeader(h, req, page, o)
	h.Add("Vary", "Accept")
	if req.Wait > 0 && c.R.ProtoMajor > 1 { // the answer's time begins now
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
	if status == http.StatusNotModified {
		c.W.WriteHeader(status)
		return nil
	}
	body := append(poll.AppendPage(nil, page), '\n')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.W.WriteHeader(status)
	if c.R.Method == http.MethodHead {
		return nil
	}
	_, err := c.W.Write(body)
	return clientGone(err)
}
