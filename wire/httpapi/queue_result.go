package httpapi

import (
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// jobState is the header that tells where a job is.
const jobState = "Parley-Job-State"

func (a *API) resultRoute() door.Route {
	return door.Route{
		Method: http.MethodGet, Path: "/v1/queues/{queue}/jobs/{job}/result", Name: "queue-result", Pattern: "queue",
		Summary: "Get the result of a job, and wait for it if wanted: 200 with the result as a CloudEvent in binary mode, 204 for a job that is done without one, 202 when the wait ended first. The header Parley-Job-State says where the job is.",
		Verb:    "enqueue", On: "queue", Media: []string{"*/*"}, Handle: a.queueResult,
		Errors: codes(ownerErrors, []parley.Code{parley.Invalid, parley.Unprocessable, parley.Overloaded}),
		Params: []door.Param{
			{Name: "wait", In: "query", Type: "duration", Default: "0s", Description: "how long to wait for the job to end, at most 5m"},
		},
		Example: `curl 'http://127.0.0.1:7275/v1/queues/emails/jobs/17/result?wait=30s'`,
	}
}

func (a *API) queueResult(c *door.Call) error {
	wait, err := spanParam(c.Query, "wait", queue.MaxWait)
	if err != nil {
		return err
	}
	q, id, err := a.jobOf(c)
	if err != nil {
		return err
	}
	out, err := a.awaitResult(c, q, id, wait)
	if err != nil {
		return err
	}
	answerNow(c)
	h := c.W.Header()
	h.Set(jobState, string(out.State))
	h.Set("Cache-Control", "no-store")
	switch {
	case out.State == queue.Dead || out.State == queue.Canceled:
		detail := out.Reason
		if detail == "" {
			detail = "the job is " + string(out.State)
		}
		return &parley.Error{Code: parley.Unprocessable, Field: "job", Detail: detail, Fix: "there will be no result; a dead job can be redriven"}
	case out.State != queue.Done:
		c.W.WriteHeader(http.StatusAccepted)
		return nil
	case out.Result == nil:
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	out.Result.WriteHTTP(h)
	h.Set("X-Content-Type-Options", "nosniff")
	c.W.WriteHeader(http.StatusOK)
	if c.R.Method == http.MethodHead {
		return nil
	}
	_, err = c.W.Write(out.Result.Data)
	return clientGone(err)
}

// awaitResult waits for the end of a job, or of the server.
func (a *API) awaitResult(c *door.Call, q *queue.Queue, id queue.ID, wait time.Duration) (queue.Outcome, error) {
	if wait == 0 {
		return q.Result(c.Context(), id, 0)
	}
	ctx, end, err := a.holdLease(c)
	if err != nil {
		return queue.Outcome{}, err
	}
	defer end()
	out, err := q.Result(ctx, id, wait)
	if ctx.Err() != nil && c.Context().Err() == nil { // the server stops
		return q.Result(c.Context(), id, 0)
	}
	return out, err
}
