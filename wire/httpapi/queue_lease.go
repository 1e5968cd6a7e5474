package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// LeaseInfo is a job in a worker's hands until Until, or until it is settled.
type LeaseInfo struct {
	Lease      string         `json:"lease"` // names the lease
	ID         string         `json:"id"`
	Event      map[string]any `json:"event"` // a CloudEvent in JSON
	Enqueued   time.Time      `json:"enqueued"`
	Priority   int            `json:"priority"`
	Key        string         `json:"key,omitempty"`
	Attempt    int            `json:"attempt"` // from 1
	Until      time.Time      `json:"until"`
	Visibility string         `json:"visibility"` // how long it was given for
}

// LeaseAnswer has no jobs when the wait ended first.
type LeaseAnswer struct {
	Jobs []LeaseInfo `json:"jobs"`
}

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

// SettleEntry is of one lease. Action is ack, nack, extend or dead.
type SettleEntry struct {
	Lease  string `json:"lease"`
	Action string `json:"action"`
	Delay  string `json:"delay,omitempty"`
	Extend string `json:"extend,omitempty"`
	Cause  string `json:"cause,omitempty"`
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

func (a *API) leaseRoutes() []door.Route {
	errs := codes(bodyErrors, ownerErrors, []parley.Code{parley.Conflict}, storeErrors)
	one := func(name, action, summary, example string, request any, handle func(*door.Call) error) door.Route {
		return door.Route{
			Method: http.MethodPost, Path: "/v1/leases/{lease}/" + action, Name: name, Pattern: "queue", Summary: summary,
			Late: true, Status: http.StatusNoContent, Request: request, Errors: errs, Handle: handle,
			Example: "curl -X POST " + example + `"http://127.0.0.1:7275/v1/leases/$LEASE/` + action + `"`,
		}
	}
	extend := one("queue-extend", "extend", "Make a lease end later: so long from now.", `-d '{"extend": "1m"}' `, ExtendRequest{}, a.leaseExtend)
	extend.Errors = codes(bodyErrors, ownerErrors, []parley.Code{parley.Conflict}) // it stores nothing
	return []door.Route{
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/lease", Name: "queue-lease", Pattern: "queue", Summary: "Take jobs to work them off: each is the caller's until its lease ends.",
			Verb: "work", On: "queue", Answer: LeaseAnswer{}, Handle: a.queueLease,
			Errors: codes(ownerErrors, storeErrors, []parley.Code{parley.Invalid, parley.Overloaded}),
			Params: []door.Param{
				{Name: "max", In: "query", Type: "integer", Default: "1", Description: "most jobs to lease, at most 1000; large ones make it fewer"},
				{Name: "wait", In: "query", Type: "duration", Default: "0s", Description: "how long to wait for the first job, at most 5m"},
				{Name: "visibility", In: "query", Type: "duration", Description: "how long the leases last, at most 24h; default: as the queue's settings say"},
				{Name: "worker", In: "query", Type: "string", Description: "who asks, for people: it is in the history of the jobs"},
			},
			Example: `curl -X POST 'http://127.0.0.1:7275/v1/queues/emails/lease?wait=30s'`,
		},
		one("queue-ack", "ack", "Say that a job is done: it is gone.", "", nil, a.leaseAck),
		one("queue-nack", "nack", "Give a job back that failed: it is tried again, or dead after too many attempts.", `-d '{"delay": "5s", "cause": "no route to host"}' `, NackRequest{}, a.leaseNack),
		extend,
		one("queue-dead", "dead", "Give a job up for good: it is dead, until somebody redrives it.", `-d '{"cause": "no such address"}' `, DeadRequest{}, a.leaseDead),
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/settle", Name: "queue-settle", Pattern: "queue", Summary: "Settle up to 1,000 leases in one commit, with a result for each.",
			Verb: "work", On: "queue", Request: SettleRequest{}, Answer: SettleAnswer{}, Errors: codes(bodyErrors, ownerErrors, storeErrors), Handle: a.queueSettle,
			Example: `curl -d "{\"settlements\": [{\"lease\": \"$LEASE\", \"action\": \"ack\"}]}" http://127.0.0.1:7275/v1/queues/emails/settle`,
		},
	}
}

func leaseRequest(c *door.Call) (r queue.LeaseRequest, err error) {
	if r.Max, err = countParam(c.Query, "max", 1, queue.MaxLease); err != nil {
		return r, err
	}
	if r.Wait, err = spanParam(c.Query, "wait", queue.MaxWait); err != nil {
		return r, err
	}
	if r.Visibility, err = spanParam(c.Query, "visibility", queue.MaxVisibility); err != nil {
		return r, err
	}
	r.Worker, err = param(c.Query, "worker")
	return r, err
}

func spanParam(q url.Values, name string, most time.Duration) (time.Duration, error) {
	text, err := param(q, name)
	if err != nil {
		return 0, err
	}
	d, err := spanOf(name, text)
	if err == nil && d > most {
		err = parley.BadField(name, "is "+text, "send at most "+most.String())
	}
	return d, err
}

