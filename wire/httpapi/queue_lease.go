package httpapi

import (
	"context"
	"net/http"
	"net/url"
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

func (a *API) leaseRoutes() []door.Route {
	return []door.Route{{
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
	}}
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
	answerNow(c)
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

// answerNow is for a request that has waited: the time for its answer begins.
func answerNow(c *door.Call) {
	if c.R.ProtoMajor > 1 {
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
}

// holdLease makes the request one that may wait in its handler: counted, and ended
// when the server drains. It costs no goroutine but that of its handler.
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
