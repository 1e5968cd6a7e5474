package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
)

// Topic is a topic as the server shows it.
type Topic struct {
	Name       string          `json:"name"`
	Settings   json.RawMessage `json:"settings"`
	Created    time.Time       `json:"created,omitzero"`
	Events     int64           `json:"events"`
	Bytes      int64           `json:"bytes"`
	Partitions []Partition     `json:"partitions,omitempty"`
}

// Partition is one stream of a topic.
type Partition struct {
	Partition int             `json:"partition"`
	Earliest  parley.Position `json:"earliest"`
	End       parley.Position `json:"end"`
	Events    int64           `json:"events"`
	Bytes     int64           `json:"bytes"`
	Oldest    time.Time       `json:"oldest,omitzero"`
}

// PutTopic creates a topic, or changes those settings that are given. settings is
// a JSON object as the API takes it; nil leaves all as it is.
func (c *Client) PutTopic(ctx context.Context, name string, settings json.RawMessage) (Topic, error) {
	var t Topic
	_, err := c.do(ctx, request{method: http.MethodPut, url: c.url(nil, "v1", "topics", name), header: http.Header{"Content-Type": {"application/json"}}, body: settings}, &t)
	return t, err
}

// Topic shows one topic.
func (c *Client) Topic(ctx context.Context, name string) (Topic, error) {
	var t Topic
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "topics", name)}, &t)
	return t, err
}

// Topics lists all topics that the token may read, page by page.
func (c *Client) Topics(ctx context.Context) ([]Topic, error) {
	all := []Topic{} // in JSON a list, not null
	q := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Topics []Topic `json:"topics"`
			Next   string  `json:"next"`
		}
		if _, err := c.do(ctx, request{method: http.MethodGet, url: c.url(q, "v1", "topics")}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Topics...)
		if page.Next == "" {
			return all, nil
		}
		q.Set("after", page.Next)
	}
}

// DeleteTopic deletes a topic with all its events.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, url: c.url(nil, "v1", "topics", name)}, nil)
	return err
}
