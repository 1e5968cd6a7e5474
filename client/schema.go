package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Schema is one version of the JSON Schema of a topic's events.
type Schema struct {
	Topic string `json:"topic"`
	// Type is that of the events it is for; empty is all events of the topic.
	Type    string `json:"type,omitempty"`
	Version int    `json:"version"`
	// Compatibility is none, backward, forward, full, or one of the last three with
	// _transitive behind it.
	Compatibility string    `json:"compatibility"`
	Created       time.Time `json:"created"`
	// Schema is the text, compact; absent in lists.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// SchemaConflict is one place where a schema is not shown to fit a version before.
type SchemaConflict struct {
	// Direction is backward, and Path is in the new schema; or forward, and Path is
	// in the old one.
	Direction string `json:"direction"`
	Version   int    `json:"version"`
	Path      string `json:"path"` // JSON Pointer
	Keyword   string `json:"keyword"`
	Text      string `json:"text"`
	// Undecided says that it may fit, but that nothing can prove it.
	Undecided bool `json:"undecided,omitempty"`
}

// SchemaFailure says where data breaks a schema.
type SchemaFailure struct {
	Path    string `json:"path"` // JSON Pointer in the data
	Keyword string `json:"keyword,omitempty"`
	Schema  string `json:"schema,omitempty"` // JSON Pointer in the schema
	Text    string `json:"text"`
}

// SchemaCheck is what CheckSchema asks; at least one of Schema and Data is there.
type SchemaCheck struct {
	Schema        json.RawMessage `json:"schema,omitempty"`
	Compatibility string          `json:"compatibility,omitempty"` // empty: the one there is
	Data          json.RawMessage `json:"data,omitempty"`          // held to Schema, or else to the schemas of the topic
}

// SchemaAnswer is what it says; nil is what was not asked.
type SchemaAnswer struct {
	Compatible *bool            `json:"compatible,omitempty"`
	Conflicts  []SchemaConflict `json:"conflicts,omitempty"`
	Valid      *bool            `json:"valid,omitempty"`
	Failure    *SchemaFailure   `json:"failure,omitempty"`
}

// schemaURL is a path below a topic for the events of a type.
func (c *Client) schemaURL(topic, kind string, more ...string) string {
	q := url.Values{}
	if kind != "" {
		q.Set("type", kind)
	}
	return c.url(q, append([]string{"v1", "topics", topic, "schema"}, more...)...)
}

// PutSchema makes text the newest version of the schema for the events of a type,
// "" for all events of the topic. compatibility "" keeps the rule there is, or is
// backward. The version that is the newest already is answered as it is. Errors:
// Invalid (the schema cannot be), Unprocessable (the rule does not let it through),
// NotFound, TooLarge, Overloaded, ….
func (c *Client) PutSchema(ctx context.Context, topic, kind string, text json.RawMessage, compatibility string) (Schema, error) {
	var s Schema
	body, err := json.Marshal(SchemaCheck{Schema: text, Compatibility: compatibility})
	if err != nil {
		return s, parley.BadField("schema", err.Error(), "send JSON")
	}
	_, err = c.do(ctx, request{method: http.MethodPut, url: c.schemaURL(topic, kind), header: http.Header{"Content-Type": {"application/json"}}, body: body}, &s)
	return s, err
}

// Schema shows a version of a schema; number 0 is the newest.
func (c *Client) Schema(ctx context.Context, topic, kind string, number int) (Schema, error) {
	var s Schema
	at := c.schemaURL(topic, kind)
	if number != 0 {
		at = c.schemaURL(topic, kind, "versions", strconv.Itoa(number))
	}
	_, err := c.do(ctx, request{method: http.MethodGet, url: at}, &s)
	return s, err
}

// Schemas lists the newest schemas of a topic, without their text: that for all
// events first, then by type.
func (c *Client) Schemas(ctx context.Context, topic string) ([]Schema, error) {
	var out struct {
		Schemas []Schema `json:"schemas"`
	}
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "topics", topic, "schemas")}, &out)
	return out.Schemas, err
}

// SchemaVersions lists the versions of a schema, oldest first, without their text.
func (c *Client) SchemaVersions(ctx context.Context, topic, kind string) ([]Schema, error) {
	var out struct {
		Versions []Schema `json:"versions"`
	}
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.schemaURL(topic, kind, "versions")}, &out)
	return out.Versions, err
}

// CheckSchema asks whether a schema could be the newest version, or whether data is
// valid. Nothing changes, and a no is no error.
func (c *Client) CheckSchema(ctx context.Context, topic, kind string, check SchemaCheck) (SchemaAnswer, error) {
	var out SchemaAnswer
	body, err := json.Marshal(check)
	if err != nil {
		return out, parley.BadField("schema", err.Error(), "send JSON")
	}
	_, err = c.do(ctx, request{method: http.MethodPost, url: c.schemaURL(topic, kind, "check"), header: http.Header{"Content-Type": {"application/json"}}, body: body}, &out)
	return out, err
}

// DeleteSchema deletes a schema with all its versions.
func (c *Client) DeleteSchema(ctx context.Context, topic, kind string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, url: c.schemaURL(topic, kind)}, nil)
	return err
}
