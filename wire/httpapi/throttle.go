package httpapi

import (
	"net/http"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
)

// LimitList is all limits that the caller may check or see.
type LimitList struct {
	Limits []policy.Info `json:"limits"`
}

// CheckRequest asks a limit.
type CheckRequest struct {
	// Key is what is counted by: at most 1,024 bytes.
	Key string `json:"key,omitempty"`
	// Cost is the units asked for; absent means 1.
	Cost *int64 `json:"cost,omitempty"`
	// Peek only looks, Refund gives back.
	Peek   bool `json:"peek,omitempty"`
	Refund bool `json:"refund,omitempty"`
}

// CheckAnswer is what the limit says. Times are seconds, rounded up to whole
// milliseconds.
type CheckAnswer struct {
	Allowed bool `json:"allowed"`
	// Limit and Remaining are units; absent for a limit that admits everything.
	Limit     *int64 `json:"limit,omitempty"`
	Remaining *int64 `json:"remaining,omitempty"`
	// RetryAfter is when the same check passes if nobody else comes first; 0 when
	// it did, or when waiting does not help, as Reason says then.
	RetryAfter float64 `json:"retry_after"`
	// Reset is the time until there is one unit more than Remaining.
	Reset float64 `json:"reset"`
	// Reason is absent when it is granted.
	Reason string `json:"reason,omitempty"`
}

func (a *API) throttleRoutes() []door.Route {
	if a.opt.Throttle == nil {
		return nil
	}
	body := []parley.Code{parley.Invalid, parley.TooLarge, parley.Unsupported, parley.Timeout}
	stored := []parley.Code{parley.Conflict, parley.Unavailable, parley.Full, parley.Unknown}
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/limits", Name: "limit-list", Pattern: "throttle", Summary: "List the limits that the caller may check.",
			Answer: LimitList{}, Handle: a.limitList,
			Example: `curl http://127.0.0.1:7275/v1/limits`,
		},
		{
			Method: http.MethodGet, Path: "/v1/limits/{limit}", Name: "limit-show", Pattern: "throttle", Summary: "Show one limit.",
			Verb: "throttle", On: "limit", Answer: policy.Info{}, Errors: []parley.Code{parley.NotFound}, Handle: a.limitShow,
			Example: `curl http://127.0.0.1:7275/v1/limits/api`,
		},
		{
			Method: http.MethodPut, Path: "/v1/limits/{limit}", Name: "limit-put", Pattern: "throttle", Summary: "Make a limit, or replace it; keys keep what they have spent.",
			Verb: "admin", On: "limit", Request: policy.Definition{}, Answer: policy.Info{}, Handle: a.limitPut,
			Errors:  append(append(append([]parley.Code{}, body...), stored...), parley.Overloaded),
			Example: `curl -X PUT -d '{"limit": "100/1m burst=20", "key": "ip", "on": ["publish:orders.>"]}' http://127.0.0.1:7275/v1/limits/api`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/limits/{limit}", Name: "limit-delete", Pattern: "throttle", Summary: "Delete a limit.",
			Verb: "admin", On: "limit", Status: http.StatusNoContent, Handle: a.limitDelete,
			Errors:  append([]parley.Code{parley.Invalid, parley.NotFound}, stored...),
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/limits/api`,
		},
		{
			Method: http.MethodPost, Path: "/v1/limits/{limit}/check", Name: "limit-check", Pattern: "throttle", Summary: "Ask a limit for units of a key, only look, or give units back.",
			Verb: "throttle", On: "limit", Request: CheckRequest{}, Answer: CheckAnswer{}, Handle: a.limitCheck,
			Params:  []door.Param{{Name: "refuse", In: "query", Type: "boolean", Default: "false", Description: "answer a refusal as a request would be: 429 with Retry-After, RateLimit and the document (403 and 413 when waiting never helps), for proxies that ask before they forward"}},
			Errors:  append([]parley.Code{parley.NotFound, parley.Unprocessable}, body...),
			Example: `curl -d '{"key": "user-7", "cost": 1}' http://127.0.0.1:7275/v1/limits/api/check`,
		},
		{
			Method: http.MethodGet, Path: "/v1/limits/{limit}/keys", Name: "limit-keys", Pattern: "throttle", Summary: "Show what a limit is doing on this node: its counts, and its busiest keys with what they have left.",
			Verb: "admin", On: "limit", Answer: policy.View{}, Errors: []parley.Code{parley.Invalid, parley.NotFound}, Handle: a.limitKeys,
			Params: []door.Param{
				{Name: "top", In: "query", Type: "integer", Default: strconv.Itoa(policy.DefaultTop), Description: "how many keys, at most " + strconv.Itoa(policy.MaxTop)},
				{Name: "by", In: "query", Type: "string", Default: string(policy.ByRefused), Description: "what comes first: refused, who was refused most often; spent, who has used up the largest part of what there is"},
			},
			Example: `curl 'http://127.0.0.1:7275/v1/limits/api/keys?top=10&by=spent'`,
		},
	}
}

