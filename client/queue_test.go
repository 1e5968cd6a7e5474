package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// TestEnqueueOnceOverLostAnswers loses the answer to an enqueue after it was done.
func TestEnqueueOnceOverLostAnswers(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.fault = func(_ string, n int) http.HandlerFunc {
			if n > 1 {
				return nil
			}
			return func(w http.ResponseWriter, req *http.Request) {
				r.api.ServeHTTP(httptest.NewRecorder(), req)
				lose(w, req)
			}
		}
		if ids := r.enqueue("a", "b"); len(ids) != 2 || ids[0] == ids[1] {
			r.Fatalf("ids %v", ids)
		}
		if s := r.stats(); s.Ready != 2 || len(r.requests) != 2 {
			r.Fatalf("%d jobs after %d requests", s.Ready, len(r.requests))
		}
	})
}

// TestWorkerOverTheWire: a job's attributes arrive, and what the handler says is
// what becomes of it.
func TestWorkerOverTheWire(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		e := parley.Event{ID: "e1", Source: "/shop", Type: "Order", DataContentType: "application/json", Data: []byte(`{"n":1}`)}
		e.Set("traceparent", "00-1-2-03")
		list, err := r.client.Queue("emails").Enqueue(r.Context(), []queue.Job{{Event: e, Priority: 7, Key: "k", Unique: "u"}, {Event: e, Unique: "u"}}, queue.EnqueueOptions{})
		r.must(err)
		if list[1].Duplicate != list[0].ID || list[0].Duplicate != 0 {
			r.Fatalf("enqueued %+v", list)
		}
		got := make(chan queue.Lease, 1)
		end := r.employ(func(_ context.Context, l *queue.Lease) (queue.Result, error) {
			if l.Attempt == 1 {
				return nil, queue.RetryAfter(time.Minute, errors.New("busy"))
			}
			got <- *l
			return nil, queue.Fatal(errors.New("no such address"))
		}, queue.WorkerOptions{Name: "w1"})
		begun := time.Now()
		l := <-got
		if time.Since(begun) != time.Minute || l.Attempt != 2 || l.Priority != 7 || l.Key != "k" || l.ID != list[0].ID || l.Visibility != 30*time.Second || !l.Until.Equal(time.Now().Add(30*time.Second)) {
			r.Errorf("after %v it is %+v", time.Since(begun), l)
		}
		if l.Event.ID != "e1" || l.Event.Source != "/shop" || l.Event.Type != "Order" || string(l.Event.Data) != `{"n":1}` || l.Event.Extensions["traceparent"] != "00-1-2-03" {
			r.Errorf("the event is %+v", l.Event)
		}
		synctest.Wait()
		end()
		i, err := r.server.Get(r.Context(), list[0].ID)
		r.must(err)
		if i.State != queue.Dead || i.Reason != "no such address" || len(i.History) != 2 || i.History[0].Cause != "busy" || i.History[0].Worker != "w1" {
			r.Errorf("the job is %+v", i)
		}
	})
}

// TestWorkerOutlivesCuts cuts all connections every second, for ten minutes of
// jobs that take longer than their leases: each job is done once.
func TestWorkerOutlivesCuts(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		ids := r.enqueue(strings.Fields(strings.Repeat("a ", 40))...)
		var runs atomic.Int32
		all := make(chan struct{})
		end := r.employ(func(ctx context.Context, _ *queue.Lease) (queue.Result, error) {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if int(runs.Add(1)) == len(ids) {
				close(all)
			}
			return nil, nil
		}, queue.WorkerOptions{Concurrency: 4})
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for cutting := true; cutting; {
			select {
			case <-tick.C:
				r.cut()
			case <-all:
				cutting = false
			}
		}
		end()
		if s := r.stats(); s.Done != int64(len(ids)) || s.Ready+s.Leased+s.Delayed+s.Dead != 0 || int(runs.Load()) != len(ids) {
			r.Fatalf("%d runs: %+v", runs.Load(), s)
		}
	})
}

// TestLostLeaseEndsTheHandler: 409 to a heartbeat ends the job's context, and
// nothing is settled.
func TestLostLeaseEndsTheHandler(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		id := r.enqueue("a")[0]
		begun, lost := make(chan struct{}), make(chan struct{})
		end := r.employ(func(ctx context.Context, _ *queue.Lease) (queue.Result, error) {
			close(begun)
			<-ctx.Done()
			close(lost)
			return nil, nil
		}, queue.WorkerOptions{Heartbeat: 5 * time.Second})
		<-begun
		_, err := r.server.Cancel(r.Context(), id)
		r.must(err)
		<-lost
		synctest.Wait()
		end()
		for _, req := range r.requests {
			if strings.Contains(req, `"ack"`) || strings.Contains(req, `"nack"`) {
				r.Errorf("it was settled: %s", req)
			}
		}
	})
}

