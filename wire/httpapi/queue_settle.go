package httpapi

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// NackRequest gives a job back that failed. Without a delay it rests as the queue's
// retry policy says.
type NackRequest struct {
	Delay string `json:"delay,omitempty"`
	Cause string `json:"cause,omitempty"`
}

// ExtendRequest makes a lease end so long from now; "" is the queue's visibility.
type ExtendRequest struct {
	Extend string `json:"extend,omitempty"`
}

// DeadRequest gives a job up for good.
type DeadRequest struct {
	Cause string `json:"cause,omitempty"`
}

// SettleRequest settles up to 1,000 leases in one commit.
type SettleRequest struct {
	Settlements []SettleEntry `json:"settlements"`
}

// SettleEntry is of one lease. Action is ack, nack, extend, progress or dead.
type SettleEntry struct {
	Lease    string        `json:"lease"`
	Action   string        `json:"action"`
	Delay    string        `json:"delay,omitempty"`    // of a nack
	Extend   string        `json:"extend,omitempty"`   // of extend and progress
	Cause    string        `json:"cause,omitempty"`    // of a nack, or of a dead job
	Progress *float64      `json:"progress,omitempty"` // of progress: 0 to 1
	Note     string        `json:"note,omitempty"`     // of progress
	Result   *queue.Output `json:"result,omitempty"`   // of an ack
}

// ProgressRequest tells how far a job is.
type ProgressRequest struct {
	Progress *float64 `json:"progress"` // 0 to 1
	Note     string   `json:"note,omitempty"`
}

// SettleAnswer tells what became of each settlement, in order.
type SettleAnswer struct {
	Results []SettleResult `json:"results"`
}

// SettleResult is of one lease: without an error, it is settled.
type SettleResult struct {
	Lease string        `json:"lease"`
	Error *door.Problem `json:"error,omitempty"`
}

func (a *API) settleRoutes() []door.Route {
	errs := codes(bodyErrors, ownerErrors, []parley.Code{parley.Conflict})
	one := func(action, summary, example string, request any, handle func(*door.Call) error, more ...parley.Code) door.Route {
		return door.Route{
			Method: http.MethodPost, Path: "/v1/leases/{lease}/" + action, Name: "queue-" + action, Pattern: "queue", Summary: summary,
			Late: true, Status: http.StatusNoContent, Request: request, Errors: codes(errs, more), Handle: handle,
			Example: "curl -X POST " + example + `"http://127.0.0.1:7275/v1/leases/$LEASE/` + action + `"`,
		}
	}
	return []door.Route{
		one("ack", "Say that a job is done: it is gone. A body is its result, which is published with the ack.", "", nil, a.leaseAck, parley.Unknown, parley.Unprocessable),
		one("nack", "Give a job back that failed: it is tried again, or dead after too many attempts.", `-d '{"delay": "5s", "cause": "no route to host"}' `, NackRequest{}, a.leaseNack, parley.Unknown),
		one("extend", "Make a lease end later: so long from now.", `-d '{"extend": "1m"}' `, ExtendRequest{}, a.leaseExtend),
		one("progress", "Tell how far a job is; its lease is extended by the queue's visibility.", `-d '{"progress": 0.4, "note": "4 of 10"}' `, ProgressRequest{}, a.leaseProgress),
		one("dead", "Give a job up for good: it is dead, until somebody redrives it.", `-d '{"cause": "no such address"}' `, DeadRequest{}, a.leaseDead, parley.Unknown),
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/settle", Name: "queue-settle", Pattern: "queue", Summary: "Settle up to 1,000 leases in one commit, with a result for each.",
			Verb: "work", On: "queue", Request: SettleRequest{}, Answer: SettleAnswer{}, Errors: codes(bodyErrors, ownerErrors, storeErrors), Handle: a.queueSettle,
			Example: `curl -d "{\"settlements\": [{\"lease\": \"$LEASE\", \"action\": \"ack\"}]}" http://127.0.0.1:7275/v1/queues/emails/settle`,
		},
	}
}

func (a *API) leaseAck(c *door.Call) error {
	return a.settleOne(c, func() (s queue.Settlement, err error) {
		body, err := a.read(c)
		if err != nil {
			return s, err
		}
		defer body.free()
		s.Action = queue.Ack
		if body.Len() == 0 {
			return s, nil
		}
		contentType, _, err := single(c.R.Header, "Content-Type")
		if contentType == "" || contentType == "application/x-www-form-urlencoded" {
			contentType = sniff(body.Bytes())
		}
		s.Result = &queue.Output{ContentType: contentType, Data: bytes.Clone(body.Bytes())}
		return s, err
	})
}

func (a *API) leaseProgress(c *door.Call) error {
	return a.settleOne(c, func() (queue.Settlement, error) {
		var in ProgressRequest
		if err := a.readJSON(c, &in); err != nil {
			return queue.Settlement{}, err
		}
		return SettleEntry{Action: "progress", Progress: in.Progress, Note: in.Note}.settlement()
	})
}

