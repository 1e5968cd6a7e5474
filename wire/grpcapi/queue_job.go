package grpcapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Enqueue implements parleyv1.QueuesServer.
func (s *service) Enqueue(ctx context.Context, in *parleyv1.EnqueueRequest) (*parleyv1.EnqueueResponse, error) {
	jobs, bad := jobsFrom(in.GetJobs())
	added, err := s.enqueue(ctx, in.GetQueue(), in.GetIdempotencyKey(), jobs, bad)
	if err != nil {
		return nil, err
	}
	return enqueuedOf(added), nil
}

// How much one look, or one lease, reads of the events at a time, and about how much
// an answer has: clients take 4 MiB unless they are told otherwise.
const (
	jobsAtOnce  = 64
	mostOfThese = 3 << 20
)

// ListJobs implements parleyv1.QueuesServer.
func (s *service) ListJobs(ctx context.Context, in *parleyv1.ListJobsRequest) (*parleyv1.ListJobsResponse, error) {
	out := &parleyv1.ListJobsResponse{}
	return out, s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) error {
		limit, err := pageOf(in.GetLimit())
		if err != nil {
			return err
		}
		r := queue.PeekRequest{State: queue.Ready, After: queue.ID(in.GetAfter())}
		if in.GetState() != parleyv1.JobState_JOB_STATE_UNSPECIFIED {
			r.State = stateFrom(in.GetState())
		}
		size := 0
		for len(out.Jobs) < limit {
			r.Max = min(limit-len(out.Jobs), jobsAtOnce)
			list, err := q.Peek(ctx, r)
			if err != nil || len(list) == 0 {
				return err
			}
			for i := range list {
				if size += packed.EventSize(&list[i].Event) + 512; size > mostOfThese && len(out.Jobs) > 0 {
					out.Next = int64(r.After)
					return nil
				}
				out.Jobs = append(out.Jobs, infoOf(&list[i]))
				r.After = list[i].ID
			}
		}
		out.Next = int64(r.After) // there may be more
		return nil
	})
}

// GetJob implements parleyv1.QueuesServer.
func (s *service) GetJob(ctx context.Context, in *parleyv1.GetJobRequest) (out *parleyv1.JobInfo, err error) {
	err = s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) error {
		job, err := q.Get(ctx, queue.ID(in.GetId()))
		if err != nil {
			return err
		}
		out = infoOf(&job)
		return nil
	})
	return out, err
}

// CancelJobs implements parleyv1.QueuesServer.
func (s *service) CancelJobs(ctx context.Context, in *parleyv1.CancelJobsRequest) (*parleyv1.CancelJobsResponse, error) {
	out := &parleyv1.CancelJobsResponse{}
	return out, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) error {
		if n := len(in.GetIds()); n == 0 || n > queue.MaxIDs {
			return parley.BadField("ids", strconv.Itoa(n)+" in one request", "send 1 to "+strconv.Itoa(queue.MaxIDs))
		}
		errs, err := q.Cancel(ctx, idsOf(in.GetIds())...)
		for i := range errs {
			errs[i] = inState(errs[i], "only ready, delayed and leased jobs can be canceled; purge the dead ones")
		}
		out.Failures = failuresOf(errs)
		return err
	})
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

// RescheduleJob implements parleyv1.QueuesServer.
func (s *service) RescheduleJob(ctx context.Context, in *parleyv1.RescheduleJobRequest) (*parleyv1.RescheduleJobResponse, error) {
	return &parleyv1.RescheduleJobResponse{}, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) error {
		if in.GetWhen() == nil {
			return parley.BadField("at", "neither at nor delay is there", "send one of them")
		}
		at, err := timeFrom("at", in.GetAt())
		if err != nil {
			return err
		}
		if in.GetDelay() != nil {
			delay, err := spanFrom("delay", in.GetDelay(), queue.MaxDelay)
			if err != nil {
				return err
			}
			at = s.api.opt.Now().Add(delay)
		}
		return inState(q.Reschedule(ctx, queue.ID(in.GetId()), at), "only ready and delayed jobs can be rescheduled; redrive the dead ones")
	})
}

// GetResult implements parleyv1.QueuesServer.
func (s *service) GetResult(ctx context.Context, in *parleyv1.GetResultRequest) (*parleyv1.GetResultResponse, error) {
	var end queue.Outcome
	err := s.withQueue(ctx, "enqueue", in.GetQueue(), func(q *queue.Queue) error {
		wait, err := spanFrom("wait", in.GetWait(), queue.MaxWait)
		if err != nil {
			return err
		}
		end, err = awaitResult(ctx, q, queue.ID(in.GetId()), wait)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &parleyv1.GetResultResponse{State: states[end.State], Reason: end.Reason}
	if end.Result != nil {
		out.Result = messageOf(end.Result)
	}
	return out, nil
}

// awaitResult waits for the end of a job, or of the server.
func awaitResult(ctx context.Context, q *queue.Queue, id queue.ID, wait time.Duration) (queue.Outcome, error) {
	if wait == 0 {
		return q.Result(ctx, id, 0)
	}
	live, done, err := callOf(ctx).live(ctx)
	if err != nil {
		return queue.Outcome{}, err
	}
	defer done()
	out, err := q.Result(live, id, wait)
	if live.Err() != nil && ctx.Err() == nil { // the server stops
		return q.Result(ctx, id, 0)
	}
	return out, err
}