func (a *API) limitList(c *door.Call) error {
	if c.Who.Anonymous && len(c.Who.Scopes) == 0 {
		return c.Allow("throttle", "") // who may see nothing is told so, not that there is nothing
	}
	out := LimitList{Limits: []policy.Info{}}
	for _, l := range a.opt.Throttle.List() {
		if c.Allow("throttle", l.Name) == nil || c.Allow("admin", l.Name) == nil {
			out.Limits = append(out.Limits, l)
		}
	}
	return answerJSON(c.W, http.StatusOK, out)
}

func (a *API) limitShow(c *door.Call) error {
	info, err := a.opt.Throttle.Get(c.R.PathValue("limit"))
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, info)
}

func (a *API) limitPut(c *door.Call) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // the decoder copies
	var def policy.Definition
	if err := decodeStrict(body.Bytes(), &def); err != nil {
		return err
	}
	info, created, err := a.opt.Throttle.Put(c.Context(), c.R.PathValue("limit"), def)
	if err != nil {
		return err
	}
	if created {
		return answerJSON(c.W, http.StatusCreated, info)
	}
	return answerJSON(c.W, http.StatusOK, info)
}

func (a *API) limitDelete(c *door.Call) error {
	if err := a.opt.Throttle.Delete(c.Context(), c.R.PathValue("limit")); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) limitKeys(c *door.Call) error {
	top := policy.DefaultTop
	text, err := param(c.Query, "top")
	if err != nil {
		return err
	}
	if text != "" {
		if top, err = strconv.Atoi(text); err != nil {
			return parley.BadField("top", "is not a number", "send how many keys to show")
		}
	}
	by, err := param(c.Query, "by")
	if err != nil {
		return err
	}
	if by == "" {
		by = string(policy.ByRefused)
	}
	view, err := a.opt.Throttle.Keys(c.Context(), c.R.PathValue("limit"), top, policy.Order(by))
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, view)
}

func (a *API) limitCheck(c *door.Call) error {
	refuse, err := boolParam(c.Query, "refuse")
	if err != nil {
		return err
	}
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free()
	var in CheckRequest
	if body.Len() > 0 {
		if err := decodeStrict(body.Bytes(), &in); err != nil {
			return err
		}
	}
	check := policy.Check{Key: in.Key, Cost: 1, Peek: in.Peek, Refund: in.Refund}
	if in.Cost != nil {
		check.Cost = *in.Cost
	}
	v, err := a.opt.Throttle.Check(c.Context(), c.R.PathValue("limit"), check)
	if err != nil {
		return err
	}
	if refuse {
		v.Fields(c.W.Header())
		if err := v.Err(); err != nil {
			return err
		}
	}
	out := CheckAnswer{Allowed: v.Allowed, RetryAfter: policy.Seconds(v.RetryAfter), Reset: policy.Seconds(v.Reset)}
	if v.Reason != throttle.Granted {
		out.Reason = v.Reason.String()
	}
	if v.Limit != throttle.Infinite {
		out.Limit, out.Remaining = &v.Limit, &v.Remaining
	}
	return answerJSON(c.W, http.StatusOK, out)
}
