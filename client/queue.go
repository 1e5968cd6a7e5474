package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// Queue is a work queue of the server. It is a queue.Source, so that
//
//	w, err := queue.NewWorker(c.Queue("emails"), handler, queue.WorkerOptions{Concurrency: 10})
//	err = w.Run(ctx)
//
// works its jobs off from here: leases are long waits, extended while a handler
// runs; settlements of handlers that end about the same time are one request; a
// lost connection is made again with jittered back-off; a lease that is over, 409,
// ends its handler's context.
//
// Its methods are those of queue.Queue, with their limits and errors, and besides
// Unavailable and Unknown when the server was not reached. It is safe for
// concurrent use; make one and keep it, since it is what gathers settlements.
type Queue struct {
	c       *Client
	name    string
	settles gathering
}

var _ queue.Source = (*Queue)(nil)

// Queue gives a queue by its name. It asks the server for nothing.
func (c *Client) Queue(name string) *Queue {
	q := &Queue{c: c, name: name}
	q.settles.send = q.settle
	return q
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Enqueue adds 1 to queue.MaxEnqueue jobs to a queue, all or none; they are
// durable when it returns. It is sent again after a lost answer, under
// o.IdempotencyKey or one of its own, and adds the jobs once. Errors: Invalid and
// TooLarge name the job; KeyReused, Full, Unknown, ….
func (c *Client) Enqueue(ctx context.Context, queueName string, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error) {
	return c.Queue(queueName).Enqueue(ctx, jobs, o)
}

const jobsType = "application/vnd.parley.jobs+json"

// Enqueue is Client.Enqueue of this queue.
func (q *Queue) Enqueue(ctx context.Context, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error) {
	key := o.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	list, _, err := q.EnqueueOnce(ctx, key, jobs...)
	return list, err
}

// EnqueueOnce is Enqueue under an idempotency key of the caller's: the same jobs
// under the same key are added once, also by another process. replayed says that
// the server told they were there already, under the ids that are returned; a server
// that does not tell leaves it false.
func (q *Queue) EnqueueOnce(ctx context.Context, key string, jobs ...queue.Job) (added []queue.Enqueued, replayed bool, err error) {
	events := make([]parley.Event, len(jobs))
	for i := range jobs {
		events[i] = jobs[i].Event
	}
	events = completeAs(q.name, key, 0, events, "/queues/", "parley.job")
	in := struct {
		Jobs []queue.Job `json:"jobs"`
	}{slices.Clone(jobs)}
	for i := range jobs {
		in.Jobs[i].Event = events[i]
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, false, parley.Errorf(parley.Invalid, "a job cannot be written as JSON: %w", err)
	}
	var out struct {
		Jobs []queue.Enqueued `json:"jobs"`
	}
	res, err := q.c.do(ctx, request{method: http.MethodPost, url: q.url(nil, "jobs"), header: keyed(key, jobsType), body: body}, &out)
	return out.Jobs, err == nil && isReplay(res), err
}

func (q *Queue) url(v url.Values, parts ...string) string {
	return q.c.url(v, append([]string{"v1", "queues", q.name}, parts...)...)
}

// span is a duration as text.
type span time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *span) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = span(v)
	return err
}

// leaseJSON is a lease as it is answered.
type leaseJSON struct {
	Lease      string          `json:"lease"`
	ID         queue.ID        `json:"id"`
	Event      json.RawMessage `json:"event"`
	Enqueued   time.Time       `json:"enqueued"`
	Priority   int             `json:"priority"`
	Key        string          `json:"key"`
	Attempt    int             `json:"attempt"`
	Until      time.Time       `json:"until"`
	Visibility span            `json:"visibility"`
}

// Lease takes jobs, and waits for the first as long as the request says: see
// queue.Queue. When the answer is lost on its way, its jobs stay leased until
// their leases end.
func (q *Queue) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	v := url.Values{"max": {strconv.Itoa(max(r.Max, 1))}}
	for name, d := range map[string]time.Duration{"wait": r.Wait, "visibility": r.Visibility} {
		if d != 0 {
			v.Set(name, d.String())
		}
	}
	if r.Worker != "" {
		v.Set("worker", r.Worker)
	}
	var in struct {
		Jobs []leaseJSON `json:"jobs"`
	}
	if err := q.c.within(ctx, r.Wait+patience, request{method: http.MethodPost, url: q.url(v, "lease")}, &in); err != nil {
		return nil, err
	}
	if len(in.Jobs) > max(r.Max, 1) {
		return nil, parley.Errorf(parley.Internal, "the server gives %d jobs where %d were asked for", len(in.Jobs), max(r.Max, 1))
	}
	out := make([]queue.Lease, len(in.Jobs))
	for i, l := range in.Jobs {
		e, err := eventOf(l.Event)
		if err != nil {
			return nil, err
		}
		out[i] = queue.Lease{
			Token: l.Lease, ID: l.ID, Event: e, Enqueued: l.Enqueued, Priority: l.Priority, Key: l.Key,
			Attempt: l.Attempt, Until: l.Until, Visibility: time.Duration(l.Visibility),
		}
	}
	return out, nil
}

// patience is how long the server may take for an answer beyond what it was asked
// to wait: a connection of which only our half is open must not hold a worker.
const patience = 20 * time.Second

// within is do, with a bound on each try.
func (c *Client) within(ctx context.Context, d time.Duration, r request, out any) error {
	r.within = d
	_, err := c.do(ctx, r, out)
	return err
}

// eventOf reads an event that may be absent.
func eventOf(raw json.RawMessage) (parley.Event, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return parley.Event{}, nil
	}
	e, err := parley.ParseJSON(raw)
	if err != nil {
		return e, parley.Errorf(parley.Internal, "an event of the answer: %w", err)
	}
	return e, nil
}

// Ack says that a job is done. Errors: as queue.Queue.Settle.
func (q *Queue) Ack(ctx context.Context, lease string) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Ack})
}

// Nack gives a job back that failed: it is tried again when the retry policy
// says, or dead. Errors: as queue.Queue.Settle.
func (q *Queue) Nack(ctx context.Context, lease, cause string) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Nack, Cause: cause})
}

// NackAfter is Nack with a delay that overrules the retry policy; 0 is at once.
func (q *Queue) NackAfter(ctx context.Context, lease string, delay time.Duration, cause string) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Nack, Delay: &delay, Cause: cause})
}

// Extend makes a lease end d from now; 0 is the queue's visibility. Errors: as
// queue.Queue.Settle.
func (q *Queue) Extend(ctx context.Context, lease string, d time.Duration) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Extend, Extend: d})
}

// Dead gives a job up for good. Errors: as queue.Queue.Settle.
func (q *Queue) Dead(ctx context.Context, lease, reason string) error {
	return q.settleOne(ctx, queue.Settlement{Lease: lease, Action: queue.Bury, Cause: reason})
}

func (q *Queue) settleOne(ctx context.Context, s queue.Settlement) error {
	errs, err := q.Settle(ctx, []queue.Settlement{s})
	if err != nil {
		return err
	}
	return errs[0]
}
