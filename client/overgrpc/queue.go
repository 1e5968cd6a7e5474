package overgrpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Queue is a work queue of the server, over gRPC. It is a queue.Source, so that
//
//	w, err := queue.NewWorker(g.Queue("emails"), handler, queue.WorkerOptions{Concurrency: 10})
//	err = w.Run(ctx)
//
// works its jobs off from here. Its methods have the limits and errors of those of
// queue.Queue, and besides Unavailable and Unknown when the server was not reached.
// Nothing is sent again by itself; a Worker does so for what it leases and settles.
// It is safe for concurrent use.
type Queue struct {
	t    *Transport
	name string
}

var _ queue.Source = (*Queue)(nil)

// Queue gives a queue by its name. It asks the server for nothing.
func (t *Transport) Queue(name string) *Queue { return &Queue{t, name} }

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Enqueue adds 1 to queue.MaxEnqueue jobs, all or none; they are durable when it
// returns. After Unknown or Unavailable it may be called again with the same
// o.IdempotencyKey, and adds the jobs once.
func (q *Queue) Enqueue(ctx context.Context, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error) {
	res, err := q.t.queues.Enqueue(q.t.context(ctx), q.enqueue(jobs, o))
	if err != nil {
		return nil, fromStatus(q.t.target, err)
	}
	return enqueuedFrom(res), nil
}

func (q *Queue) enqueue(jobs []queue.Job, o queue.EnqueueOptions) *parleyv1.EnqueueRequest {
	req := &parleyv1.EnqueueRequest{Queue: q.name, IdempotencyKey: o.IdempotencyKey, Jobs: make([]*parleyv1.Job, len(jobs))}
	for i := range jobs {
		req.Jobs[i] = jobToProto(&jobs[i])
	}
	return req
}

func enqueuedFrom(res *parleyv1.EnqueueResponse) []queue.Enqueued {
	out := make([]queue.Enqueued, len(res.GetJobs()))
	for i, j := range res.GetJobs() {
		out[i] = queue.Enqueued{ID: queue.ID(j.GetId()), Duplicate: queue.ID(j.GetDuplicate())}
	}
	return out
}

func jobToProto(j *queue.Job) *parleyv1.Job {
	p := &parleyv1.Job{
		Event: toProto(&j.Event), Delay: span(j.Delay), Priority: int32(j.Priority), Key: j.Key, Unique: j.Unique, MaxAttempts: int32(j.MaxAttempts),
	}
	if !j.At.IsZero() {
		p.At = timestamppb.New(j.At)
	}
	if r := j.Retry; r != nil {
		p.Retry = &parleyv1.RetryPolicy{Kind: string(r.Kind), Delay: span(r.Delay), Max: span(r.Max), Jitter: r.Jitter}
		for _, d := range r.Delays {
			p.Retry.Delays = append(p.Retry.Delays, durationpb.New(d))
		}
	}
	return p
}

// span is a duration, absent when it is 0.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// patience is how long the server may take for an answer beyond what it was asked
// to wait: a connection of which only our half is open must not hold a worker.
const patience = 20 * time.Second

// Lease takes jobs, and waits for the first as long as the request says: see
// queue.Queue. When the answer is lost on its way, its jobs stay leased until their
// leases end.
func (q *Queue) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	asked, cancel := context.WithTimeout(ctx, r.Wait+patience)
	defer cancel()
	res, err := q.t.queues.Lease(q.t.context(asked), &parleyv1.LeaseRequest{
		Queue: q.name, Max: int32(min(max(r.Max, 1), queue.MaxLease+1)), Wait: span(r.Wait), Visibility: span(r.Visibility), Worker: strings.ToValidUTF8(r.Worker, "?"),
	})
	if err != nil {
		return nil, q.failed(ctx, err)
	}
	return leasesFrom(res.GetJobs()), nil
}

func leasesFrom(list []*parleyv1.LeasedJob) []queue.Lease {
	if len(list) == 0 {
		return nil
	}
	out := make([]queue.Lease, len(list))
	for i, l := range list {
		out[i] = queue.Lease{
			Token: l.GetLease(), ID: queue.ID(l.GetId()), Event: fromProto(l.GetEvent()), Enqueued: l.GetEnqueued().AsTime(),
			Priority: int(l.GetPriority()), Key: l.GetKey(), Attempt: int(l.GetAttempt()), Until: l.GetUntil().AsTime(), Visibility: l.GetVisibility().AsDuration(),
		}
	}
	return out
}

