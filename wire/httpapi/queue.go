package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// QueueInfo is a queue as the API shows it. In a list, all but the name is absent
// of a queue that no node answers for now.
type QueueInfo struct {
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Paused   bool            `json:"paused"`
	Stats    *queue.Stats    `json:"stats,omitempty"`
}

// QueueList is a page of queues.
type QueueList struct {
	Queues []QueueInfo `json:"queues"`
	Next   string      `json:"next,omitempty"` // for ?after= of the next page
}

// queueSettings documents the members of a queue's settings, which queue.Settings
// reads and writes by itself.
type queueSettings struct {
	MaxAttempts int        `json:"max_attempts,omitempty"`
	Visibility  string     `json:"visibility,omitempty"`
	Retry       queueRetry `json:"retry,omitzero"`
	Concurrency int        `json:"concurrency,omitempty"`
	Rate        string     `json:"rate,omitempty"`
	DeadLetter  string     `json:"dead_letter,omitempty"`
	Results     string     `json:"results,omitempty"`
	Feed        []string   `json:"feed,omitempty"`
}

type queueRetry struct {
	Kind   string   `json:"kind,omitempty"`
	Delay  string   `json:"delay,omitempty"`
	Max    string   `json:"max,omitempty"`
	Delays []string `json:"delays,omitempty"`
	Jitter float64  `json:"jitter,omitempty"`
}

// PurgeRequest says which jobs are removed.
type PurgeRequest struct {
	States []queue.State `json:"states"`
}

// PurgeAnswer tells how many were.
type PurgeAnswer struct {
	Purged int64 `json:"purged"`
}

// RedriveAnswer tells how many dead jobs are ready again.
type RedriveAnswer struct {
	Redriven int64 `json:"redriven"`
}

// The errors that operations on queues have in common: those of a body, of asking
// the queue's owner, and of what it stores.
var (
	bodyErrors  = []parley.Code{parley.Invalid, parley.TooLarge, parley.Unsupported, parley.Timeout}
	ownerErrors = []parley.Code{parley.NotFound, parley.Unavailable, parley.Full}
	storeErrors = []parley.Code{parley.Unknown}
)

func codes(lists ...[]parley.Code) []parley.Code { return slices.Concat(lists...) }

func (a *API) queueRoutes() []door.Route {
	if a.opt.Queues == nil {
		return nil
	}
	routes := []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/queues", Name: "queue-list", Pattern: "queue", Summary: "List the queues that the caller may work for or administer.",
			Answer: QueueList{}, Errors: []parley.Code{parley.Invalid}, Handle: a.queueList,
			Params: []door.Param{
				{Name: "after", In: "query", Type: "string", Description: "begin after this name: `next` of the page before"},
				{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "queues a page, at most 1000"},
			},
			Example: `curl http://127.0.0.1:7275/v1/queues`,
		},
		{
			Method: http.MethodGet, Path: "/v1/queues/{queue}", Name: "queue-show", Pattern: "queue", Summary: "Show a queue: its settings and how many jobs it has.",
			Verb: "work", On: "queue", Answer: QueueInfo{}, Errors: ownerErrors, Handle: a.queueShow,
			Example: `curl http://127.0.0.1:7275/v1/queues/emails`,
		},
		{
			Method: http.MethodPut, Path: "/v1/queues/{queue}", Name: "queue-put", Pattern: "queue", Summary: "Make a queue, or change its settings: what the body leaves out stays as it is.",
			Verb: "admin", On: "queue", Request: queueSettings{}, Answer: QueueInfo{}, Handle: a.queuePut,
			Errors:  codes(bodyErrors, storeErrors, []parley.Code{parley.Conflict, parley.Overloaded, parley.Unavailable, parley.Full}),
			Example: `curl -X PUT -d '{"max_attempts": 5, "visibility": "1m"}' http://127.0.0.1:7275/v1/queues/emails`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/queues/{queue}", Name: "queue-delete", Pattern: "queue", Summary: "Delete a queue with all its jobs.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Handle: a.queueDelete,
			Errors:  codes(ownerErrors, storeErrors, []parley.Code{parley.Invalid, parley.Conflict}),
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/queues/emails`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/redrive", Name: "queue-redrive", Pattern: "queue", Summary: "Make dead jobs ready again: all, or those that a filter selects.",
			Verb: "admin", On: "queue", Request: queue.Filter{}, Answer: RedriveAnswer{}, Errors: codes(bodyErrors, ownerErrors, storeErrors), Handle: a.queueRedrive,
			Example: `curl -d '{"reason": "timeout"}' http://127.0.0.1:7275/v1/queues/emails/redrive`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/purge", Name: "queue-purge", Pattern: "queue", Summary: "Remove all jobs that are ready, delayed or dead.",
			Verb: "admin", On: "queue", Request: PurgeRequest{}, Answer: PurgeAnswer{}, Errors: codes(bodyErrors, ownerErrors, storeErrors), Handle: a.queuePurge,
			Example: `curl -d '{"states": ["dead"]}' http://127.0.0.1:7275/v1/queues/emails/purge`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/pause", Name: "queue-pause", Pattern: "queue", Summary: "Lease no jobs until the queue is resumed.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Errors: codes(ownerErrors, storeErrors), Handle: a.queuePause,
			Example: `curl -X POST http://127.0.0.1:7275/v1/queues/emails/pause`,
		},
		{
			Method: http.MethodPost, Path: "/v1/queues/{queue}/resume", Name: "queue-resume", Pattern: "queue", Summary: "End a pause: workers that wait get jobs at once.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Errors: codes(ownerErrors, storeErrors), Handle: a.queueResume,
			Example: `curl -X POST http://127.0.0.1:7275/v1/queues/emails/resume`,
		},
	}
	return slices.Concat(routes, a.jobRoutes(), a.leaseRoutes(), a.settleRoutes(), a.scheduleRoutes())
}

