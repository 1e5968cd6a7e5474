package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// LimitDefinition is a limit as it is put. Members left out have their defaults.
type LimitDefinition struct {
	Limit     string   `json:"limit"`               // "100/1m burst=20"
	Algorithm string   `json:"algorithm,omitempty"` // default token-bucket
	Key       string   `json:"key,omitempty"`       // default ip
	On        []string `json:"on,omitempty"`        // "publish:orders.>", "subscribe", "poll", "request"
	Mode      string   `json:"mode,omitempty"`      // enforce or shadow
	Action    string   `json:"action,omitempty"`    // reject or shape
	MaxWait   string   `json:"max_wait,omitempty"`  // with shape: "5s"
}

// Limit is a limit as the server shows it.
type Limit struct {
	Name string `json:"name"`
	LimitDefinition
	Origin  string    `json:"origin"` // "config" or "api"
	Changed time.Time `json:"changed,omitzero"`
	Keys    int       `json:"keys"`    // that are being counted
	Waiting int       `json:"waiting"` // requests in line
}

// Check asks a limit.
type Check struct {
	Key    string `json:"key,omitempty"`
	Cost   int64  `json:"cost"` // units; 0 is nothing
	Peek   bool   `json:"peek,omitempty"`
	Refund bool   `json:"refund,omitempty"`
}

// Checked is what the limit says.
type Checked struct {
	Allowed    bool
	Limit      int64 // -1 is no limit, …
	Remaining  int64 // … and then this is, too
	RetryAfter time.Duration
	Reset      time.Duration
	Reason     string // why not
}

// Limits lists the limits that the token may check.
func (c *Client) Limits(ctx context.Context) ([]Limit, error) {
	var out struct {
		Limits []Limit `json:"limits"`
	}
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "limits")}, &out)
	return out.Limits, err
}

// PutLimit makes a limit, or replaces it.
func (c *Client) PutLimit(ctx context.Context, name string, def LimitDefinition) (Limit, error) {
	var l Limit
	body, err := json.Marshal(def)
	if err != nil {
		return l, err
	}
	_, err = c.do(ctx, request{method: http.MethodPut, url: c.url(nil, "v1", "limits", name), header: http.Header{"Content-Type": {"application/json"}}, body: body}, &l)
	return l, err
}

// DeleteLimit deletes a limit.
func (c *Client) DeleteLimit(ctx context.Context, name string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, url: c.url(nil, "v1", "limits", name)}, nil)
	return err
}

// CheckLimit asks a limit for units of a key, only looks, or gives units back. It
// is sent once: a check whose answer was lost may have taken its units.
func (c *Client) CheckLimit(ctx context.Context, name string, check Check) (Checked, error) {
	body, err := json.Marshal(check)
	if err != nil {
		return Checked{}, err
	}
	out := struct {
		Allowed    bool    `json:"allowed"`
		Limit      int64   `json:"limit"`
		Remaining  int64   `json:"remaining"`
		RetryAfter float64 `json:"retry_after"`
		Reset      float64 `json:"reset"`
		Reason     string  `json:"reason"`
	}{Limit: -1, Remaining: -1}
	_, err = c.once(ctx, request{method: http.MethodPost, url: c.url(nil, "v1", "limits", name, "check"), header: http.Header{"Content-Type": {"application/json"}}, body: body}, &out)
	return Checked{
		Allowed: out.Allowed, Limit: out.Limit, Remaining: out.Remaining, Reason: out.Reason,
		RetryAfter: time.Duration(out.RetryAfter * float64(time.Second)), Reset: time.Duration(out.Reset * float64(time.Second)),
	}, err
}