func (a *API) leaseNack(c *door.Call) error {
	return a.settleOne(c, func() (queue.Settlement, error) {
		var in NackRequest
		if err := a.readJSON(c, &in); err != nil {
			return queue.Settlement{}, err
		}
		return SettleEntry{Action: "nack", Delay: in.Delay, Cause: in.Cause}.settlement()
	})
}

func (a *API) leaseExtend(c *door.Call) error {
	return a.settleOne(c, func() (queue.Settlement, error) {
		var in ExtendRequest
		if err := a.readJSON(c, &in); err != nil {
			return queue.Settlement{}, err
		}
		return SettleEntry{Action: "extend", Extend: in.Extend}.settlement()
	})
}

func (a *API) leaseDead(c *door.Call) error {
	return a.settleOne(c, func() (queue.Settlement, error) {
		var in DeadRequest
		err := a.readJSON(c, &in)
		return queue.Settlement{Action: queue.Bury, Cause: in.Cause}, err
	})
}

// settleOne settles the lease of the path. Its token names the queue: so whether
// the caller may is asked here, before the body is read.
func (a *API) settleOne(c *door.Call, read func() (queue.Settlement, error)) error {
	lease := c.R.PathValue("lease")
	name, err := queue.QueueOf(lease)
	if err != nil {
		return err
	}
	if err := c.Allow("work", name); err != nil {
		return err
	}
	if err := c.Admit(name); err != nil {
		return err
	}
	s, err := read()
	if err != nil {
		return err
	}
	s.Lease = lease
	q, err := a.opt.Queues.Get(c.Context(), name)
	if err != nil {
		return err
	}
	errs, err := q.Settle(c.Context(), []queue.Settlement{s})
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// settlement checks an entry. Errors name its members.
func (e SettleEntry) settlement() (s queue.Settlement, err error) {
	s = queue.Settlement{Lease: e.Lease, Action: queue.Action(e.Action), Cause: e.Cause, Result: e.Result}
	delay, err := spanOf("delay", e.Delay)
	if err != nil {
		return s, err
	}
	if e.Delay != "" {
		s.Delay = &delay
	}
	if s.Extend, err = spanOf("extend", e.Extend); err != nil {
		return s, err
	}
	if e.Progress != nil {
		s.Progress = &queue.Progress{Fraction: *e.Progress, Note: e.Note}
	}
	switch {
	case delay > queue.MaxDelay:
		return s, parley.BadField("delay", "is "+e.Delay, "send at most ten years")
	case s.Extend > queue.MaxVisibility:
		return s, parley.BadField("extend", "is "+e.Extend, `send "1ms" to "24h"`)
	case s.Action == queue.Report && (e.Progress == nil || !(*e.Progress >= 0 && *e.Progress <= 1)):
		return s, parley.BadField("progress", "is no part of the whole", "send a number from 0 to 1")
	}
	return s, e.fits(s.Action)
}

// fits says whether all members of an entry are of its action.
func (e SettleEntry) fits(action queue.Action) error {
	if !slices.Contains([]queue.Action{queue.Ack, queue.Nack, queue.Extend, queue.Report, queue.Bury}, action) {
		return parley.BadField("action", "is none that is known", `send "ack", "nack", "extend", "progress" or "dead"`)
	}
	for _, m := range []struct {
		name  string
		there bool
		of    []queue.Action
	}{
		{"delay", e.Delay != "", []queue.Action{queue.Nack}},
		{"extend", e.Extend != "", []queue.Action{queue.Extend, queue.Report}},
		{"cause", e.Cause != "", []queue.Action{queue.Nack, queue.Bury}},
		{"progress", e.Progress != nil, []queue.Action{queue.Report}},
		{"note", e.Note != "", []queue.Action{queue.Report}},
		{"result", e.Result != nil, []queue.Action{queue.Ack}},
	} {
		if m.there && !slices.Contains(m.of, action) {
			return parley.BadField(m.name, "is no member of the action "+string(action), "leave it out")
		}
	}
	return nil
}

func (a *API) queueSettle(c *door.Call) error {
	var in SettleRequest
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	if len(in.Settlements) == 0 || len(in.Settlements) > queue.MaxSettle {
		return parley.BadField("settlements", strconv.Itoa(len(in.Settlements))+" in one request", "send 1 to "+strconv.Itoa(queue.MaxSettle))
	}
	list := make([]queue.Settlement, len(in.Settlements))
	for i, e := range in.Settlements {
		s, err := e.settlement()
		if err != nil {
			return renamed(err, func(field string) string { return "settlements[" + strconv.Itoa(i) + "]." + field })
		}
		list[i] = s
	}
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	errs, err := q.Settle(c.Context(), list)
	if err != nil {
		return err
	}
	out := SettleAnswer{Results: make([]SettleResult, len(list))}
	for i, err := range errs {
		out.Results[i] = SettleResult{Lease: list[i].Lease, Error: problemOf(c, err)}
	}
	return answerJSON(c.W, http.StatusOK, out)
}
