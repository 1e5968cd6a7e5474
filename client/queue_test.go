package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/queue"
)

// wireRig is a queue behind a door, a client of it, and faults between them.
type wireRig struct {
	*testing.T
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
		ctx, stop := context.WithCancel(context.Background())
		q, err := queue.New(memlog.New(memlog.Options{}), new(shard.Local), "emails", queue.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := &wireRig{T: t, server: q}
		wire := memnet.Listen(1 << 20)
		home := newCutter(wire)
		r.cut = home.cut
		srv := &http.Server{Handler: http.HandlerFunc(r.serve)}
		transport := &http.Transport{DialContext: wire.Dial}
		var work sync.WaitGroup
		work.Go(func() { _ = q.Run(ctx) })
		work.Go(func() { _ = srv.Serve(home) })
		if r.client, err = client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}}); err != nil {
			t.Fatal(err)
		}
		f(r)
		transport.CloseIdleConnections()
		_ = srv.Close()
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
	r.mu.Lock()
	r.requests = append(r.requests, req.URL.Path+" "+string(body))
	fault := r.fault
	n := len(r.requests)
	r.mu.Unlock()
	var broken http.HandlerFunc
	if fault != nil {
		broken = fault(req.URL.Path, n)
	}
	if broken == nil {
		r.door(w, req, body)
		return
	}
	broken(w, req)
}

// door is the part of the API that a worker uses, over the queue itself.
func (r *wireRig) door(w http.ResponseWriter, req *http.Request, body []byte) {
	switch strings.TrimPrefix(req.URL.Path, "/v1/queues/emails/") {
	case "jobs":
		var in struct{ Jobs []queue.Job }
		if err := json.Unmarshal(body, &in); err != nil {
			answerProblem(w, http.StatusBadRequest, err)
			return
		}
		out, err := r.server.Enqueue(req.Context(), in.Jobs, queue.EnqueueOptions{IdempotencyKey: req.Header.Get("Idempotency-Key")})
		answerJSON(w, map[string]any{"jobs": out}, err)
	case "lease":
		most, _ := strconv.Atoi(req.URL.Query().Get("max"))
		wait, _ := time.ParseDuration(req.URL.Query().Get("wait"))
		visibility, _ := time.ParseDuration(req.URL.Query().Get("visibility"))
		list, err := r.server.Lease(req.Context(), queue.LeaseRequest{Max: most, Wait: wait, Visibility: visibility, Worker: req.URL.Query().Get("worker")})
		out := []map[string]any{}
		for _, l := range list {
			out = append(out, map[string]any{
				"lease": l.Token, "id": l.ID, "event": json.RawMessage(l.Event.AppendJSON(nil)), "enqueued": l.Enqueued,
				"priority": l.Priority, "key": l.Key, "attempt": l.Attempt, "until": l.Until, "visibility": l.Visibility.String(),
			})
		}
		answerJSON(w, map[string]any{"jobs": out}, err)
	case "settle":
		r.settle(w, req, body)
	default:
		http.NotFound(w, req)
	}
}

func (r *wireRig) settle(w http.ResponseWriter, req *http.Request, body []byte) {
	var in struct {
		Settlements []struct{ Lease, Action, Delay, Extend, Cause string }
	}
	r.must(json.Unmarshal(body, &in))
	list := make([]queue.Settlement, len(in.Settlements))
	for i, s := range in.Settlements {
		list[i] = queue.Settlement{Lease: s.Lease, Action: queue.Action(s.Action), Cause: s.Cause}
		list[i].Extend, _ = time.ParseDuration(s.Extend)
		if d, err := time.ParseDuration(s.Delay); err == nil {
			list[i].Delay = &d
		}
	}
	errs, err := r.server.Settle(req.Context(), list)
	results := make([]map[string]any, len(errs))
	for i, err := range errs {
		results[i] = map[string]any{"lease": list[i].Lease}
		if err != nil {
			results[i]["error"] = problemOf(err)
		}
	}
	answerJSON(w, map[string]any{"results": results}, err)
}

func problemOf(err error) map[string]any {
	var e *parley.Error
	if !errors.As(err, &e) {
		e = &parley.Error{Code: parley.Internal, Detail: err.Error()}
	}
	return map[string]any{"type": "urn:parley:error:" + e.Code.String(), "detail": e.Detail, "field": e.Field, "fix": e.Fix}
}

func answerProblem(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problemOf(err)) // the client notices
}

func answerJSON(w http.ResponseWriter, v any, err error) {
	if err != nil {
		answerProblem(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client notices
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
				r.mu.Lock()
				_, body, _ := strings.Cut(r.requests[0], " ")
				r.mu.Unlock()
				r.door(discard{}, req, []byte(body))
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

// discard is an answer that nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

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
