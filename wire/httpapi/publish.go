package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/wire/door"
)

// PlacedEvent is where an event went.
type PlacedEvent struct {
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Position  parley.Position `json:"position"`
	ID        string          `json:"id"`
}

// PublishAnswer is the answer to a publish: an entry for each event, in order.
type PublishAnswer struct {
	Events []PlacedEvent `json:"events"`
}

// PublishAll is the body of a publish to several topics.
type PublishAll struct {
	Topics []PublishTopic `json:"topics"`
}

// PublishTopic is the events for one topic, each a CloudEvent in JSON. An event
// may leave out id, source and type.
type PublishTopic struct {
	Topic  string            `json:"topic"`
	Events []json.RawMessage `json:"events"`
}

func (a *API) publishRoutes() []door.Route {
	errs := []parley.Code{
		parley.Invalid, parley.TooLarge, parley.NotFound, parley.Unprocessable, parley.KeyReused, parley.Unsupported, parley.Timeout,
		parley.Overloaded, parley.Unavailable, parley.Full, parley.Unknown,
	}
	key := door.Param{Name: "Idempotency-Key", In: "header", Type: "string", Description: "makes the request happen once: a repeat within the window answers the first positions, and the key with other content is refused with 422"}
	return []door.Route{
		{
			Method: http.MethodPost, Path: "/v1/topics/{topic}/events", Name: "publish", Summary: "Publish events to a topic.",
			Verb: "publish", On: "topic", Status: http.StatusCreated, Answer: PublishAnswer{}, Errors: errs, Handle: a.publish,
			Params: []door.Param{
				key,
				{Name: "Parley-Key", In: "header", Type: "string", Description: "orders events that have no partitionkey: those of one key keep their order"},
				{Name: "Parley-Type", In: "header", Type: "string", Default: topic.DefaultType, Description: "type of events that are plain data"},
				{Name: "Parley-Subject", In: "header", Type: "string", Description: "subject of events that are plain data"},
				{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "publish to ~TOPIC: delivered to who listens now, never stored"},
			},
			Example: `curl -d '{"total": 12}' -H 'Content-Type: application/json' http://127.0.0.1:7275/v1/topics/orders/events`,
		},
		{
			Method: http.MethodPost, Path: "/v1/publish", Name: "publish-all", Summary: "Publish to several topics in one commit: all or none.",
			Verb: "", Late: true, Status: http.StatusCreated, Request: PublishAll{}, Answer: PublishAnswer{}, Errors: append(slices.Clone(errs), parley.Apart), Handle: a.publishAll,
			Params:  []door.Param{key},
			Example: `curl -d '{"topics":[{"topic":"orders","events":[{"data":{"id":1}}]},{"topic":"audit","events":[{"data":"order 1"}]}]}' http://127.0.0.1:7275/v1/publish`,
		},
	}
}

func (a *API) publish(c *door.Call) error {
	name := c.R.PathValue("topic")
	ephemeral, err := boolParam(c.Query, "ephemeral")
	if err != nil {
		return err
	}
	if ephemeral && !topic.IsEphemeral(name) {
		name = "~" + name
	}
	key, err := idempotencyKey(c.R.Header)
	if err != nil {
		return err
	}
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // a publish copies what it stores
	m, err := messageOf(c.R.Header, body.Bytes())
	if err != nil {
		return err
	}
	stampAll(m.events, c.Trace, c.R.Header)
	placed, replayed, err := a.opt.Topics.Publish(c.Context(), name, m.events, topic.PublishOptions{IdempotencyKey: key})
	if err != nil {
		return keyMisused(key, m.asSent(err))
	}
	return answerPlaced(c.W, placed, replayed)
}

