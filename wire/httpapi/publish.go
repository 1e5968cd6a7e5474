package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"unicode/utf8"

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
	errs := []parley.Code{parley.Invalid, parley.TooLarge, parley.NotFound, parley.KeyReused, parley.Unprocessable, parley.Unsupported, parley.Full, parley.Unknown}
	key := door.Param{Name: "Idempotency-Key", In: "header", Type: "string", Description: "makes the request happen once: a repeat within the window answers the first positions"}
	return []door.Route{
		{
			Method: http.MethodPost, Path: "/v1/topics/{topic}/events", Name: "publish", Summary: "Publish events to a topic.",
			Verb: "publish", On: "topic", Status: http.StatusCreated, Answer: PublishAnswer{}, Errors: errs, Handle: a.publish,
			Params: []door.Param{key,
				{Name: "Parley-Key", In: "header", Type: "string", Description: "orders the event: events of one key keep their order"},
				{Name: "Parley-Type", In: "header", Type: "string", Default: topic.DefaultType, Description: "type of an event that is plain data"},
				{Name: "Parley-Subject", In: "header", Type: "string", Description: "subject of an event that is plain data"},
				{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "publish to ~TOPIC: delivered to who listens now, never stored"},
			},
			Example: `curl -d '{"total": 12}' -H 'Content-Type: application/json' http://127.0.0.1:7275/v1/topics/orders/events`,
		},
		{
			Method: http.MethodPost, Path: "/v1/publish", Name: "publish-all", Summary: "Publish to several topics in one commit: all or none.",
			Verb: "", Status: http.StatusCreated, Request: PublishAll{}, Answer: PublishAnswer{}, Errors: append(errs, parley.Apart), Handle: a.publishAll,
			Params:  []door.Param{key},
			Example: `curl -d '{"topics":[{"topic":"orders","events":[{"data":{"id":1}}]},{"topic":"audit","events":[{"data":"order 1"}]}]}' http://127.0.0.1:7275/v1/publish`,
		},
	}
}

func (a *API) publish(c *door.Call) error {
	name := c.R.PathValue("topic")
	ephemeral, err := boolParam(c.R, "ephemeral")
	if err != nil {
		return err
	}
	if ephemeral && !topic.IsEphemeral(name) {
		name = "~" + name
	}
	body, err := readBody(c.R)
	if err != nil {
		return err
	}
	events, err := eventsOf(c.R.Header, body)
	if err != nil {
		return err
	}
	stamp(events, c.Trace, c.R.Header)
	placed, replayed, err := a.opt.Topics.Publish(c.Context(), name, events, topic.PublishOptions{IdempotencyKey: c.R.Header.Get("Idempotency-Key")})
	if err != nil {
		return keyMisused(c.R, err)
	}
	return answerPlaced(c.W, placed, replayed)
}

func (a *API) publishAll(c *door.Call) error {
	body, err := readBody(c.R)
	if err != nil {
		return err
	}
	var in PublishAll
	if err := decodeStrict(body, &in); err != nil {
		return err
	}
	batches := make([]topic.TopicEvents, len(in.Topics))
	for i, t := range in.Topics {
		if err := c.Allow("publish", t.Topic); err != nil {
			return err
		}
		batches[i].Topic = t.Topic
		for j, raw := range t.Events {
			e, err := parley.ParsePartialJSON(raw)
			if err != nil {
				return inTopic(parley.AtIndex(err, j), i)
			}
			batches[i].Events = append(batches[i].Events, e)
		}
		stamp(batches[i].Events, c.Trace, c.R.Header)
	}
	placed, replayed, err := a.opt.Topics.PublishAll(c.Context(), batches, topic.PublishOptions{IdempotencyKey: c.R.Header.Get("Idempotency-Key")})
	if err != nil {
		return keyMisused(c.R, err)
	}
	return answerPlaced(c.W, placed, replayed)
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

// keyMisused makes a reused Idempotency-Key a 422, as its specification asks
// (draft-ietf-httpapi-idempotency-key-header §2.7); a reused event id stays 409.
func keyMisused(r *http.Request, err error) error {
	var e *parley.Error
	if r.Header.Get("Idempotency-Key") == "" || !errors.As(err, &e) || e.Code != parley.KeyReused {
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

// eventsOf reads the events of a message: CloudEvents in any mode, NDJSON as one
// event a line, anything else as the data of one event.
func eventsOf(h http.Header, body []byte) ([]parley.Event, error) {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if media == "application/x-ndjson" || media == "application/jsonl" {
		return ndjson(h, body)
	}
	events, mode, err := parley.ParseHTTP(h, body)
	if err != nil || mode != parley.Plain {
		return events, err
	}
	// What curl -d says of any body: it is not what the user meant.
	if media == "application/x-www-form-urlencoded" {
		events[0].DataContentType = sniff(body)
	}
	return events, plain(h, events)
}

// plain completes events that are just data by the Parley- headers.
func plain(h http.Header, events []parley.Event) error {
	for i := range events {
		e := &events[i]
		e.Type, e.Subject = h.Get("Parley-Type"), h.Get("Parley-Subject")
		if key := h.Get("Parley-Key"); key != "" {
			e.Set(parley.PartitionKey, key)
		}
	}
	return nil
}

// sniff tells JSON from text from bytes.
func sniff(body []byte) string {
	switch {
	case json.Valid(body):
		return "application/json"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// ndjson makes each line an event: its data, byte for byte without the line end.
func ndjson(h http.Header, body []byte) ([]parley.Event, error) {
	var events []parley.Event
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, len(body)+1)
	lines.Split(scanLF)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !json.Valid(line) {
			return nil, parley.BadField("line "+strconv.Itoa(n), "not valid JSON", "send one JSON value a line, or another content type")
		}
		if len(events) == parley.MaxBatchEvents {
			return nil, &parley.Error{Code: parley.TooLarge, Field: "body", Detail: "more than " + strconv.Itoa(parley.MaxBatchEvents) + " lines", Fix: "send several requests"}
		}
		events = append(events, parley.Event{DataContentType: "application/json", Data: line})
	}
	if len(events) == 0 {
		return nil, parley.BadField("body", "no line holds an event", "send one JSON value a line")
	}
	return events, plain(h, events)
}

// scanLF splits at LF alone: a CR at a line's end is white space of its JSON.
func scanLF(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// stamp gives the events the trace of their request, unless they have their own.
func stamp(events []parley.Event, t door.Trace, h http.Header) {
	if h.Get("Traceparent") == "" {
		return // nobody traces
	}
	for i := range events {
		if events[i].Extensions["traceparent"] == "" {
			events[i].Set("traceparent", t.String())
		}
	}
}

func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > 0 && r.ContentLength < 64<<10 {
		body := make([]byte, r.ContentLength) // small: trusting the length costs nothing
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, bodyError(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(r.Body)
	return body, bodyError(err)
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return &parley.Error{Code: parley.TooLarge, Field: "body", Detail: "the body is over " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes", Fix: "send less at a time"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return parley.BadField("body", "the body ended before its Content-Length", "send the whole body")
	case parley.CodeOf(err) == parley.Timeout:
		return &parley.Error{Code: parley.Timeout, Field: "body", Detail: "the body did not arrive in time", Fix: "send it faster, or in smaller parts"}
	}
	return parley.Errorf(parley.Canceled, "reading the body: %w", err)
}
