package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// EnqueueAnswer has an entry for each job, in order.
type EnqueueAnswer struct {
	Jobs []queue.Enqueued `json:"jobs"`
}

// JobInfo is a job as the API shows it. Its event is a CloudEvent in JSON, absent
// when it cannot be read any more.
type JobInfo struct {
	queue.Info
	Event map[string]any `json:"event,omitempty"`
}

// JobList is a page of jobs.
type JobList struct {
	Jobs []JobInfo `json:"jobs"`
	Next string    `json:"next,omitempty"` // for ?after= of the next page
}

// CancelRequest names jobs.
type CancelRequest struct {
	IDs []string `json:"ids"`
}

// CancelAnswer tells what became of each job, in order.
type CancelAnswer struct {
	Results []CancelResult `json:"results"`
}

// CancelResult is of one job: without an error, it is canceled.
type CancelResult struct {
	ID    string        `json:"id"`
	Error *door.Problem `json:"error,omitempty"`
}

// RescheduleRequest says when a job becomes ready: one of both.
type RescheduleRequest struct {
	At    time.Time `json:"at,omitzero"`
	Delay string    `json:"delay,omitempty"`
}

func (a *API) jobRoutes() []door.Route {
	return []door.Route{
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/jobs", Name: "queue-enqueue", Pattern: "queue", Summary: "Add jobs to a queue: all of the request, or none.",
			Verb: "enqueue", On: "queue", Status: http.StatusCreated, Answer: EnqueueAnswer{}, Handle: a.enqueue,
			Errors:  codes(bodyErrors, ownerErrors, storeErrors, []parley.Code{parley.Overloaded, parley.KeyReused}),
			Params:  enqueueParams,
			Example: `curl -d '{"to": "ann@example.com"}' -H 'Parley-Delay: 5s' http://127.0.0.1:7275/v1/queues/emails/jobs`,
		},
		{
			Method: http.MethodGet, Path: "/v1/queues/{queue}/jobs", Name: "queue-jobs", Pattern: "queue", Summary: "Look at the jobs of one state, the oldest first, without leasing them.",
			Verb: "work", On: "queue", Answer: JobList{}, Errors: codes(ownerErrors, []parley.Code{parley.Invalid}), Handle: a.queueJobs,
			Params: []door.Param{
				{Name: "state", In: "query", Type: "string", Default: "ready", Description: "ready, delayed, leased or dead"},
				{Name: "after", In: "query", Type: "string", Description: "begin after this id: `next` of the page before"},
				{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "jobs a page, at most 1000; large ones make it fewer"},
			},
			Example: `curl 'http://127.0.0.1:7275/v1/queues/emails/jobs?state=dead'`,
		},
		{
			Method: http.MethodGet, Path: "/v1/queues/{queue}/jobs/{job}", Name: "queue-job", Pattern: "queue", Summary: "Look at one job, with its attempts.",
			Verb: "work", On: "queue", Answer: JobInfo{}, Errors: codes(ownerErrors, []parley.Code{parley.Invalid}), Handle: a.queueJob,
			Example: `curl http://127.0.0.1:7275/v1/queues/emails/jobs/17`,
		},
		a.resultRoute(),
		{
			Method: http.MethodDelete, Path: "/v1/queues/{queue}/jobs/{job}", Name: "queue-cancel", Pattern: "queue", Summary: "Cancel a job that is ready, delayed or leased.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Errors: codes(ownerErrors, storeErrors, []parley.Code{parley.Invalid, parley.Conflict}), Handle: a.queueCancel,
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/queues/emails/jobs/17`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/cancel", Name: "queue-cancel-many", Pattern: "queue", Summary: "Cancel up to 1,000 jobs, with a result for each.",
			Verb: "admin", On: "queue", Request: CancelRequest{}, Answer: CancelAnswer{}, Errors: codes(bodyErrors, ownerErrors, storeErrors), Handle: a.queueCancelMany,
			Example: `curl -d '{"ids": ["17", "18"]}' http://127.0.0.1:7275/v1/queues/emails/cancel`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/jobs/{job}/reschedule", Name: "queue-reschedule", Pattern: "queue", Summary: "Change when a job that is ready or delayed becomes ready.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Request: RescheduleRequest{}, Handle: a.queueReschedule,
			Errors:  codes(bodyErrors, ownerErrors, storeErrors, []parley.Code{parley.Conflict}),
			Example: `curl -d '{"delay": "1h"}' http://127.0.0.1:7275/v1/queues/emails/jobs/17/reschedule`,
		},
	}
}

func (a *API) enqueue(c *door.Call) error {
	key, err := idempotencyKey(c.R.Header)
	if err != nil {
		return err
	}
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // Enqueue copies what it stores
	jobs, err := jobsOf(c.R.Header, body.Bytes())
	if err != nil {
		return err
	}
	for i := range jobs.list {
		stamp(&jobs.list[i].Event, c.Trace, c.R.Header)
	}
	q, err := a.opt.Queues.Ensure(c.Context(), c.R.PathValue("queue"))
	if err != nil {
		return err
	}
	added, err := q.Enqueue(c.Context(), jobs.list, queue.EnqueueOptions{IdempotencyKey: key})
	if err != nil {
		return keyMisused(key, jobs.asSent(err))
	}
	if len(added) == 1 {
		c.W.Header().Set("Location", "/v1/queues/"+q.Name()+"/jobs/"+added[0].ID.String())
	}
	return answerJSON(c.W, http.StatusCreated, EnqueueAnswer{added})
}

