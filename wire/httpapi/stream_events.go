package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
)

// GroupEvents is what a member is given.
type GroupEvents struct {
	Events []map[string]any `json:"events"` // CloudEvents in JSON
	// Places tell where each of the events is.
	Places []stream.Place `json:"places"`
	// Cursor is what to commit when the events are worked off, and to send as after
	// with the next request.
	Cursor     string `json:"cursor"`
	Generation uint64 `json:"generation"`
	// Rebalance says that the others are waited for: ask again.
	Rebalance bool `json:"rebalance"`
	// Assigned are the member's partitions, when the generation has changed.
	Assigned []stream.Place `json:"assigned,omitempty"`
	More     bool           `json:"more"`          // there are events already behind these
	Lag      *int64         `json:"lag,omitempty"` // events behind these; absent when the log cannot tell
}

func (a *API) eventsRoute() door.Route {
	return door.Route{
		Method: http.MethodGet, Path: "/v1/groups/{group}/events", Name: "group-events", Pattern: "stream",
		Summary: "Give a member events of its partitions, at once or held until there are some. To ask is a sign of life, and says that what came before is worked off: in a rebalance, the member is back.",
		Verb:    "consume", On: "group", Answer: GroupEvents{}, Handle: a.groupEvents,
		Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.BadCursor, parley.Trimmed, parley.Conflict, parley.Overloaded, parley.Unavailable, parley.Full, parley.Unknown},
		Params: []door.Param{
			{Name: "member", In: "query", Type: "string", Description: "as join gave it"},
			{Name: "generation", In: "query", Type: "integer", Description: "of the last answer"},
			{Name: "after", In: "query", Type: "string", Description: "the cursor of the last answer; without it the committed places"},
			{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "most events to answer with, at most 1000"},
			{Name: "max_bytes", In: "query", Type: "integer", Default: "1048576", Description: "about how much the events may have together, at most 8388608; one always comes"},
			{Name: "commit", In: "query", Type: "boolean", Default: "false", Description: "what is before after is committed when a rebalance takes partitions away"},
			{Name: "wait", In: "query", Type: "duration", Default: "0s", Description: "hold the request until there are events or another generation, at most 55s"},
		},
		Example: `curl "http://127.0.0.1:7275/v1/groups/billing/events?member=$MEMBER&generation=1&wait=25s"`,
	}
}

// eventsRequest reads the query.
func eventsRequest(c *door.Call) (r stream.FetchRequest, wait time.Duration, err error) {
	if r.Member, err = param(c.Query, "member"); err != nil {
		return r, 0, err
	}
	text, err := param(c.Query, "generation")
	if err != nil {
		return r, 0, err
	}
	if r.Generation, err = strconv.ParseUint(text, 10, 63); err != nil {
		return r, 0, parley.BadField("generation", "is not a number", "send the generation of the last answer")
	}
	if r.After, err = param(c.Query, "after"); err != nil {
		return r, 0, err
	}
	if r.Limit, err = countParam(c.Query, "limit", stream.DefaultFetch, stream.MaxFetch); err != nil {
		return r, 0, err
	}
	if r.MaxBytes, err = countParam(c.Query, "max_bytes", stream.DefaultMaxBytes, stream.LargestMaxBytes); err != nil {
		return r, 0, err
	}
	if r.Commit, err = boolParam(c.Query, "commit"); err != nil {
		return r, 0, err
	}
	wait, err = spanParam(c.Query, "wait", stream.MaxWait)
	return r, wait, err
}

func (a *API) groupEvents(c *door.Call) error {
	r, wait, err := eventsRequest(c)
	if err != nil {
		return err
	}
	g, err := a.group(c)
	if err != nil {
		return err
	}
	who, now := c.Who, c.Now // what is kept of a held request
	r.Allow = func(topic string) error { return door.Decide(who, door.Action{Verb: "read", On: topic}, now) }
	h := &heldFetch{api: a, group: g, req: r, limit: time.Now().Add(wait)}
	if h.look(c.Context()); wait == 0 || h.settled() {
		status, body, err := h.answer()
		if err != nil {
			return err
		}
		return writeFetched(c.W, status, body)
	}
	return a.holdFetch(c, h, wait)
}

