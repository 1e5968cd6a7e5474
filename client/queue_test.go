package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// wireRig is a queue behind the door, a client of it, and faults between them.
type wireRig struct {
	*testing.T
	api    http.Handler
	server *queue.Queue
	client *client.Client
	cut    func() // all connections

	mu       sync.Mutex
	requests []string                                  // path and body, in order
	fault    func(path string, n int) http.HandlerFunc // instead of the answer; nil = none
}

// queueRig runs f with a rig in a bubble.
func queueRig(t *testing.T, f func(r *wireRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &wireRig{T: t}
		ctx, stop := context.WithCancel(context.Background())
		log := memlog.New(memlog.Options{})
		topics := topic.New(log, topic.Options{AutoCreate: true})
		r.must(topics.Load(ctx))
		queues, err := queue.NewRegistry(log, new(shard.Local), queue.RegistryOptions{AutoCreate: true, Topics: topics})
		r.must(err)
		r.must(queues.Load(ctx))
		lives := door.NewLives()
		hub := pubsub.NewHub(log, topics, cursor.NewSealer(cursor.Key{Secret: [32]byte{1}}), pubsub.Options{})
		r.api, err = httpapi.New(httpapi.Options{Topics: topics, Hub: hub, Lives: lives, Queues: queues, Context: ctx})
		r.must(err)
		wire := memnet.Listen(1 << 20)
		home := newCutter(wire)
		r.cut = home.cut
		srv := &http.Server{Handler: http.HandlerFunc(r.serve)}
		transport := &http.Transport{DialContext: wire.Dial}
		var work sync.WaitGroup
		work.Go(func() { _ = queues.Run(ctx) })
		work.Go(func() { _ = lives.Run(ctx) })
		work.Go(func() { _ = srv.Serve(home) })
		r.server, err = queues.Ensure(ctx, "emails")
		r.must(err)
		r.client, err = client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}})
		r.must(err)
		f(r)
		transport.CloseIdleConnections()
		_ = srv.Close()
		_ = lives.Drain(ctx, 0)
		home.cut()
		stop()
		work.Wait()
	})
}

func (r *wireRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// serve notes a request, and answers it.
func (r *wireRig) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body) // what there is of it
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.requests = append(r.requests, req.URL.Path+" "+string(body))
	fault := r.fault
	n := len(r.requests)
	r.mu.Unlock()
	answer := r.api.ServeHTTP
	if fault != nil {
		if broken := fault(req.URL.Path, n); broken != nil {
			answer = broken
		}
	}
	answer(w, req)
}

// lose makes the connection break instead of an answer.
func lose(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func (r *wireRig) enqueue(data ...string) []queue.ID {
	r.Helper()
	jobs := make([]queue.Job, len(data))
	for i := range data {
		jobs[i].Event.Data = []byte(data[i])
	}
	list, err := r.client.Enqueue(r.Context(), "emails", jobs, queue.EnqueueOptions{})
	r.must(err)
	ids := make([]queue.ID, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

func (r *wireRig) stats() queue.Stats {
	r.Helper()
	s, err := r.server.Stats(r.Context())
	r.must(err)
	return s
}

// employ runs a worker over the wire, until end is called.
func (r *wireRig) employ(h queue.Handler, o queue.WorkerOptions) (end func()) {
	r.Helper()
	w, err := queue.NewWorker(r.client.Queue("emails"), h, o)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		r.Helper()
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run: %v", err)
		}
	}
}

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

// TestSettlementsAreGathered: what comes while a request is under way is one
// request, and each caller gets its own answers.
func TestSettlementsAreGathered(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue(strings.Fields(strings.Repeat("a ", 10))...)
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc {
			<-hold
			return nil
		}
		before := len(r.requests)
		errs := make([]error, len(leases)+1)
		var callers sync.WaitGroup
		for i := range errs {
			callers.Go(func() {
				if i == len(leases) {
					errs[i] = q.Ack(r.Context(), "emails~forged")
					return
				}
				errs[i] = q.Ack(r.Context(), leases[i].Token)
			})
			synctest.Wait()
		}
		close(hold)
		callers.Wait()
		for i, err := range errs[:len(leases)] {
			if err != nil {
				r.Errorf("ack %d: %v", i, err)
			}
		}
		if parley.CodeOf(errs[len(leases)]) != parley.Invalid {
			r.Errorf("the forged lease: %v", errs[len(leases)])
		}
		if n := len(r.requests) - before; n != 2 {
			r.Errorf("%d requests: %q", n, r.requests[before:])
		}
		if err := q.Ack(r.Context(), leases[0].Token); parley.CodeOf(err) != parley.Conflict {
			r.Errorf("acked again: %v", err)
		}
	})
}