// How much one look, or one lease, reads of the events at a time, and in all:
// about, since it stops after the job that is too much.
const (
	jobsAtOnce  = 64
	mostOfThese = 8 << 20
)

func (a *API) queueJobs(c *door.Call) error {
	r := queue.PeekRequest{State: queue.Ready}
	if c.Query.Has("state") {
		state, err := param(c.Query, "state")
		if err != nil {
			return err
		}
		r.State = queue.State(state)
	}
	limit, err := countParam(c.Query, "limit", 100, 1000)
	if err != nil {
		return err
	}
	after, err := param(c.Query, "after")
	if err == nil && after != "" {
		r.After, err = jobID("after", after)
	}
	if err != nil {
		return err
	}
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	out, n := []byte(`{"jobs":[`), 0
	more := true
	for more && n < limit && len(out) < mostOfThese {
		r.Max = min(limit-n, jobsAtOnce)
		list, err := q.Peek(c.Context(), r)
		if err != nil {
			return err
		}
		for _, job := range list {
			if n > 0 {
				out = append(out, ',')
			}
			if out, err = appendJob(out, &job); err != nil {
				return err
			}
			n++
			r.After = job.ID
		}
		more = len(list) > 0
	}
	out = append(out, ']')
	if more { // there may be
		out = append(append(append(out, `,"next":"`...), r.After.String()...), '"')
	}
	return answerBytes(c.W, append(out, '}', '\n'))
}

// appendJob appends a job with its event, whose data keeps its bytes.
func appendJob(dst []byte, job *queue.Info) ([]byte, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	dst = append(dst, text...)
	if job.Event.ID == "" {
		return dst, nil
	}
	dst = append(dst[:len(dst)-1], `,"event":`...)
	return append(job.Event.AppendJSON(dst), '}'), nil
}

func answerBytes(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return clientGone(err)
}

func jobID(field, text string) (queue.ID, error) {
	id, err := queue.ParseID(text)
	if err != nil {
		return 0, renamed(err, func(string) string { return field })
	}
	return id, nil
}

// jobOf finds the queue of the path, and reads the job's id.
func (a *API) jobOf(c *door.Call) (*queue.Queue, queue.ID, error) {
	id, err := jobID("job", c.R.PathValue("job"))
	if err != nil {
		return nil, 0, err
	}
	q, err := a.queueOf(c)
	return q, id, err
}

func (a *API) queueJob(c *door.Call) error {
	q, id, err := a.jobOf(c)
	if err != nil {
		return err
	}
	job, err := q.Get(c.Context(), id)
	if err != nil {
		return err
	}
	out, err := appendJob(nil, &job)
	if err != nil {
		return err
	}
	return answerBytes(c.W, append(out, '\n'))
}

func (a *API) queueCancel(c *door.Call) error {
	q, id, err := a.jobOf(c)
	if err != nil {
		return err
	}
	errs, err := q.Cancel(c.Context(), id)
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return inState(err, "only ready, delayed and leased jobs can be canceled; purge the dead ones")
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) queueCancelMany(c *door.Call) error {
	var in CancelRequest
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	if len(in.IDs) == 0 || len(in.IDs) > queue.MaxIDs {
		return parley.BadField("ids", strconv.Itoa(len(in.IDs))+" in one request", "send 1 to "+strconv.Itoa(queue.MaxIDs))
	}
	ids := make([]queue.ID, len(in.IDs))
	for i, text := range in.IDs {
		id, err := jobID("ids["+strconv.Itoa(i)+"]", text)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	errs, err := q.Cancel(c.Context(), ids...)
	if err != nil {
		return err
	}
	out := CancelAnswer{Results: make([]CancelResult, len(ids))}
	for i, err := range errs {
		out.Results[i] = CancelResult{ID: in.IDs[i], Error: problemOf(c, inState(err, "only ready, delayed and leased jobs can be canceled"))}
	}
	return answerJSON(c.W, http.StatusOK, out)
}

// inState completes the error of a job that is in a state where something cannot
// be done.
func inState(err error, fix string) error {
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != parley.Conflict || e.Fix != "" {
		return err
	}
	at := *e
	at.Field, at.Fix = "job", fix
	return &at
}

func problemOf(c *door.Call, err error) *door.Problem {
	if err == nil {
		return nil
	}
	p := door.ProblemOf(err, c.Trace)
	return &p
}

func (a *API) queueReschedule(c *door.Call) error {
	var in RescheduleRequest
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	delay, err := spanOf("delay", in.Delay)
	switch {
	case err != nil:
		return err
	case in.At.IsZero() && in.Delay == "":
		return parley.BadField("at", "is missing", `send {"at": TIME} or {"delay": "5s"}`)
	case !in.At.IsZero() && in.Delay != "":
		return parley.BadField("at", "is set beside delay", "send one of them")
	case in.Delay != "":
		in.At = time.Now().Add(delay)
	}
	q, id, err := a.jobOf(c)
	if err != nil {
		return err
	}
	if err := q.Reschedule(c.Context(), id, in.At); err != nil {
		return inState(err, "only ready and delayed jobs can be rescheduled; redrive the dead ones")
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}
