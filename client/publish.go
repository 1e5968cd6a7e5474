package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"

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
// together; all of them are acknowledged, or the error is returned. Errors are
// those of the server: Invalid, TooLarge, NotFound, Forbidden, Full, Unknown, ….
func (c *Client) Publish(ctx context.Context, topic string, events ...parley.Event) ([]Placed, error) {
	complete(topic, events)
	return c.publish(ctx, request{
		method: http.MethodPost, url: c.url(nil, "v1", "topics", topic, "events"),
		header: http.Header{"Content-Type": {parley.BatchedType}, "Idempotency-Key": {rand.Text()}},
		body:   parley.AppendJSONBatch(nil, events),
	})
}

// PublishEphemeral publishes to who listens now: nothing is stored.
func (c *Client) PublishEphemeral(ctx context.Context, topic string, events ...parley.Event) ([]Placed, error) {
	complete(topic, events)
	return c.publish(ctx, request{
		method: http.MethodPost, url: c.url(url.Values{"ephemeral": {"true"}}, "v1", "topics", topic, "events"),
		header: http.Header{"Content-Type": {parley.BatchedType}},
		body:   parley.AppendJSONBatch(nil, events),
	})
}

// PublishAll publishes to several topics in one commit: all or none.
func (c *Client) PublishAll(ctx context.Context, topics ...TopicEvents) ([]Placed, error) {
	body := []byte(`{"topics":[`)
	for i, t := range topics {
		if i > 0 {
			body = append(body, ',')
		}
		complete(t.Topic, t.Events)
		body = parley.AppendJSONString(append(body, `{"topic":`...), t.Topic)
		body = parley.AppendJSONBatch(append(body, `,"events":`...), t.Events)
		body = append(body, '}')
	}
	return c.publish(ctx, request{
		method: http.MethodPost, url: c.url(nil, "v1", "publish"),
		header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {rand.Text()}},
		body:   append(body, "]}"...),
	})
}

func (c *Client) publish(ctx context.Context, r request) ([]Placed, error) {
	var out struct {
		Events []Placed `json:"events"`
	}
	_, err := c.do(ctx, r, &out)
	return out.Events, err
}

// complete gives the events what a CloudEvent needs.
func complete(topic string, events []parley.Event) {
	for i := range events {
		e := &events[i]
		if e.ID == "" {
			e.ID = rand.Text()
		}
		if e.Source == "" {
			e.Source = "/topics/" + topic
		}
		if e.Type == "" {
			e.Type = "parley.event"
		}
	}
}