// queueOf finds the queue of the path.
func (a *API) queueOf(c *door.Call) (*queue.Queue, error) {
	return a.opt.Queues.Get(c.Context(), c.R.PathValue("queue"))
}

func (a *API) queueList(c *door.Call) error {
	if c.Who.Anonymous && len(c.Who.Scopes) == 0 {
		return c.Allow("work", "") // who may see nothing is told so, not that there is nothing
	}
	limit, err := countParam(c.Query, "limit", 100, 1000)
	if err != nil {
		return err
	}
	after, err := param(c.Query, "after")
	if err != nil {
		return err
	}
	out, shown := QueueList{Queues: []QueueInfo{}}, []*queue.Queue{}
	for _, q := range a.opt.Queues.List() {
		if q.Name() <= after || c.Allow("work", q.Name()) != nil && c.Allow("admin", q.Name()) != nil {
			continue
		}
		if len(shown) == limit {
			out.Next = shown[limit-1].Name()
			break
		}
		shown = append(shown, q)
	}
	out.Queues = queueInfos(c.Context(), shown)
	return answerJSON(c.W, http.StatusOK, out)
}

// listPatience is how long a list waits for queues that do not answer.
const listPatience = 3 * time.Second

// queueInfos asks some queues at a time: one that nobody owns now must not hold
// all others up.
func queueInfos(ctx context.Context, all []*queue.Queue) []QueueInfo {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	out := make([]QueueInfo, len(all))
	next := make(chan int)
	var asking sync.WaitGroup
	for range min(8, len(all)) {
		asking.Go(func() {
			for i := range next {
				if info, err := queueInfo(ctx, all[i]); err == nil {
					out[i] = info
				} else {
					out[i].Name = all[i].Name()
				}
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	asking.Wait()
	return out
}

func queueInfo(ctx context.Context, q *queue.Queue) (QueueInfo, error) {
	settings, err := q.Settings(ctx)
	if err != nil {
		return QueueInfo{}, err
	}
	stats, err := q.Stats(ctx)
	if err != nil {
		return QueueInfo{}, err
	}
	text, err := json.Marshal(settings)
	return QueueInfo{Name: q.Name(), Settings: text, Paused: stats.Paused, Stats: &stats}, err
}

func (a *API) queueShow(c *door.Call) error {
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	return answerQueue(c, q, http.StatusOK)
}

func answerQueue(c *door.Call, q *queue.Queue, status int) error {
	info, err := queueInfo(c.Context(), q)
	if err != nil {
		return err
	}
	return answerJSON(c.W, status, info)
}

func (a *API) queuePut(c *door.Call) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // the decoder copies
	name := c.R.PathValue("queue")
	_, created, err := a.opt.Queues.Configure(c.Context(), name, func(s *queue.Settings) error {
		if body.Len() == 0 {
			return nil
		}
		before := *s
		if err := decodeStrict(body.Bytes(), &strictly{s}); err != nil {
			return err
		}
		reads, writes := s.Touches(name, &before)
		return door.AllowTopics(c.Allow, reads, writes)
	})
	if err != nil {
		return err
	}
	q, err := a.opt.Queues.Get(c.Context(), name)
	if err != nil {
		return err
	}
	if created {
		return answerQueue(c, q, http.StatusCreated)
	}
	return answerQueue(c, q, http.StatusOK)
}

func (a *API) queueDelete(c *door.Call) error {
	if err := a.opt.Queues.Delete(c.Context(), c.R.PathValue("queue")); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) queueRedrive(c *door.Call) error {
	var in queue.Filter
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	n, err := q.Redrive(c.Context(), in)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, RedriveAnswer{n})
}

func (a *API) queuePurge(c *door.Call) error {
	var in PurgeRequest
	if err := a.readJSON(c, &in); err != nil {
		return err
	}
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	n, err := q.Purge(c.Context(), in.States...)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, PurgeAnswer{n})
}

func (a *API) queuePause(c *door.Call) error  { return a.onQueue(c, (*queue.Queue).Pause) }
func (a *API) queueResume(c *door.Call) error { return a.onQueue(c, (*queue.Queue).Resume) }

// onQueue does something that has no answer.
func (a *API) onQueue(c *door.Call, do func(*queue.Queue, context.Context) error) error {
	q, err := a.queueOf(c)
	if err == nil {
		err = do(q, c.Context())
	}
	if err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// readJSON reads a body of JSON that may be absent.
func (a *API) readJSON(c *door.Call, into any) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // the decoder copies
	if body.Len() == 0 {
		return nil
	}
	return decodeStrict(body.Bytes(), into)
}

// countParam reads a parameter that is a number from 1 to most.
func countParam(q map[string][]string, name string, otherwise, most int) (int, error) {
	text, err := param(q, name)
	if err != nil || q[name] == nil {
		return otherwise, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, parley.BadField(name, "not a number from 1 to "+strconv.Itoa(most), "send a whole number")
	}
	return n, nil
}

// spanOf reads a duration; "" is 0.
func spanOf(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, parley.BadField(field, strconv.Quote(text)+" is not a duration", `send one like "30s" or "5m"`)
	}
	if d < 0 {
		return 0, parley.BadField(field, "is "+text, "send a duration that is not negative")
	}
	return d, nil
}

// renamed gives an error the field as the request has it.
func renamed(err error, field func(string) string) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Field = field(e.Field)
	return &at
}
