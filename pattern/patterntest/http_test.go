package patterntest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/patterntest"
)

// overHTTP is wire/httpapi, spoken to with net/http alone, as the API's
// documentation says; and with a WebSocket client that is not ours.
type overHTTP struct {
	*wires
	client *http.Client
}

var _ interface {
	patterntest.Door
	patterntest.Publisher
	patterntest.Poller
	patterntest.Streamer
	patterntest.Dialer
} = overHTTP{}

func openHTTP(w *patterntest.World) patterntest.Door {
	wire, client := serveHTTP(w)
	return overHTTP{wire, client}
}

func (h overHTTP) Ways(pattern string) []patterntest.Way {
	switch pattern {
	case "pubsub":
		return []patterntest.Way{{Name: "sse-many", Subscriber: h, Many: true}}
	case "sse":
		return []patterntest.Way{{Name: "sse", Subscriber: oneTopic{h}}}
	case "poll":
		return []patterntest.Way{
			{Name: "long-poll", Subscriber: patterntest.Polling(h, 25*time.Second, 0), Strict: true},
			{Name: "short-poll", Subscriber: patterntest.Polling(h, 0, 5*time.Second), Strict: true, Durable: true},
		}
	case "websocket":
		return []patterntest.Way{{Name: "websocket", Subscriber: sockets{h}}}
	}
	return nil
}

const base = "http://parley.test/v1"

// call sends a request and gives its answer, or the problem as an error.
func (h overHTTP) call(ctx context.Context, method, target string, header http.Header, body []byte) (http.Header, []byte, error) {
	res, err := h.start(ctx, method, target, header, body)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, broken(ctx, err)
	}
	return res.Header, answer, nil
}

func (h overHTTP) start(ctx context.Context, method, target string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	res, err := h.client.Do(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests {
			return nil, throttled(res)
		}
		return nil, problem(res.Body)
	}
	return res, nil
}

// broken is a connection that was lost, unless it was left.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return parley.Errorf(parley.Unavailable, "%w", err)
}

// problem reads a problem document (RFC 9457).
func problem(body io.Reader) error {
	var p struct{ Type, Detail string }
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		return parley.Errorf(parley.Internal, "a problem that is none: %w", err)
	}
	code, ok := parley.CodeNamed(p.Type[strings.LastIndexByte(p.Type, ':')+1:])
	if !ok {
		return parley.Errorf(parley.Internal, "problem type %q", p.Type)
	}
	return &parley.Error{Code: code, Detail: p.Detail}
}

func topicURL(name, what string, q url.Values) string {
	return base + "/topics/" + url.PathEscape(name) + "/" + what + "?" + q.Encode()
}

// Publish sends events in the plainest mode that can say what they have.
func (h overHTTP) Publish(ctx context.Context, key, name string, events ...parley.Event) (patterntest.Receipt, error) {
	header := http.Header{}
	body := message(header, events)
	return h.publish(ctx, key, topicURL(name, "events", nil), header, body)
}

func message(header http.Header, events []parley.Event) []byte {
	bare, whole, lines := true, true, true
	for i := range events {
		e := &events[i]
		bare = bare && e.ID == "" && e.Source == "" && e.Type == "" && len(e.Extensions) == 0
		whole = whole && e.ID != "" && e.Source != "" && e.Type != ""
		lines = lines && e.DataContentType == "application/json"
	}
	switch {
	case len(events) == 1 && bare:
		header.Set("Content-Type", events[0].DataContentType)
		return events[0].Data
	case len(events) == 1 && whole:
		events[0].WriteHTTP(header)
		return events[0].Data
	case bare && lines:
		header.Set("Content-Type", "application/x-ndjson")
		var body []byte
		for i := range events {
			body = append(append(body, events[i].Data...), '\n')
		}
		return body
	}
	header.Set("Content-Type", parley.BatchedType)
	return parley.AppendJSONBatch(nil, completed(name(events), events))
}

// name is what events without an id are called after.
func name(events []parley.Event) string { return "event-" + strconv.Itoa(len(events)) }

// completed gives the events that have none an id, a source and a type.
func completed(name string, events []parley.Event) []parley.Event {
	out := append([]parley.Event(nil), events...)
	for i := range out {
		e := &out[i]
		if e.ID == "" {
			e.ID = name + "-" + strconv.Itoa(i)
		}
		if e.Source == "" {
			e.Source = "/test"
		}
		if e.Type == "" {
			e.Type = "test"
		}
	}
	return out
}

func (h overHTTP) PublishAll(ctx context.Context, key string, topics ...topic.TopicEvents) (patterntest.Receipt, error) {
	body := []byte(`{"topics":[`)
	for i, t := range topics {
		if i > 0 {
			body = append(body, ',')
		}
		body = parley.AppendJSONString(append(body, `{"topic":`...), t.Topic)
		body = append(body, `,"events":[`...)
		for j := range t.Events {
			if j > 0 {
				body = append(body, ',')
			}
			body = partial(body, &t.Events[j])
		}
		body = append(body, "]}"...)
	}
	return h.publish(ctx, key, base+"/publish", http.Header{"Content-Type": {"application/json"}}, append(body, "]}"...))
}

