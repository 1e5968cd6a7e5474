package httpapi

import (
	"bytes"
	"net/http"
	"strconv"

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
		Errors: []parley.Code{parley.Invalid, parley.BadCursor, parley.Trimmed, parley.NotFound, parley.Overloaded},
		Params: []door.Param{
			{Name: "after", In: "query", Type: "string", Description: "a cursor, earliest, latest, or @ and an RFC 3339 time; without it the newest events, or with wait the next one"},
			{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "most events to answer with, at most 1000"},
			{Name: "wait", In: "query", Type: "duration", Description: "hold the request until there is something, at most 55s; also Prefer: wait=SECONDS, or wait=true with timeout=SECONDS"},
			{Name: "tail", In: "query", Type: "integer", Description: "the newest so many events, with a cursor to page backwards"},
			{Name: "before", In: "query", Type: "string", Description: "with tail: the page before, from the answer's before"},
			{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "also what is published to ~TOPIC meanwhile"},
		},
		Example: `curl 'http://127.0.0.1:7275/v1/topics/orders/events?after=earliest'`,
	}}
}

func (a *API) poll(c *door.Call) error {
	q := c.R.URL.Query()
	req, err := poll.ParseQuery(q, c.R.Header)
	if err != nil {
		return err
	}
	ephemeral, err := boolParam(c.R, "ephemeral")
	if err != nil {
		return err
	}
	sub := pubsub.Request{Topics: []string{c.R.PathValue("topic")}, Ephemeral: ephemeral, Strict: true}
	options := a.pollOptions(sub.Topics[0])
	if q.Has("tail") || q.Has("before") || req.After == "" && req.Wait == 0 {
		page, err := a.newest(c, sub, req)
		if err != nil {
			return err
		}
		return writePage(c, req, page, options)
	}
	held := &heldPoll{api: a, topics: sub, req: req.First(), options: options, head: c.R.Method == http.MethodHead, http10: !c.R.ProtoAtLeast(1, 1)}
	page, err := held.read(c)
	if err != nil {
		held.Done()
		return err
	}
	if req.Wait == 0 || held.req.Settled(page) {
		held.Done()
		return writePage(c, req, page, options)
	}
	return a.hold(c, held)
}

// pollOptions are what a topic's owner hints at.
func (a *API) pollOptions(name string) poll.Options {
	t, err := a.opt.Topics.Get(name)
	if err != nil {
		return poll.Options{}
	}
	return poll.Options{Hint: t.Settings.PollHint}
}

// newest answers with the newest events, or with those before a cursor.
func (a *API) newest(c *door.Call, sub pubsub.Request, req poll.Request) (poll.Page, error) {
	q := c.R.URL.Query()
	n := req.Limit
	if q.Has("tail") {
		var err error
		if n, err = strconv.Atoi(q.Get("tail")); err != nil || n < 1 || n > poll.MaxLimit {
			return poll.Page{}, parley.BadField("tail", "not a number of events that an answer can hold", "send a whole number from 1 to "+strconv.Itoa(poll.MaxLimit))
		}
	}
	page, err := a.opt.Hub.Tail(c.Context(), sub, n, q.Get("before"))
	if err != nil {
		return poll.Page{}, err
	}
	return poll.PageOf(page), nil
}

func writePage(c *door.Call, req poll.Request, page poll.Page, o poll.Options) error {
	h := c.W.Header()
	status := poll.SetHeader(h, req, page, o)
	h.Add("Vary", "Accept")
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

// hold takes the request out of its handler until it can be answered. Where a
// connection cannot leave net/http (HTTP/2), the handler itself waits.
func (a *API) hold(c *door.Call, held *heldPoll) error {
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		held.Done()
		return errNoRoom
	}
	if c.R.ProtoMajor != 1 || c.R.ContentLength != 0 {
		return held.wait(c)
	}
	held.trace = c.Trace
	conn, buf, err := http.NewResponseController(c.W).Hijack()
	if err != nil {
		return held.wait(c)
	}
	hijacked(c.W, http.StatusOK)
	home := a.opt.Home
	if buf.Reader.Buffered() > 0 || held.http10 || c.R.Close {
		home = nil // what was read already cannot be given back
	}
	a.opt.Lives.Park(conn, home, held.req.Wait, held)
	return nil
}

var errNoRoom = &parley.Error{Code: parley.Overloaded, Detail: "too many streams, sockets and held requests are open", Fix: "try again later, or poll without wait"}

// respond encodes a whole response for a connection that has left net/http.
func respond(dst []byte, status int, h http.Header, body []byte, keepAlive bool) []byte {
	h.Set("Date", httpDate())
	if keepAlive {
		h.Set("Connection", "keep-alive")
	} else {
		h.Set("Connection", "close")
	}
	if status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	out := bytes.NewBuffer(dst)
	out.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = h.Write(out) // to memory
	out.WriteString("\r\n")
	return append(out.Bytes(), body...)
}
