package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
)

// PartitionEvents is what a reader of one partition is given.
type PartitionEvents struct {
	Events []map[string]any `json:"events"` // CloudEvents in JSON
	// Positions are those of the events, in order.
	Positions []parley.Position `json:"positions"`
	// Next is the position to go on from.
	Next parley.Position `json:"next"`
}

func (a *API) readRoute() door.Route {
	return door.Route{
		Method: http.MethodGet, Path: "/v1/topics/{topic}/partitions/{partition}/events", Name: "partition-read", Pattern: "stream",
		Summary: "Read one partition by positions, at once or held until there is something. The reader keeps its place.",
		Verb:    "read", On: "topic", Answer: PartitionEvents{}, Handle: a.partitionRead,
		Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.BadCursor, parley.Trimmed, parley.Overloaded},
		Params: []door.Param{
			{Name: "position", In: "query", Type: "integer", Description: "that of the first event to read, or `next` of the answer before; 0 is the earliest event"},
			{Name: "after", In: "query", Type: "string", Default: "earliest", Description: "instead: a cursor, earliest, latest, or @ and an RFC 3339 time"},
			{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "most events to answer with, at most 1000"},
			{Name: "max_bytes", In: "query", Type: "integer", Default: "1048576", Description: "about how much the events may have together, at most 8388608; one always comes"},
			{Name: "wait", In: "query", Type: "duration", Default: "0s", Description: "hold the request until there is something, at most 55s"},
		},
		Example: `curl 'http://127.0.0.1:7275/v1/topics/orders/partitions/0/events?position=1'`,
	}
}

// placeParam reads where a reader of a partition begins: a position, or from.
func placeParam(q url.Values) (at parley.Position, from stream.From, err error) {
	after, err := param(q, "after")
	if err != nil {
		return 0, from, err
	}
	text, err := param(q, "position")
	switch {
	case err != nil:
		return 0, from, err
	case text == "":
		from, err = stream.ParseFrom("after", after)
		return 0, from, err
	case after != "":
		return 0, from, parley.BadField("position", "there is after, too", "send one of them")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, from, parley.BadField("position", strconv.Quote(text)+" is not a position", "send a whole number from 0")
	}
	return parley.Position(n), from, nil
}

func (a *API) partitionRead(c *door.Call) error {
	partition, err := partitionParam(url.Values{"partition": {c.R.PathValue("partition")}})
	if err != nil {
		return err
	}
	at, from, err := placeParam(c.Query)
	if err != nil {
		return err
	}
	limit, err := countParam(c.Query, "limit", stream.DefaultFetch, stream.MaxFetch)
	if err != nil {
		return err
	}
	room, err := countParam(c.Query, "max_bytes", stream.DefaultMaxBytes, stream.LargestMaxBytes)
	if err != nil {
		return err
	}
	wait, err := spanParam(c.Query, "wait", stream.MaxWait)
	if err != nil {
		return err
	}
	r, err := a.opt.Groups.Reader(c.Context(), c.R.PathValue("topic"), partition, from)
	if err != nil {
		return err
	}
	if c.Query.Has("position") {
		r.Seek(at)
	}
	list, err := r.Fetch(c.Context(), limit, room)
	if err == nil && len(list) == 0 && wait > 0 {
		list, err = a.awaitEvents(c, r, limit, room, wait)
	}
	if err != nil {
		return err
	}
	return writeFetched(c.W, http.StatusOK, appendRead(nil, list, r.Position()))
}

// awaitEvents holds a request until there is something to read, or the wait is over.
func (a *API) awaitEvents(c *door.Call, r *stream.Reader, limit, room int, wait time.Duration) ([]stream.Message, error) {
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return nil, errNoRoom
	}
	live, end, err := a.holdLease(c)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := context.WithTimeoutCause(live, wait, errWaited)
	defer cancel()
	err = r.Wait(ctx)
	if c.R.ProtoMajor > 1 { // the answer's time begins now
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
	if err != nil && !errors.Is(context.Cause(ctx), errWaited) {
		return nil, err
	}
	return r.Fetch(live, limit, room)
}

var errWaited = errors.New("there is nothing yet")

// appendRead appends what PartitionEvents is.
func appendRead(dst []byte, list []stream.Message, next parley.Position) []byte {
	dst = append(dst, `{"events":[`...)
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = list[i].Event.AppendJSON(dst)
	}
	dst = append(dst, `],"positions":[`...)
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(list[i].Position), 10)
	}
	return append(strconv.AppendInt(append(dst, `],"next":`...), int64(next), 10), "}\n"...)
}