// TestASilentServer: a connection of which only our half is open holds a worker no
// longer than it should.
func TestASilentServer(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue("a")
		r.fault = func(path string, n int) http.HandlerFunc {
			if !strings.HasSuffix(path, "/lease") || n > 2 {
				return nil
			}
			return func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
		}
		begun := time.Now()
		list, err := r.client.Queue("emails").Lease(r.Context(), queue.LeaseRequest{Wait: 10 * time.Second})
		r.must(err)
		if took := time.Since(begun); len(list) != 1 || took < 30*time.Second || took > 32*time.Second {
			r.Errorf("%d jobs after %v", len(list), took)
		}
	})
}

// TestQueueSettings changes a queue's settings, all or some.
func TestQueueSettings(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		s, err := q.Configure(ctx, queue.Settings{MaxAttempts: 1, Rate: "100/s"})
		r.must(err)
		if s.MaxAttempts != 1 || s.Visibility != 30*time.Second || s.Rate != "100/s" {
			r.Errorf("configured %+v", s)
		}
		if i, err := q.Change(ctx, []byte(`{"max_attempts":2}`)); err != nil || i.Settings.MaxAttempts != 2 || i.Settings.Rate != "100/s" {
			r.Errorf("changed to %+v: %v", i, err)
		}
		if _, err := q.Configure(ctx, queue.Settings{MaxAttempts: -7}); parley.CodeOf(err) != parley.Invalid {
			r.Errorf("a wrong setting: %v", err)
		}
		all, err := r.client.Queues(ctx)
		if err != nil || len(all) != 1 || all[0].Name != "emails" || all[0].Settings.MaxAttempts != 2 {
			r.Errorf("the queues are %+v, %v", all, err)
		}
		r.must(q.Delete(ctx))
		if _, err := q.Info(ctx); parley.CodeOf(err) != parley.NotFound {
			r.Errorf("after its end: %v", err)
		}
	})
}

// TestLookAndMend walks through the calls that look at jobs, or change them.
func TestLookAndMend(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		ids := r.enqueue("a", "b", "c", "d")
		at := time.Now().Add(time.Hour)
		r.must(q.Reschedule(ctx, ids[0], at))
		leases, err := q.Lease(ctx, queue.LeaseRequest{Max: 2, Worker: "w", Visibility: time.Minute})
		r.must(err)
		r.must(q.Extend(ctx, leases[0].Token, 2*time.Hour))
		r.must(q.Progress(ctx, leases[0].Token, queue.Progress{Fraction: 0.5, Note: "half"}))
		r.must(q.Dead(ctx, leases[1].Token, "no such address"+strings.Repeat(" ", 20<<20)))
		for state, want := range map[queue.State]queue.ID{queue.Delayed: ids[0], queue.Leased: ids[1], queue.Dead: ids[2], queue.Ready: ids[3]} {
			list, err := q.Peek(ctx, queue.PeekRequest{State: state})
			if err != nil || len(list) != 1 || list[0].ID != want || len(list[0].Event.Data) != 1 {
				r.Errorf("%s: %+v, %v", state, list, err)
			}
			if list, err := q.Peek(ctx, queue.PeekRequest{State: state, After: want, Max: 1}); err != nil || len(list) != 0 {
				r.Errorf("%s after %v: %+v, %v", state, want, list, err)
			}
		}
		i, err := q.Get(ctx, ids[0])
		if err != nil || !i.Due.Equal(at) || string(i.Event.Data) != "a" {
			r.Errorf("the delayed job is %+v, %v", i, err)
		}
		if i, err := q.Get(ctx, ids[1]); err != nil || i.Progress == nil || i.Progress.Fraction != 0.5 || i.Progress.Note != "half" {
			r.Errorf("the leased job is %+v, %v", i, err)
		}
		if n, err := q.Redrive(ctx, queue.Filter{Reason: "address"}); n != 1 || err != nil {
			r.Errorf("redriven %d: %v", n, err)
		}
		errs, err := q.Cancel(ctx, ids[1], 999)
		if err != nil || errs[0] != nil || parley.CodeOf(errs[1]) != parley.NotFound {
			r.Errorf("canceled %v, %v", errs, err)
		}
		r.must(q.Pause(ctx))
		if list, err := q.Lease(ctx, queue.LeaseRequest{Wait: time.Second}); err != nil || len(list) > 0 {
			r.Errorf("a paused queue gives %v, %v", list, err)
		}
		r.must(q.Resume(ctx))
		if n, err := q.Purge(ctx, queue.Ready, queue.Delayed); n != 3 || err != nil {
			r.Errorf("purged %d: %v", n, err)
		}
		if s, err := q.Stats(ctx); err != nil || s.Enqueued != 4 || s.Ready+s.Delayed+s.Leased+s.Dead != 0 {
			r.Errorf("in the end: %+v, %v", s, err)
		}
	})
}