// partial writes an event with what it has.
func partial(dst []byte, e *parley.Event) []byte {
	dst = append(append(dst, `{"data":`...), orNull(e.Data)...)
	if e.Type != "" {
		dst = parley.AppendJSONString(append(dst, `,"type":`...), e.Type)
	}
	return append(dst, '}')
}

func orNull(data []byte) []byte {
	if len(data) == 0 {
		return []byte("null")
	}
	return data
}

func (h overHTTP) publish(ctx context.Context, key, target string, header http.Header, body []byte) (patterntest.Receipt, error) {
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	header, answer, err := h.call(ctx, http.MethodPost, target, header, body)
	if err != nil {
		return patterntest.Receipt{}, err
	}
	var out struct{ Events []topic.Placed }
	err = json.Unmarshal(answer, &out)
	return patterntest.Receipt{Placed: out.Events, Replayed: header.Get("Idempotent-Replayed") == "true"}, err
}

func (h overHTTP) Poll(ctx context.Context, name string, q patterntest.PollQuery) (patterntest.PollPage, error) {
	values := url.Values{}
	for key, value := range map[string]string{"after": q.After, "before": q.Before, "limit": count(q.Limit), "tail": count(q.Tail), "wait": "", "ephemeral": ""} {
		if key == "wait" && q.Wait > 0 {
			value = q.Wait.String()
		}
		if key == "ephemeral" && q.Ephemeral {
			value = "true"
		}
		if value != "" {
			values.Set(key, value)
		}
	}
	_, answer, err := h.call(ctx, http.MethodGet, topicURL(name, "events", values), nil, nil)
	if err != nil {
		return patterntest.PollPage{}, err
	}
	var in struct {
		Events         []json.RawMessage
		Cursor, Before string
		More           bool
		NewMessages    int `json:"new_messages"`
	}
	if err := json.Unmarshal(answer, &in); err != nil || in.NewMessages != len(in.Events) {
		return patterntest.PollPage{}, errors.Join(err, errors.New(string(answer)))
	}
	page := patterntest.PollPage{Cursor: in.Cursor, Before: in.Before, More: in.More}
	page.Events, err = parseEvents(in.Events)
	return page, err
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func parseEvents(list []json.RawMessage) (events []parley.Event, err error) {
	for _, raw := range list {
		e, err := parley.ParseJSON(raw)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// lines is a stream of server-sent events, as lines.
type lines struct {
	body io.ReadCloser
	in   *bufio.Scanner
}

// Block implements patterntest.Stream.
func (l *lines) Block() ([]string, error) {
	var block []string
	for l.in.Scan() {
		if l.in.Text() == "" {
			return block, nil
		}
		block = append(block, l.in.Text())
	}
	return nil, errors.Join(io.ErrUnexpectedEOF, l.in.Err())
}

// Close implements patterntest.Stream.
func (l *lines) Close() { _ = l.body.Close() }

func (h overHTTP) Stream(ctx context.Context, name, query, lastEventID string) (patterntest.Stream, error) {
	return h.stream(ctx, base+"/topics/"+url.PathEscape(name)+"/events?"+query, lastEventID)
}

func (h overHTTP) stream(ctx context.Context, target, lastEventID string) (*lines, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if lastEventID != "" {
		header.Set("Last-Event-ID", lastEventID)
	}
	res, err := h.start(ctx, http.MethodGet, target, header, nil)
	if err != nil {
		return nil, err
	}
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		_ = res.Body.Close()
		return nil, errors.New("the answer is " + got)
	}
	l := &lines{body: res.Body, in: bufio.NewScanner(res.Body)}
	l.in.Buffer(nil, 1<<20)
	return l, nil
}

// Subscribe streams whole events of many topics.
func (h overHTTP) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return h.events(ctx, base+"/sse", q)
}

// oneTopic streams a topic.
type oneTopic struct{ overHTTP }

func (o oneTopic) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	target := base + "/topics/" + url.PathEscape(q.Topics[0]) + "/events"
	q.Topics = nil
	return o.events(ctx, target, q)
}

func (h overHTTP) events(ctx context.Context, target string, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return func(yield func(patterntest.Received, error) bool) {
		values := url.Values{"topic": q.Topics, "after": {q.From}, "format": {"cloudevents"}, "ephemeral": {strconv.FormatBool(q.Ephemeral)}}
		st, err := h.stream(ctx, target+"?"+values.Encode(), "")
		if err != nil {
			yield(patterntest.Received{}, err)
			return
		}
		defer st.Close()
		last := ""
		for {
			block, err := st.Block()
			if err != nil {
				yield(patterntest.Received{}, broken(ctx, err))
				return
			}
			got, err := received(block, &last)
			if err != nil {
				yield(got, err)
				return
			}
			if (got.Place || got.Notice != "" || got.ID != "") && !yield(got, nil) {
				return
			}
		}
	}
}

// received reads a block of lines. A comment, or a retry, is the zero Received.
func received(block []string, last *string) (got patterntest.Received, err error) {
	var id, data, event string
	for _, line := range block {
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		}
	}
	switch {
	case event != "":
		got.Notice = event
	case data != "":
		if id != *last { // what is ephemeral has none, or that before it
			got.Cursor = id
		}
		got.Event, err = parley.ParseJSON([]byte(data))
	case id != "":
		got.Place, got.Cursor = true, id
	}
	if id != "" {
		*last = id
	}
	return got, err
}