func writeFetched(w http.ResponseWriter, status int, body []byte) error {
	fetchedHeader(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return clientGone(err)
}

func fetchedHeader(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // two answers are never alike
}

// heldFetch is a member's request between its first look and its answer: a
// door.Poll. It keeps nothing of the request but what it needs.
type heldFetch struct {
	api    *API
	group  *stream.Group
	req    stream.FetchRequest
	limit  time.Time
	got    *stream.Fetched
	err    error
	wait   *stream.Wait
	trace  door.Trace
	origin string // of the page that asks, when it is a foreign one
	head   bool
	leave  func() // frees the place inside; nil = the handler does
}

// look fetches.
func (h *heldFetch) look(ctx context.Context) { h.got, h.err = h.group.Fetch(ctx, h.req) }

// settled says whether what was fetched is worth an answer.
func (h *heldFetch) settled() bool {
	return h.err != nil || len(h.got.Messages) > 0 || len(h.got.Gaps) > 0 || h.got.Changed
}

// Park implements door.Poll.
func (h *heldFetch) Park(w interface{ Wake() }) bool {
	wait, err := h.group.Park(h.api.opt.Context, h.got, w.Wake)
	if err != nil {
		h.err = err
		return false
	}
	h.wait = wait
	return true
}

// unpark ends the wait of Park.
func (h *heldFetch) unpark() {
	if h.wait != nil {
		h.wait.Cancel()
		h.wait = nil
	}
}

// Ready implements door.Poll.
func (h *heldFetch) Ready(last bool) bool {
	h.unpark()
	if h.err == nil {
		h.look(h.api.opt.Context)
	}
	return last || h.settled()
}

// answer is the answer's body, or the error to answer with.
func (h *heldFetch) answer() (status int, body []byte, err error) {
	switch {
	case h.err != nil:
		return 0, nil, h.err
	case len(h.got.Gaps) > 0:
		gap := h.got.Gaps[0]
		return 0, nil, &door.StatusError{Earliest: h.got.Resume, Err: &parley.Error{
			Code: parley.Trimmed, Field: "after", Earliest: gap.To,
			Detail: "events of " + gap.Topic + "/" + strconv.Itoa(gap.Partition) + " from position " + strconv.FormatInt(int64(gap.From), 10) + " on are no longer kept",
			Fix:    "go on with after=, and the cursor in earliest, which is behind what is gone",
		}}
	}
	return http.StatusOK, append(appendFetched(nil, h.got), '\n'), nil
}

// Answer implements door.Poll.
func (h *heldFetch) Answer(dst []byte, keepAlive bool) []byte {
	header := http.Header{}
	if h.origin != "" {
		allowOrigin(header, h.origin)
	}
	if len(h.api.opt.Access.Origins) > 0 {
		header.Add("Vary", "Origin")
	}
	status, body, err := h.answer()
	if err != nil {
		status, body = door.SetProblem(header, err, h.trace)
		return respond(dst, status, header, body, h.head, keepAlive)
	}
	fetchedHeader(header)
	return respond(dst, status, header, body, h.head, keepAlive)
}

// Done implements door.Poll.
func (h *heldFetch) Done() {
	h.unpark()
	if h.leave != nil {
		h.leave()
	}
}

// holdFetch takes the request out of its handler until it can be answered. Where a
// connection cannot leave net/http (HTTP/2), the handler itself waits.
func (a *API) holdFetch(c *door.Call, h *heldFetch, wait time.Duration) error {
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return errNoRoom
	}
	conn, home, ok := a.depart(c)
	if !ok {
		return h.stay(c)
	}
	h.leave = c.Keep()
	h.trace, h.origin, h.head = c.Trace, c.W.Header().Get(corsAllow), c.R.Method == http.MethodHead
	a.opt.Lives.Park(conn, home, wait, h)
	return nil
}

// stay is Park and Answer in the handler's goroutine.
func (h *heldFetch) stay(c *door.Call) error {
	defer h.Done()
	ctx, end, err := h.api.holdLease(c)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithDeadline(ctx, h.limit)
	defer cancel()
	for !h.settled() && ctx.Err() == nil {
		woken := make(waker, 1)
		if h.Park(woken) {
			select {
			case <-woken:
			case <-ctx.Done():
			}
		}
		if c.Context().Err() != nil {
			return clientGone(c.Context().Err())
		}
		h.Ready(false)
	}
	status, body, err := h.answer()
	if err != nil {
		return err
	}
	if c.R.ProtoMajor > 1 { // the answer's time begins now
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
	return writeFetched(c.W, status, body)
}

// appendFetched appends what GroupEvents is; the events as every poll has them.
func appendFetched(dst []byte, f *stream.Fetched) []byte {
	dst = append(dst, `{"events":[`...)
	for i := range f.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.Messages[i].Event.AppendJSON(dst)
	}
	dst = append(dst, `],"places":[`...)
	for i := range f.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		m := &f.Messages[i]
		dst = append(append(append(dst, `{"topic":"`...), m.Topic...), `","partition":`...) // names of topics need no escapes
		dst = append(strconv.AppendInt(dst, int64(m.Partition), 10), `,"position":`...)
		dst = append(strconv.AppendInt(dst, int64(m.Position), 10), '}')
	}
	dst = append(append(append(dst, `],"cursor":"`...), f.Cursor...), `","generation":`...)
	dst = strconv.AppendUint(dst, f.Generation, 10)
	dst = strconv.AppendBool(append(dst, `,"rebalance":`...), f.Rebalance)
	dst = strconv.AppendBool(append(dst, `,"more":`...), f.More)
	if f.Lag >= 0 && !f.Rebalance {
		dst = strconv.AppendInt(append(dst, `,"lag":`...), f.Lag, 10)
	}
	if f.Changed {
		assigned, _ := json.Marshal(f.Assigned) // names and numbers
		dst = append(append(dst, `,"assigned":`...), assigned...)
	}
	return append(dst, '}')
}
