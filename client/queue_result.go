package client

import (
	"context"

	"github.com/parleyhq/parley/pattern/queue"
)

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