// TestOneMistakeIsNotTheOthers: a call that the server refuses as a whole does not
// fail those that went with it.
func TestOneMistakeIsNotTheOthers(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue("a", "b")
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		var good, first, bad error
		var callers sync.WaitGroup
		callers.Go(func() { first = q.Ack(r.Context(), leases[0].Token) })
		synctest.Wait() // it is under way
		callers.Go(func() { good = q.Ack(r.Context(), leases[1].Token) })
		callers.Go(func() { bad = q.NackAfter(r.Context(), leases[1].Token, -time.Second, "") })
		synctest.Wait()
		close(hold)
		callers.Wait()
		if first != nil || good != nil || parley.CodeOf(bad) != parley.Invalid {
			r.Errorf("first %v, good %v, bad %v", first, good, bad)
		}
	})
}

// TestACallerThatLeaves: a settlement that nobody waits for is not held against
// those that follow, and its request ends.
func TestACallerThatLeaves(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue("a", "b")
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		var gone atomic.Int32
		r.fault = func(_ string, _ int) http.HandlerFunc {
			if gone.Load() > 0 {
				return nil
			}
			return func(_ http.ResponseWriter, req *http.Request) {
				<-req.Context().Done()
				gone.Add(1)
			}
		}
		ctx, leave := context.WithCancel(r.Context())
		left := make(chan error, 2)
		for range 2 { // one under way, and one behind it
			go func() { left <- q.Ack(ctx, leases[0].Token) }()
			synctest.Wait()
		}
		leave()
		for range 2 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				r.Errorf("left with %v", err)
			}
		}
		synctest.Wait()
		if gone.Load() != 1 {
			r.Errorf("%d requests were given up", gone.Load())
		}
		r.must(q.Ack(r.Context(), leases[1].Token))
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

// TestGatheringBounds: no request has more settlements than the server takes.
func TestGatheringBounds(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q := r.client.Queue("emails")
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() {
				list := slices.Repeat([]queue.Settlement{{Lease: "emails~AAAA", Action: queue.Ack}}, 400)
				errs, err := q.Settle(r.Context(), list)
				if err != nil || len(errs) != 400 || parley.CodeOf(errs[399]) != parley.Invalid {
					r.Errorf("%d answers, %v", len(errs), err)
				}
			})
			synctest.Wait()
		}
		close(hold)
		callers.Wait()
		for _, req := range r.requests {
			if n := strings.Count(req, `"lease"`); n > queue.MaxSettle {
				r.Errorf("a request of %d", n)
			}
		}
		if len(r.requests) != 3 {
			r.Errorf("%d requests", len(r.requests))
		}
		for _, n := range []int{0, queue.MaxSettle + 1} {
			if _, err := q.Settle(r.Context(), make([]queue.Settlement, n)); parley.CodeOf(err) != parley.Invalid {
				r.Errorf("%d settlements: %v", n, err)
			}
		}
	})
}

// TestTheRest walks through the calls that only look, or mend.
func TestTheRest(t *testing.T) {
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
		all, err := r.client.Queues(ctx)
		if err != nil || len(all) != 1 || all[0].Name != "emails" || all[0].Stats.Enqueued != 4 || all[0].Settings.MaxAttempts != 2 {
			r.Errorf("the queues are %+v, %v", all, err)
		}
		r.must(q.Delete(ctx))
		if _, err := q.Info(ctx); parley.CodeOf(err) != parley.NotFound {
			r.Errorf("after its end: %v", err)
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

// TestResultsAreNotTooMany: acks with results that are gathered stay within what
// one request may carry.
func TestResultsAreNotTooMany(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		r.enqueue(strings.Fields(strings.Repeat("a ", 8))...)
		leases, err := q.Lease(ctx, queue.LeaseRequest{Max: 8})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		large := queue.Output{ContentType: "text/plain", Data: bytes.Repeat([]byte("x"), queue.MaxResult)}
		var callers sync.WaitGroup
		for _, l := range leases {
			callers.Go(func() {
				if err := q.AckWith(ctx, l.Token, large); err != nil {
					r.Errorf("ack: %v", err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		callers.Wait()
		if s := r.stats(); s.Done != 8 || len(r.requests) != 2+5 { // of 1, 2, 2, 2 and 1
			r.Errorf("%d are done after %d requests", s.Done, len(r.requests))
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
		<-time.After(i.Next.Sub(time.Now()))
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
