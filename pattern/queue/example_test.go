package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/queue"
)

// open runs a queue over a log in memory, until done is called.
func open(ctx context.Context) (q *queue.Queue, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	q, err := queue.New(memlog.New(memlog.Options{}), new(shard.Local), "emails", queue.Options{})
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	return q, func() {
		cancel()
		if err := <-ended; err != nil {
			panic(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	q, done := open(ctx)
	defer done()

	_, err := q.Enqueue(ctx, []queue.Job{
		{Event: parley.Event{Data: []byte("newsletter")}},
		{Event: parley.Event{Data: []byte("password reset")}, Priority: 9},
	}, queue.EnqueueOptions{IdempotencyKey: "batch 7"})
	if err != nil {
		panic(err)
	}

	jobs, err := q.Lease(ctx, queue.LeaseRequest{Max: 10, Worker: "mailer-1"})
	if err != nil {
		panic(err)
	}
	for _, job := range jobs {
		fmt.Printf("%s, attempt %d\n", job.Event.Data, job.Attempt)
		if err := q.Ack(ctx, job.Token); err != nil {
			panic(err)
		}
	}
	// A lease settles its job once.
	fmt.Println(parley.CodeOf(q.Ack(ctx, jobs[0].Token)))
	// Output:
	// password reset, attempt 1
	// newsletter, attempt 1
	// conflict
}

func ExampleWorker() {
	ctx, stop := context.WithCancel(context.Background())
	q, done := open(context.Background())
	defer done()

	w, err := queue.NewWorker(q, func(_ context.Context, job *queue.Lease) (queue.Result, error) {
		switch {
		case string(job.Event.Data) == "nobody@":
			stop() // the last one of this example
			return nil, queue.Fatal(errors.New("no such address"))
		case job.Attempt == 1:
			return nil, queue.RetryAfter(0, errors.New("mailbox busy"))
		}
		return "sent to " + string(job.Event.Data), nil
	}, queue.WorkerOptions{
		OnResult: func(_ context.Context, _ *queue.Lease, r queue.Result) error {
			fmt.Println(r)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	for _, to := range []string{"ann@example.com", "nobody@"} {
		if _, err := q.Enqueue(ctx, []queue.Job{{Event: parley.Event{Data: []byte(to)}}}, queue.EnqueueOptions{}); err != nil {
			panic(err)
		}
	}
	if err := w.Run(ctx); err != nil {
		panic(err)
	}

	dead, err := q.Peek(context.Background(), queue.PeekRequest{State: queue.Dead})
	if err != nil {
		panic(err)
	}
	for _, job := range dead {
		fmt.Printf("%s is %s: %s\n", job.Event.Data, job.State, job.Reason)
	}
	n, err := q.Redrive(context.Background(), queue.Filter{Reason: "no such address"})
	fmt.Println(n, err)
	// Output:
	// sent to ann@example.com
	// nobody@ is dead: no such address
	// 1 <nil>
}

// A job whose result is waited for.
func ExampleQueue_Result() {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	topics := topic.New(log, topic.Options{})
	if err := topics.Load(ctx); err != nil {
		panic(err)
	}
	q, err := queue.New(log, new(shard.Local), "sums", queue.Options{Topics: topics})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = q.Run(ctx) }()

	w, err := queue.NewWorker(q, func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
		return queue.Output{ContentType: "text/plain", Data: append(job.Event.Data, " = 3"...)}, nil
	}, queue.WorkerOptions{})
	if err != nil {
		panic(err)
	}
	go func() { _ = w.Run(ctx) }()

	jobs, err := q.Enqueue(ctx, []queue.Job{{Event: parley.Event{Data: []byte("1 + 2")}}}, queue.EnqueueOptions{})
	if err != nil {
		panic(err)
	}
	how, err := q.Result(ctx, jobs[0].ID, time.Minute)
	if err != nil {
		panic(err)
	}
	fmt.Println(how.State, string(how.Result.Data))
	// Output: done 1 + 2 = 3
}

func ExampleCron_Next() {
	cron, err := queue.ParseCron("30 2 * * *")
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC) // the clocks change on the 29th
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	for range 3 {
		at = cron.Next(at, berlin)
		fmt.Println(at.Format("Mon _2 Jan 15:04 MST"))
	}
	// Output:
	// Sun 29 Mar 03:00 CEST
	// Mon 30 Mar 02:30 CEST
	// Tue 31 Mar 02:30 CEST
}