// failed tells a server that did not answer in time from a caller who did not wait.
func (q *Queue) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out := fromStatus(q.t.target, err)
	if e, ok := out.(*parley.Error); ok && e.Code == parley.Internal && strings.Contains(e.Detail, context.DeadlineExceeded.Error()) { //nolint:errorlint // ours, not wrapped
		e.Code, e.Detail = parley.Unavailable, q.t.target+" does not answer"
	}
	return out
}

// settleActions are the actions by those of queue.
var settleActions = map[queue.Action]parleyv1.SettleAction{
	queue.Ack: parleyv1.SettleAction_SETTLE_ACTION_ACK, queue.Nack: parleyv1.SettleAction_SETTLE_ACTION_NACK,
	queue.Extend: parleyv1.SettleAction_SETTLE_ACTION_EXTEND, queue.Report: parleyv1.SettleAction_SETTLE_ACTION_PROGRESS,
	queue.Bury: parleyv1.SettleAction_SETTLE_ACTION_DEAD,
}

// Settle settles 1 to queue.MaxSettle leases in one commit: see queue.Queue.
func (q *Queue) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	other, err := settlementsOf(list)
	if err != nil {
		return nil, err
	}
	if other == nil {
		other = make([]*parleyv1.Settlement, len(list))
		for i := range list {
			other[i] = &parleyv1.Settlement{Lease: list[i].Lease}
		}
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := q.t.queues.Settle(q.t.context(asked), &parleyv1.SettleRequest{Queue: q.name, Settlements: other})
	if err != nil {
		return nil, q.failed(ctx, err)
	}
	return failures(len(list), res.GetFailures()), nil
}

// settlementsOf is nil if all are acks without a result.
func settlementsOf(list []queue.Settlement) ([]*parleyv1.Settlement, error) {
	plain := func(s queue.Settlement) bool { return s.Action == queue.Ack && s.Result == nil }
	if !slices.ContainsFunc(list, func(s queue.Settlement) bool { return !plain(s) }) {
		return nil, nil
	}
	out := make([]*parleyv1.Settlement, len(list))
	for i := range list {
		s := &list[i]
		action, known := settleActions[s.Action]
		if !known {
			return nil, parley.BadField("action", "is none that is known", `send "ack", "nack", "extend", "progress" or "dead"`)
		}
		p := &parleyv1.Settlement{Lease: s.Lease, Action: action, Extend: span(s.Extend), Cause: clip(s.Cause)}
		if s.Delay != nil {
			p.Delay = durationpb.New(*s.Delay)
		}
		if s.Progress != nil {
			p.Progress, p.Note = s.Progress.Fraction, clip(s.Progress.Note)
		}
		if s.Result != nil {
			p.Result = &parleyv1.JobOutput{ContentType: s.Result.ContentType, Data: s.Result.Data}
		}
		out[i] = p
	}
	return out, nil
}

func failures(n int, list []*parleyv1.ItemFailure) []error {
	out := make([]error, n)
	for _, f := range list {
		if i := int(f.GetIndex()); i >= 0 && i < len(out) {
			out[i] = fromFailure(f.GetFailure())
		}
	}
	return out
}

// clip cuts a text that the server would cut.
func clip(s string) string {
	if len(s) > queue.MaxCause {
		s = s[:queue.MaxCause]
	}
	return strings.ToValidUTF8(s, "")
}

// fromFailure reads the error of one part of a request.
func fromFailure(f *parleyv1.Failure) error {
	code, known := codeNamed(f.GetReason())
	if !known {
		code = parley.Internal // of a later version
	}
	return &parley.Error{Code: code, Detail: f.GetMessage(), Field: f.GetField(), RetryAfter: f.GetRetryAfter().AsDuration()}
}

// codeNamed reads the name of a code: ErrorInfo writes KEY_REUSED what a problem
// document writes key-reused.
func codeNamed(reason string) (parley.Code, bool) {
	return parley.CodeNamed(strings.ReplaceAll(strings.ToLower(reason), "_", "-"))
}