func (a *API) publishAll(c *door.Call) error {
	key, err := idempotencyKey(c.R.Header)
	if err != nil {
		return err
	}
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // the decoder copies, and so does a publish
	var in PublishAll
	if err := decodeStrict(body.Bytes(), &in); err != nil {
		return err
	}
	batches := make([]topic.TopicEvents, len(in.Topics))
	names := make([]string, len(in.Topics))
	total := 0
	for i, t := range in.Topics {
		names[i] = t.Topic
		if err := c.Allow("publish", t.Topic); err != nil {
			return err
		}
		if err := topic.CheckName(t.Topic); err != nil {
			return inTopic(err, i)
		}
		if total += len(t.Events); total > parley.MaxBatchEvents {
			return tooManyEvents()
		}
		if batches[i], err = topicEvents(t); err != nil {
			return inTopic(err, i)
		}
		stampAll(batches[i].Events, c.Trace, c.R.Header)
	}
	if err := c.Admit(names...); err != nil {
		return err
	}
	placed, replayed, err := a.opt.Topics.PublishAll(c.Context(), batches, topic.PublishOptions{IdempotencyKey: key})
	if err != nil {
		return keyMisused(key, inRequest(err, batches))
	}
	return answerPlaced(c.W, placed, replayed)
}

func topicEvents(t PublishTopic) (topic.TopicEvents, error) {
	out := topic.TopicEvents{Topic: t.Topic, Events: make([]parley.Event, len(t.Events))}
	for j, raw := range t.Events {
		e, err := parley.ParsePartialJSON(raw)
		if err != nil {
			return out, parley.AtIndex(err, j)
		}
		out.Events[j] = e
	}
	return out, nil
}

func tooManyEvents() error {
	return &parley.Error{Code: parley.TooLarge, Field: "body", Detail: "more than " + strconv.Itoa(parley.MaxBatchEvents) + " events", Fix: "send several requests"}
}

// inTopic says of which topic of the request an error is.
func inTopic(err error, i int) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Field = "topics[" + strconv.Itoa(i) + "]." + e.Field
	return &at
}

// inRequest turns the index of an event among all into that within its topic, as
// the request has it.
func inRequest(err error, batches []topic.TopicEvents) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	digits, rest, ok := strings.Cut(strings.TrimPrefix(e.Field, "events["), "]")
	n, bad := strconv.Atoi(digits)
	if !ok || bad != nil {
		return err
	}
	for i, b := range batches {
		if n < len(b.Events) {
			at := *e
			at.Field = "topics[" + strconv.Itoa(i) + "].events[" + strconv.Itoa(n) + "]" + rest
			return &at
		}
		n -= len(b.Events)
	}
	return err
}

// keyMisused makes a reused Idempotency-Key a 422, as its specification asks
// (draft-ietf-httpapi-idempotency-key-header §2.7); a reused event id stays 409.
func keyMisused(key string, err error) error {
	if key == "" || parley.CodeOf(err) != parley.KeyReused {
		return err
	}
	return &door.StatusError{Status: http.StatusUnprocessableEntity, Err: err}
}

func answerPlaced(w http.ResponseWriter, placed []topic.Placed, replayed bool) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	out := make([]byte, 0, 32+96*len(placed))
	out = append(out, `{"events":[`...)
	for i, p := range placed {
		if i > 0 {
			out = append(out, ',')
		}
		out = parley.AppendJSONString(append(out, `{"topic":`...), p.Topic)
		out = strconv.AppendInt(append(out, `,"partition":`...), int64(p.Partition), 10)
		out = strconv.AppendInt(append(out, `,"position":`...), int64(p.Position), 10)
		out = append(parley.AppendJSONString(append(out, `,"id":`...), p.ID), '}')
	}
	out = append(out, "]}\n"...)
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(http.StatusCreated)
	_, err := w.Write(out)
	return clientGone(err)
}

// stampAll gives the events the trace of their request, unless they have their own.
func stampAll(events []parley.Event, t door.Trace, h http.Header) {
	for i := range events {
		stamp(&events[i], t, h)
	}
}

// stamp is stampAll of one event. Without a trace in the request, nobody traces.
func stamp(e *parley.Event, t door.Trace, h http.Header) {
	if h.Get("Traceparent") != "" && e.Extensions["traceparent"] == "" {
		e.Set("traceparent", t.String())
	}
}
