package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
)

// Placed tells where an event went.
type Placed struct {
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Position  parley.Position `json:"position"`
	ID        string          `json:"id"`
}

// TopicEvents are the events for one topic of PublishAll.
type TopicEvents struct {
	Topic  string
	Events []parley.Event
}

// Publish publishes events to a topic and returns when they are durable. An event
// without id, source or type gets them. Events of one partition are appended
// together; all of them are acknowledged, or the error is returned. One event
// that comes with its own id is published once, however often it is sent within
// the server's window; more events, and one without an id, are new with each
// call: see PublishOnce. Errors are those of the server: Invalid, TooLarge,
// NotFound, Forbidden, KeyReused, Full, Unknown, ….
func (c *Client) Publish(ctx context.Context, topic string, events ...parley.Event) ([]Placed, error) {
	key := rand.Text()
	if len(events) == 1 && events[0].ID != "" {
		key = "" // its id is the key, and must be the same in another call
	}
	placed, _, err := c.publishTo(ctx, key, topic, events)
	return placed, err
}

// PublishOnce is Publish under an idempotency key of the caller's: the same events
// under the same key are published once, also by another process. replayed says
// that they were there already, at the places that are returned. Other events
// under the key are refused with KeyReused. The key, at most 255 bytes, belongs to
// the topic; events without an id get one that is made of it.
func (c *Client) PublishOnce(ctx context.Context, key, topic string, events ...parley.Event) (placed []Placed, replayed bool, err error) {
	return c.publishTo(ctx, key, topic, events)
}

func (c *Client) publishTo(ctx context.Context, key, topic string, events []parley.Event) ([]Placed, bool, error) {
	events = complete(topic, key, 0, events)
	return c.publish(ctx, request{
		method: http.MethodPost, url: c.url(nil, "v1", "topics", topic, "events"),
		header: keyed(key, parley.BatchedType),
		body:   parley.AppendJSONBatch(nil, events),
	})
}

func keyed(key, contentType string) http.Header {
	h := http.Header{"Content-Type": {contentType}}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	return h
}

// PublishEphemeral publishes to who listens now: nothing is stored.
func (c *Client) PublishEphemeral(ctx context.Context, topic string, events ...parley.Event) ([]Placed, error) {
	events = complete(topic, "", 0, events)
	placed, _, err := c.publish(ctx, request{
		method: http.MethodPost, url: c.url(url.Values{"ephemeral": {"true"}}, "v1", "topics", topic, "events"),
		header: keyed("", parley.BatchedType),
		body:   parley.AppendJSONBatch(nil, events),
	})
	return placed, err
}

// PublishAll publishes to several topics in one commit: all or none.
func (c *Client) PublishAll(ctx context.Context, topics ...TopicEvents) ([]Placed, error) {
	placed, _, err := c.PublishAllOnce(ctx, rand.Text(), topics...)
	return placed, err
}

// PublishAllOnce is PublishAll under an idempotency key of the caller's; see
// PublishOnce. The key is one of all requests to several topics.
func (c *Client) PublishAllOnce(ctx context.Context, key string, topics ...TopicEvents) (placed []Placed, replayed bool, err error) {
	body := []byte(`{"topics":[`)
	first := 0
	for i, t := range topics {
		if i > 0 {
			body = append(body, ',')
		}
		events := complete(t.Topic, key, first, t.Events)
		first += len(events)
		body = parley.AppendJSONString(append(body, `{"topic":`...), t.Topic)
		body = parley.AppendJSONBatch(append(body, `,"events":`...), events)
		body = append(body, '}')
	}
	return c.publish(ctx, request{
		method: http.MethodPost, url: c.url(nil, "v1", "publish"),
		header: keyed(key, "application/json"),
		body:   append(body, "]}"...),
	})
}

func (c *Client) publish(ctx context.Context, r request) (placed []Placed, replayed bool, err error) {
	var out struct {
		Events []Placed `json:"events"`
	}
	res, err := c.do(ctx, r, &out)
	if err != nil {
		return nil, false, err
	}
	return out.Events, isReplay(res), nil
}

// isReplay says that an answer is that of an earlier request with the same key.
func isReplay(res *http.Response) bool { return res.Header.Get("Idempotent-Replayed") == "true" }

// complete gives the events what a CloudEvent needs. Under a key an id is made of
// it and of the event's index in the request, so that a request that is put
// together again is the same; without one it is new. The caller's events stay as
// they are: with an id of this call they would not be new in the next.
func complete(topic, key string, first int, events []parley.Event) []parley.Event {
	return completeAs(topic, key, first, events, "/topics/", "parley.event")
}

// completeAs is complete with the source, but for the name, and the type.
func completeAs(topic, key string, first int, events []parley.Event, source, kind string) []parley.Event {
	events = slices.Clone(events)
	for i := range events {
		e := &events[i]
		switch {
		case e.ID != "":
		case key != "":
			sum := sha256.Sum256([]byte(topic + "\x00" + key + "\x00" + strconv.Itoa(first+i)))
			e.ID = base64.RawURLEncoding.EncodeToString(sum[:16])
		default:
			e.ID = rand.Text()
		}
		if e.Source == "" {
			e.Source = source + url.PathEscape(topic) // a bad name is for the server to tell of
		}
		if e.Type == "" {
			e.Type = kind
		}
	}
	return events
}
