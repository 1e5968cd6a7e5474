package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// queueStep has parcels packed: a worker that falls asleep loses its parcel to
// another, and one that says that it failed gets it again.
func (d *demo) queueStep(ctx context.Context) error {
	q := d.client.Queue("shop.parcels")
	settings := queue.Settings{Visibility: time.Second, Retry: queue.Retry{Kind: queue.Fixed, Delay: 300 * time.Millisecond}}
	if _, err := q.Configure(ctx, settings); err != nil {
		return err
	}
	jobs := make([]queue.Job, len(shopGoods))
	for i, good := range shopGoods {
		jobs[i].Event = parley.Event{Type: "Parcel", Data: []byte(good.name), DataContentType: "text/plain"}
	}
	if _, err := q.Enqueue(ctx, jobs, queue.EnqueueOptions{}); err != nil {
		return err
	}
	d.print("\n  %d parcels to pack, leases of %s\n", len(jobs), settings.Visibility)
	asleep, err := q.Lease(ctx, queue.LeaseRequest{Worker: "ken"})
	if err != nil || len(asleep) == 0 {
		return errors.Join(errors.New("the queue gave no parcel"), err)
	}
	d.print("  ken  takes %s, and falls asleep\n", asleep[0].Event.Data)
	if err := d.pack(ctx, q, len(jobs)); err != nil {
		return err
	}
	if err := q.Ack(ctx, asleep[0].Token); parley.CodeOf(err) != parley.Conflict {
		return errors.Join(errors.New("a lease that was over has settled its job"), err)
	}
	d.print("  ken  wakes up, and is told that the parcel is not his any more\n")
	return nil
}

// pack has a worker pack parcels until so many are done.
func (d *demo) pack(ctx context.Context, q queue.Source, parcels int) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	begun := time.Now()
	var mu sync.Mutex
	w, err := queue.NewWorker(q, func(_ context.Context, job *queue.Lease) (queue.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		after := time.Since(begun).Round(100 * time.Millisecond)
		if job.ID%3 == 0 && job.Attempt == 1 {
			d.print("  ada  %-20s %5s  attempt %d: the printer is jammed, later\n", job.Event.Data, after, job.Attempt)
			return nil, errors.New("the printer is jammed")
		}
		d.print("  ada  %-20s %5s  attempt %d: done\n", job.Event.Data, after, job.Attempt)
		if parcels--; parcels == 0 {
			enough()
		}
		return nil, nil
	}, queue.WorkerOptions{Name: "ada", Concurrency: 2})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}