func (a *API) queueLease(c *door.Call) error {
	r, err := leaseRequest(c)
	if err != nil {
		return err
	}
	if c.R.ContentLength != 0 { // net/http notices that a client goes away only when nothing of its body is left
		return parley.BadField("body", "a lease has none", "send max, wait, visibility and worker in the query")
	}
	q, err := a.opt.Queues.Ensure(c.Context(), c.R.PathValue("queue"))
	if err != nil {
		return err
	}
	ctx := c.Context()
	if r.Wait > 0 {
		held, end, err := a.holdLease(c)
		if err != nil {
			return err
		}
		defer end()
		ctx = held
	}
	list, size, err := leaseSome(ctx, q, r)
	if ctx.Err() != nil && c.Context().Err() == nil { // the server stops: the wait is over
		list, err = nil, nil
	}
	if err != nil {
		return err
	}
	out := appendLeases(make([]byte, 0, size+256*len(list)+32), list)
	if r.Wait > 0 && c.R.ProtoMajor > 1 { // the answer's time begins now
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
	if err = c.Context().Err(); err == nil {
		if err = answerBytes(c.W, out); err == nil && len(list) > 0 {
			err = http.NewResponseController(c.W).Flush()
		}
	}
	if err != nil {
		giveBack(c.Context(), q, list)
		return clientGone(err)
	}
	return nil
}

// holdLease makes the request one that may wait: counted, and ended when the
// server drains. It costs no goroutine but that of its handler.
func (a *API) holdLease(c *door.Call) (ctx context.Context, end func(), err error) {
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return nil, nil, errNoRoom
	}
	if c.R.ProtoMajor > 1 { // HTTP/2 resets a stream whose deadline passes while it waits
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Time{})
	}
	ctx, cancel := context.WithCancel(c.Context())
	leave := &leaver{end: cancel}
	a.opt.Lives.Enter(leave)
	return ctx, func() {
		a.opt.Lives.Leave(leave)
		cancel()
	}, nil
}

// leaseSome leases up to so many jobs as the request says, some at a time and
// within bounds of their size, so that no request makes the server grow.
func leaseSome(ctx context.Context, q *queue.Queue, r queue.LeaseRequest) (list []queue.Lease, size int, err error) {
	for left := r.Max; left > 0 && size < mostOfThese; left = r.Max - len(list) {
		some := r
		some.Max = min(left, jobsAtOnce)
		if len(list) > 0 {
			some.Wait = 0
		}
		more, err := q.Lease(ctx, some)
		if err != nil && len(list) == 0 {
			return nil, 0, err
		}
		for i := range more {
			size += len(more[i].Event.Data)*4/3 + 512
		}
		if list = append(list, more...); len(more) < some.Max {
			break
		}
	}
	return list, size, nil
}

// giveBack ends leases whose worker is gone.
func giveBack(ctx context.Context, q *queue.Queue, list []queue.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for len(list) > 0 {
		n := min(len(list), queue.MaxSettle)
		some := make([]queue.Settlement, n)
		for i, l := range list[:n] {
			some[i] = queue.Settlement{Lease: l.Token, Action: queue.Nack, Delay: new(time.Duration), Cause: queue.GoneAway}
		}
		_, _ = q.Settle(ctx, some) // what it does not reach ends with its lease
		list = list[n:]
	}
}

func appendLeases(dst []byte, list []queue.Lease) []byte {
	dst = append(dst, `{"jobs":[`...)
	for i := range list {
		l := &list[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = parley.AppendJSONString(append(dst, `{"lease":`...), l.Token)
		dst = append(strconv.AppendInt(append(dst, `,"id":"`...), int64(l.ID), 10), `","event":`...)
		dst = l.Event.AppendJSON(dst)
		dst = append(l.Enqueued.AppendFormat(append(dst, `,"enqueued":"`...), time.RFC3339Nano), '"')
		dst = strconv.AppendInt(append(dst, `,"priority":`...), int64(l.Priority), 10)
		if l.Key != "" {
			dst = parley.AppendJSONString(append(dst, `,"key":`...), l.Key)
		}
		dst = strconv.AppendInt(append(dst, `,"attempt":`...), int64(l.Attempt), 10)
		dst = append(l.Until.AppendFormat(append(dst, `,"until":"`...), time.RFC3339Nano), '"')
		dst = append(append(append(dst, `,"visibility":"`...), l.Visibility.String()...), '"', '}')
	}
	return append(dst, "]}\n"...)
}

func (a *API) leaseAck(c *door.Call) error {
	return a.settleOne(c, func() (s queue.Settlement, err error) {
		body, err := a.read(c)
		if err != nil {
			return s, err
		}
		defer body.free()
		if body.Len() > 0 {
			return s, parley.BadField("body", "an ack has none", "send none")
		}
		return queue.Settlement{Action: queue.Ack}, nil
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
	s = queue.Settlement{Lease: e.Lease, Action: queue.Action(e.Action), Cause: e.Cause}
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
	is := func(actions ...queue.Action) bool { return slices.Contains(actions, s.Action) }
	switch {
	case !is(queue.Ack, queue.Nack, queue.Extend, queue.Bury):
		return s, parley.BadField("action", "is none that is known", `send "ack", "nack", "extend" or "dead"`)
	case e.Delay != "" && !is(queue.Nack):
		return s, parley.BadField("delay", "is of a nack", "leave it out")
	case e.Extend != "" && !is(queue.Extend):
		return s, parley.BadField("extend", "is of the action extend", "leave it out")
	case e.Cause != "" && !is(queue.Nack, queue.Bury):
		return s, parley.BadField("cause", "is of a nack, or of a dead job", "leave it out")
	case delay > queue.MaxDelay:
		return s, parley.BadField("delay", "is "+e.Delay, "send at most ten years")
	case s.Extend > queue.MaxVisibility:
		return s, parley.BadField("extend", "is "+e.Extend, `send "1ms" to "24h"`)
	}
	return s, nil
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
