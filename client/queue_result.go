package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// jobState is the header that tells where a job is.
const jobState = "Parley-Job-State"

// Result tells how a job ended, and waits for that as long as it may, up to
// queue.MaxWait: see queue.Queue. A state that is not queue.Done, queue.Dead or
// queue.Canceled says that the wait ended first. Errors: NotFound for an id that
// was never given.
func (q *Queue) Result(ctx context.Context, id queue.ID, wait time.Duration) (queue.Outcome, error) {
	var v url.Values
	if wait != 0 {
		v = url.Values{"wait": {wait.String()}}
	}
	r := request{method: http.MethodGet, url: q.url(v, "jobs", id.String(), "result"), within: wait + patience}
	var raw []byte
	res, err := q.c.do(ctx, r, &raw)
	out := queue.Outcome{ID: id}
	if res != nil {
		out.State = queue.State(res.Header.Get(jobState))
	}
	var e *parley.Error
	switch {
	case err == nil && res.StatusCode == http.StatusOK:
		out.Result, err = resultOf(res.Header, raw)
	case errors.As(err, &e) && e.Code == parley.Unprocessable && (out.State == queue.Dead || out.State == queue.Canceled):
		if err = nil; out.State == queue.Dead {
			out.Reason = e.Detail
		}
	}
	return out, err
}

// resultOf reads the event of a result, which comes in binary mode or as its data
// alone.
func resultOf(h http.Header, data []byte) (*parley.Event, error) {
	list, _, err := parley.ParseHTTP(h, data)
	if err != nil || len(list) != 1 {
		return nil, parley.Errorf(parley.Internal, "the result is not understood: %w", err)
	}
	return &list[0], nil
}

// Progress tells how far a worker has come, and extends the lease by the queue's
// visibility. Errors: Invalid for a fraction out of 0 to 1; as queue.Queue.Settle.
func (q *Queue) Progress(ctx context.Context, lease string, p queue.Progress) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Report, Progress: &p})
}

// AckWith is Ack with a result, which is published with it. Errors: TooLarge;
// Unprocessable when the queue keeps no results; as queue.Queue.Settle.
func (q *Queue) AckWith(ctx context.Context, lease string, out queue.Output) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Ack, Result: &out})
}
