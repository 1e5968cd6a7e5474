package httpapi

import (
	"net/http"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

func (a *API) websocketRoutes() []door.Route {
	return []door.Route{{
		Method: http.MethodGet, Path: "/v1/topics/{topic}/ws", Name: "websocket", Pattern: "websocket",
		Summary: "A WebSocket on a topic: each message sent is published, each event's data arrives as a message. With the subprotocol parley.v1, whole events arrive with their cursor.",
		Verb:    "read", On: "topic", Status: http.StatusSwitchingProtocols, Handle: a.websocket,
		Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unprocessable, parley.Unsupported, parley.Overloaded},
		Params: []door.Param{
			{Name: "after", In: "query", Type: "string", Default: "latest", Description: "a cursor, earliest, latest, or @ and an RFC 3339 time"},
			{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "also what is published to ~TOPIC"},
		},
		Example: `websocat 'ws://127.0.0.1:7275/v1/topics/chat/ws?after=earliest'`,
	}}
}

func (a *API) websocket(c *door.Call) error {
	name := strings.Clone(c.R.PathValue("topic")) // it outlives the request
	after, err := param(c.Query, "after")
	if err != nil {
		return err
	}
	from, err := pubsub.ParseFrom(after)
	if err != nil {
		return err
	}
	ephemeral, err := boolParam(c.Query, "ephemeral")
	if err != nil {
		return err
	}
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return errNoRoom
	}
	sub, err := a.opt.Hub.Subscribe(c.Context(), pubsub.Request{Topics: []string{name}, From: from, Ephemeral: ephemeral})
	if err != nil {
		return err
	}
	conn, err := websocket.Upgrade(c.W, c.R, a.socketOptions(c))
	if err != nil {
		sub.Close()
		return errAnswered
	}
	hijacked(c.W, http.StatusSwitchingProtocols)
	s := &socket{
		api: a, conn: conn, sub: sub, topic: name, asks: c.Message("publish", name), leave: c.Keep(),
		opening: conn.Subprotocol() == websocket.Framed,
	}
	s.start()
	return nil
}

// errAnswered says that the request was refused already.
var errAnswered = &parley.Error{Code: parley.Invalid, Detail: "refused"}

func (a *API) socketOptions(c *door.Call) websocket.Options {
	trace := c.Trace
	return websocket.Options{
		Origins:      []string{"*"}, // Access has checked the origin
		Subprotocols: []string{websocket.Framed},
		Compression:  true,
		MaxMessage:   int(min(a.opt.Limits.Body, topic.LargestMaxEvent)),

		MessageTimeout: a.opt.Limits.BodyTime,
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			door.WriteProblem(w, &door.StatusError{Status: status, Err: err}, trace)
		},
	}
}
