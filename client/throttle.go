package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
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
	// Counts are the decisions of the node that was asked, since Since.
	Counts LimitCounts `json:"counts"`
	Since  time.Time   `json:"since"`
	Shared bool        `json:"shared,omitempty"` // units are counted for all nodes together
}

// LimitCounts are decisions, by what became of the request.
type LimitCounts struct {
	Allowed     uint64 `json:"allowed"`
	Rejected    uint64 `json:"rejected"`
	Shaped      uint64 `json:"shaped"`       // let in after a wait
	WouldReject uint64 `json:"would_reject"` // by a limit in shadow mode
}

// LimitKeys is what a limit is doing on the node that was asked.
type LimitKeys struct {
	Limit
	Top []LimitKey `json:"top"`
}

// LimitKey is one of the busiest keys of a limit.
type LimitKey struct {
	Key       string   `json:"key"`
	Parts     []string `json:"parts,omitempty"`     // of a key that is joined of several
	Spent     *int64   `json:"spent,omitempty"`     // nil for a limit that admits everything, …
	Remaining *int64   `json:"remaining,omitempty"` // … and then this is, too
	Reset     float64  `json:"reset"`               // seconds until there is one unit more
	Free      float64  `json:"free"`                // seconds until there are all
	Waiting   int      `json:"waiting"`             // requests in line
	// Counts are since the key was noticed.
	Counts LimitCounts `json:"counts"`
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

// LimitKeys shows what a limit is doing: its counts, and its top keys, by "refused"
// or "spent". 0 and "" are the server's defaults. It takes the scope admin.
func (c *Client) LimitKeys(ctx context.Context, name string, top int, by string) (LimitKeys, error) {
	query := url.Values{}
	if top != 0 {
		query.Set("top", strconv.Itoa(top))
	}
	if by != "" {
		query.Set("by", by)
	}
	var out LimitKeys
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.url(query, "v1", "limits", name, "keys")}, &out)
	return out, err
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