// TestResults: a result goes with its ack, also of a worker's handler, and whoever
// waits for it is answered when it is there.
func TestResults(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		ids := r.enqueue("a", "b", "c", "d")
		if out, err := q.Result(ctx, ids[0], time.Second); err != nil || out.State != queue.Ready || out.Result != nil {
			r.Errorf("before its end: %+v, %v", out, err)
		}
		end := r.employ(func(ctx context.Context, l *queue.Lease) (queue.Result, error) {
			switch string(l.Event.Data) {
			case "a":
				if err := l.Report(ctx, queue.Progress{Fraction: 0.5}); err != nil {
					return nil, err
				}
				<-time.After(time.Minute)
				return queue.Output{ContentType: "text/plain", Data: []byte("ä\x00")}, nil
			case "b":
				return nil, nil
			}
			return nil, queue.Fatal(errors.New("bad"))
		}, queue.WorkerOptions{})
		begun := time.Now()
		out, err := q.Result(ctx, ids[0], 2*time.Minute)
		if err != nil || out.State != queue.Done || string(out.Result.Data) != "ä\x00" || out.Result.DataContentType != "text/plain" || out.Result.Type != queue.ResultType || time.Since(begun) != time.Minute {
			r.Errorf("after %v: %+v, %v", time.Since(begun), out, err)
		}
		if out, err := q.Result(ctx, ids[1], time.Minute); err != nil || out.State != queue.Done || out.Result != nil {
			r.Errorf("without one: %+v, %v", out, err)
		}
		if out, err := q.Result(ctx, ids[2], time.Minute); err != nil || out.State != queue.Dead || out.Reason != "bad" {
			r.Errorf("dead: %+v, %v", out, err)
		}
		synctest.Wait()
		end()
		if _, err := q.Result(ctx, 999, 0); parley.CodeOf(err) != parley.NotFound {
			r.Errorf("no such job: %v", err)
		}
	})
}

// TestSchedules puts, reads, pauses and deletes.
func TestSchedules(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		s := queue.Schedule{Name: "daily", Cron: "0 8 * * *", Zone: "Europe/Berlin", Job: queue.Job{Priority: 4, Unique: "u", Event: parley.Event{Type: "Mail", Data: []byte("x")}}}
		i, created, err := q.PutSchedule(ctx, s)
		if err != nil || !created || i.Next.IsZero() || i.Missed != queue.MissedOnce {
			r.Fatalf("%+v, %v, %v", i, created, err)
		}
		r.must(q.PauseSchedule(ctx, "daily", true))
		list, err := q.Schedules(ctx)
		if err != nil || len(list) != 1 || !list[0].Paused || list[0].Job.Unique != "u" || list[0].Job.Event.Type != "Mail" || string(list[0].Job.Event.Data) != "x" {
			r.Errorf("%+v, %v", list, err)
		}
		r.must(q.PauseSchedule(ctx, "daily", false))
		<-time.After(time.Until(i.Next))
		jobs, err := q.Lease(ctx, queue.LeaseRequest{Wait: time.Second})
		if err != nil || len(jobs) != 1 || jobs[0].Event.Extensions[queue.ScheduleName] != "daily" || jobs[0].Priority != 4 {
			r.Errorf("when it was due: %+v, %v", jobs, err)
		}
		if i, err := q.Schedule(ctx, "daily"); err != nil || !i.Last.Equal(jobs[0].Event.Time) {
			r.Errorf("afterwards: %+v, %v", i, err)
		}
		r.must(q.DeleteSchedule(ctx, "daily"))
		if err := q.PauseSchedule(ctx, "daily", true); parley.CodeOf(err) != parley.NotFound {
			r.Errorf("after its end: %v", err)
		}
		s.Cron = "never"
		if _, _, err := q.PutSchedule(ctx, s); parley.CodeOf(err) != parley.Invalid {
			r.Errorf("a wrong one: %v", err)
		}
	})
}
