package overgrpc_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/pattern/queue"
)

func TestAWorkerOverGRPC(t *testing.T) {
	for name, source := range map[string]func(q *overgrpc.Queue) (queue.Source, error){
		"calls":        func(q *overgrpc.Queue) (queue.Source, error) { return q, nil },
		"stream":       func(q *overgrpc.Queue) (queue.Source, error) { return q.WorkStream(overgrpc.WorkOptions{}) },
		"stream ahead": func(q *overgrpc.Queue) (queue.Source, error) { return q.WorkStream(overgrpc.WorkOptions{Ahead: 1}) },
	} {
		t.Run(name, func(t *testing.T) { testWorker(t, source) })
	}
}

func testWorker(t *testing.T, open func(q *overgrpc.Queue) (queue.Source, error)) {
	synctest.Test(t, func(t *testing.T) {
		q := dial(t).Queue("emails")
		source, err := open(q)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := source.(*overgrpc.WorkStream); ok {
			defer func() { _ = s.Close() }()
		}
		jobs := []queue.Job{
			{Event: parley.Event{Data: []byte("once")}},
			{Event: parley.Event{Data: []byte("twice")}},
			{Event: parley.Event{Data: []byte("never")}, Priority: 2},
			{Event: parley.Event{Data: []byte("long")}, Delay: time.Minute},
		}
		added, err := q.Enqueue(t.Context(), jobs, queue.EnqueueOptions{IdempotencyKey: "k"})
		if err != nil || len(added) != 4 {
			t.Fatal(added, err)
		}
		if again, err := q.Enqueue(t.Context(), jobs, queue.EnqueueOptions{IdempotencyKey: "k"}); err != nil || !reflect.DeepEqual(again, added) {
			t.Errorf("again: %v, %v", again, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		seen := make(chan string, 10)
		w, err := queue.NewWorker(source, func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
			defer func() { seen <- string(job.Event.Data) }()
			switch string(job.Event.Data) {
			case "twice":
				if job.Attempt == 1 {
					return nil, queue.RetryAfter(time.Second, errors.New("busy"))
				}
				return queue.Output{ContentType: "text/plain", Data: []byte("at last")}, nil
			case "never":
				return nil, queue.Fatal(errors.New("no such address"))
			case "long":
				if err := job.Report(ctx, queue.Progress{Fraction: 0.5}); err != nil {
					return nil, err
				}
				select {
				case <-time.After(5 * time.Minute): // its lease is extended meanwhile
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
				defer stop()
			}
			return nil, nil
		}, queue.WorkerOptions{Concurrency: 2, Name: "w"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(ctx); err != nil {
			t.Fatal(err)
		}
		close(seen)
		count := map[string]int{}
		for s := range seen {
			count[s]++
		}
		if want := map[string]int{"once": 1, "twice": 2, "never": 1, "long": 1}; !reflect.DeepEqual(count, want) {
			t.Errorf("%v", count)
		}
	})
}

func TestLeasesOverGRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := dial(t).Queue("q")
		retry := &queue.Retry{Kind: queue.List, Delays: []time.Duration{time.Hour}}
		at := time.Now().Add(10 * time.Second)
		event := parley.Event{ID: "1", Source: "/s", Type: "t", Subject: "u", Data: []byte("x"), Extensions: map[string]string{"a": "b"}}
		if _, err := q.Enqueue(t.Context(), []queue.Job{{Event: event, At: at, Priority: 4, Key: "k", Unique: "u", Retry: retry, MaxAttempts: 3}}, queue.EnqueueOptions{}); err != nil {
			t.Fatal(err)
		}
		list, err := q.Lease(t.Context(), queue.LeaseRequest{Max: 5, Wait: time.Minute, Visibility: time.Hour, Worker: "w"})
		if err != nil || len(list) != 1 || !time.Now().Equal(at) {
			t.Fatalf("%v, %v at %v", list, err, time.Now())
		}
		l := list[0]
		if l.Priority != 4 || l.Key != "k" || l.Attempt != 1 || l.Visibility != time.Hour || !l.Until.Equal(at.Add(time.Hour)) || l.Event.Subject != "u" || l.Event.Extensions["a"] != "b" || l.Enqueued.IsZero() {
			t.Errorf("%+v", l)
		}
		errs, err := q.Settle(t.Context(), []queue.Settlement{{Lease: l.Token, Action: queue.Nack, Cause: "busy"}, {Lease: l.Token, Action: queue.Ack}, {Lease: "nonsense", Action: queue.Ack}})
		if err != nil || errs[0] != nil || parley.CodeOf(errs[1]) != parley.Conflict || parley.CodeOf(errs[2]) != parley.Invalid {
			t.Errorf("%v, %v", errs, err)
		}
		begin := time.Now()
		if list, err = q.Lease(t.Context(), queue.LeaseRequest{Wait: 30 * time.Minute}); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%v, %v", list, err)
		}
		for range 13 {
			if list, err = q.Lease(t.Context(), queue.LeaseRequest{Wait: 5 * time.Minute}); err != nil || len(list) > 0 {
				break
			}
		}
		if err != nil || len(list) != 1 || list[0].Attempt != 2 || time.Since(begin) != time.Hour {
			t.Errorf("%v, %v after %v", list, err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Lease(ctx, queue.LeaseRequest{Wait: time.Minute}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller who does not wait is told %v", err)
		}
		if _, err := q.Settle(t.Context(), []queue.Settlement{{Lease: "x", Action: "forget"}}); parley.CodeOf(err) != parley.Invalid {
			t.Error(err)
		}
	})
}
