package grpcapi

import (
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Lease implements parleyv1.QueuesServer.
func (s *service) Lease(ctx context.Context, in *parleyv1.LeaseRequest) (*parleyv1.LeaseResponse, error) {
	c := callOf(ctx)
	release, err := c.pass(ctx, "work", in.GetQueue())
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := leaseFrom(in)
	if err != nil {
		return nil, err
	}
	q, err := s.api.opt.Queues.Ensure(ctx, in.GetQueue())
	if err != nil {
		return nil, err
	}
	live := ctx
	if r.Wait > 0 {
		held, done, err := c.live(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		live = held
	}
	list, err := leaseSome(live, q, r)
	if live.Err() != nil && ctx.Err() == nil { // the server stops: the wait is over
		giveBack(ctx, q, tokensOf(list))
		return &parleyv1.LeaseResponse{}, nil
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		giveBack(ctx, q, tokensOf(list))
		return nil, err
	}
	out := &parleyv1.LeaseResponse{Jobs: make([]*parleyv1.LeasedJob, len(list))}
	for i := range list {
		out.Jobs[i] = leasedOf(&list[i])
	}
	return out, nil
}

func leaseFrom(in *parleyv1.LeaseRequest) (r queue.LeaseRequest, err error) {
	r = queue.LeaseRequest{Max: int(in.GetMax()), Worker: in.GetWorker()}
	if r.Max < 0 || r.Max > queue.MaxLease {
		return r, parley.BadField("max", "is "+strconv.Itoa(r.Max), "send 1 to "+strconv.Itoa(queue.MaxLease))
	}
	r.Max = max(r.Max, 1)
	if r.Wait, err = spanFrom("wait", in.GetWait(), queue.MaxWait); err != nil {
		return r, err
	}
	r.Visibility, err = spanFrom("visibility", in.GetVisibility(), queue.MaxVisibility)
	return r, err
}

// leaseSome leases up to so many jobs as the request says, some at a time: of jobs
// as large as the largest so far, what comes next has room in an answer.
func leaseSome(ctx context.Context, q *queue.Queue, r queue.LeaseRequest) (list []queue.Lease, err error) {
	size, largest, some := 0, 1, min(r.Max, 2)
	for some > 0 {
		next := r
		next.Max = some
		if len(list) > 0 {
			next.Wait = 0
		}
		more, err := q.Lease(ctx, next)
		if err != nil && len(list) == 0 {
			return nil, err
		}
		for i := range more {
			n := packed.EventSize(&more[i].Event) + 512
			size, largest = size+n, max(largest, n)
		}
		if list = append(list, more...); len(more) < some {
			break
		}
		some = min(r.Max-len(list), jobsAtOnce, (mostOfThese-size)/largest)
	}
	return list, nil
}

func tokensOf(list []queue.Lease) []string {
	tokens := make([]string, len(list))
	for i := range list {
		tokens[i] = list[i].Token
	}
	return tokens
}

// giveBack ends leases whose worker is gone.
func giveBack(ctx context.Context, q *queue.Queue, tokens []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for len(tokens) > 0 {
		n := min(len(tokens), queue.MaxSettle)
		some := make([]queue.Settlement, n)
		for i, token := range tokens[:n] {
			some[i] = queue.Settlement{Lease: token, Action: queue.Nack, Delay: new(time.Duration), Cause: queue.GoneAway}
		}
		_, _ = q.Settle(ctx, some) // what it does not reach ends with its lease
		tokens = tokens[n:]
	}
}

func leasedOf(l *queue.Lease) *parleyv1.LeasedJob {
	return &parleyv1.LeasedJob{
		Lease: l.Token, Id: int64(l.ID), Event: messageOf(&l.Event), Enqueued: timeOf(l.Enqueued), Priority: int32(l.Priority),
		Key: l.Key, Attempt: int32(l.Attempt), Until: timeOf(l.Until), Visibility: some(l.Visibility),
	}
}
