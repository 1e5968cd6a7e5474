package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley/pattern/queue"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// work is a worker's stream and what came on it.
type work struct {
	t       testing.TB
	stream  grpc.BidiStreamingClient[parleyv1.WorkRequest, parleyv1.WorkResponse]
	leased  []*parleyv1.LeasedJob
	settled map[uint64]*parleyv1.Settled
}

func (q *queues) open(ctx context.Context, open *parleyv1.WorkOpen, credit int32) *work {
	q.t.Helper()
	stream, err := q.Work(ctx)
	if err != nil {
		q.t.Fatal(err)
	}
	w := &work{t: q.t, stream: stream, settled: map[uint64]*parleyv1.Settled{}}
	w.send(&parleyv1.WorkRequest{Open: open, Credit: credit})
	if m, err := stream.Recv(); err != nil || len(m.GetJobs()) > 0 || m.GetSettled() != nil {
		q.t.Fatalf("opening: %v, %v", m, err)
	}
	return w
}

func (w *work) send(m *parleyv1.WorkRequest) {
	w.t.Helper()
	if err := w.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		w.t.Fatal(err)
	}
}

func (w *work) next() error {
	m, err := w.stream.Recv()
	if err != nil {
		return err
	}
	w.leased = append(w.leased, m.GetJobs()...)
	if s := m.GetSettled(); s != nil {
		w.settled[s.GetRequest()] = s
	}
	return nil
}

// jobs reads on until there are n jobs.
func (w *work) jobs(n int) []*parleyv1.LeasedJob {
	w.t.Helper()
	for len(w.leased) < n {
		if err := w.next(); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.leased
}

// answer reads on until a request is answered.
func (w *work) answer(request uint64) *parleyv1.Settled {
	w.t.Helper()
	for w.settled[request] == nil {
		if err := w.next(); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.settled[request]
}

// end reads on until the stream ends.
func (w *work) end() error {
	for {
		if err := w.next(); err != nil {
			return err
		}
	}
}

func (w *work) close() {
	w.t.Helper()
	if err := w.stream.CloseSend(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.end(); !errors.Is(err, io.EOF) {
		w.t.Fatal(err)
	}
}

func TestAWorkersStream(t *testing.T) {
	q := newQueues(t, nil)
	w := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q", Worker: "w", Visibility: durationpb.New(time.Minute)}, 3)
	q.add(jobsFor("a", "b", "c", "d", "e")...)
	list := w.jobs(3)
	if s := q.stats(); s.GetLeased() != 3 || s.GetReady() != 2 {
		t.Errorf("a credit of 3: %v", s)
	}
	if list[0].GetVisibility().AsDuration() != time.Minute || list[0].GetAttempt() != 1 || string(list[0].GetEvent().GetData()) != "a" {
		t.Errorf("%v", list[0])
	}
	w.send(&parleyv1.WorkRequest{Request: 7, Credit: 1, Settlements: []*parleyv1.Settlement{settlement(list[0], ack), settlement(list[0], ack), settlement(list[1], extend)}})
	if s := w.answer(7); s.GetFailure() != nil || len(s.GetFailures()) != 1 || s.GetFailures()[0].GetIndex() != 1 || s.GetFailures()[0].GetFailure().GetReason() != "CONFLICT" {
		t.Errorf("%v", s)
	}
	w.send(&parleyv1.WorkRequest{Request: 8, Settlements: []*parleyv1.Settlement{{Lease: list[1].GetLease(), Action: 9}}})
	if s := w.answer(8); s.GetFailure().GetReason() != "INVALID" || s.GetFailure().GetField() != "settlements[0].action" {
		t.Errorf("%v", s)
	}
	if d := w.jobs(4)[3]; string(d.GetEvent().GetData()) != "d" {
		t.Errorf("%v", d)
	}
	w.close()
	// b, c and d come back at once; a is done.
	back := q.take(10)
	got := make([]string, len(back))
	for i, l := range back {
		got[i] = fmt.Sprint(string(l.GetEvent().GetData()), l.GetAttempt())
	}
	if strings.Join(got, " ") != "b2 c2 d2 e1" {
		t.Errorf("%v", got)
	}
	job := must[*parleyv1.JobInfo](t)(q.GetJob(t.Context(), &parleyv1.GetJobRequest{Queue: "q", Id: back[0].GetId()}))
	if h := job.GetHistory(); len(h) != 2 || h[0].GetWorker() != "w" || h[0].GetCause() != queue.GoneAway {
		t.Errorf("%v", h)
	}
}

func TestAWorkerThatKeepsItsLeases(t *testing.T) {
	q := newQueues(t, nil)
	q.add(jobsFor("a")...)
	w := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q", KeepLeases: true}, 9)
	job := w.jobs(1)[0]
	w.close()
	q.add(jobsFor("b")...)
	again := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q", KeepLeases: true}, 9)
	if got := again.jobs(1); string(got[0].GetEvent().GetData()) != "b" {
		t.Errorf("%v", got)
	}
	again.send(&parleyv1.WorkRequest{Request: 1, Settlements: []*parleyv1.Settlement{settlement(job, ack)}})
	if s := again.answer(1); len(s.GetFailures()) > 0 || s.GetFailure() != nil {
		t.Errorf("settling through another stream: %v", s)
	}
}

func TestAWorkerThatIsGoneLeavesItsJobs(t *testing.T) {
	q := newQueues(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	q.add(jobsFor("a")...)
	w := q.open(ctx, &parleyv1.WorkOpen{Queue: "q"}, 9)
	w.jobs(1)
	leave()
	if list := q.take(1); len(list) != 1 || list[0].GetAttempt() != 2 {
		t.Errorf("%v", list)
	}
}

func TestWorkersEndWhenTheServerDrains(t *testing.T) {
	q := newQueues(t, nil)
	q.add(jobsFor("a")...)
	w := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q"}, 9)
	job := w.jobs(1)[0]
	idle := make(chan error, 2)
	q.add(&parleyv1.Job{Event: text("later"), Delay: durationpb.New(time.Hour)})
	go func() {
		out, err := q.Lease(t.Context(), &parleyv1.LeaseRequest{Queue: "other", Wait: durationpb.New(5 * time.Minute)})
		if err == nil && len(out.GetJobs()) > 0 {
			err = fmt.Errorf("leased %v", out)
		}
		idle <- err
	}()
	go func() {
		out, err := q.GetResult(t.Context(), &parleyv1.GetResultRequest{Queue: "q", Id: job.GetId() + 1, Wait: durationpb.New(5 * time.Minute)})
		if err == nil && out.GetState() != parleyv1.JobState_JOB_STATE_DELAYED {
			err = fmt.Errorf("result %v", out)
		}
		idle <- err
	}()
	for q.lives.Count() < 3 { // until all three wait
		if _, err := q.ListQueues(t.Context(), &parleyv1.ListQueuesRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	w.send(&parleyv1.WorkRequest{Request: 1, Settlements: []*parleyv1.Settlement{settlement(job, ack)}})
	w.answer(1)
	if err := q.lives.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	taken(t, w.end()).want(t, codes.Unavailable, "UNAVAILABLE", "")
	for range 2 {
		if err := <-idle; err != nil {
			t.Error(err)
		}
	}
	if n := q.lives.Count(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestStreamsThatAreOutOfOrder(t *testing.T) {
	q := newQueues(t, func(o *Options) { o.Limits.Lives = 2 })
	open := &parleyv1.WorkOpen{Queue: "q"}
	for name, row := range map[string]struct {
		field string
		send  []*parleyv1.WorkRequest
	}{
		"nothing":       {"open", nil},
		"no open":       {"open", []*parleyv1.WorkRequest{{Credit: 1}}},
		"open twice":    {"open", []*parleyv1.WorkRequest{{Open: open}, {Open: open}}},
		"credit":        {"credit", []*parleyv1.WorkRequest{{Open: open, Credit: 1001}}},
		"more credit":   {"credit", []*parleyv1.WorkRequest{{Open: open, Credit: 1000}, {Credit: 1}}},
		"less than 0":   {"credit", []*parleyv1.WorkRequest{{Open: open, Credit: -1}}},
		"visibility":    {"visibility", []*parleyv1.WorkRequest{{Open: &parleyv1.WorkOpen{Queue: "q", Visibility: durationpb.New(25 * time.Hour)}}}},
		"a bad message": {"queue", []*parleyv1.WorkRequest{{Open: &parleyv1.WorkOpen{Queue: "no good"}}}},
	} {
		stream, err := q.Work(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range row.send {
			_ = stream.Send(m) // Recv tells
		}
		_ = stream.CloseSend()
		w := &work{t: t, stream: stream, settled: map[uint64]*parleyv1.Settled{}}
		f := taken(t, w.end())
		if f.code != codes.InvalidArgument || f.field != row.field {
			t.Errorf("%s: %s, field %q (%s)", name, f.code, f.field, f.text)
		}
	}
	for range 2 {
		q.open(t.Context(), open, 0)
	}
	stream, err := q.Work(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	taken(t, err).want(t, codes.Unavailable, "OVERLOADED", "")
}

// A worker that settles nothing is given only so much.
func TestJobsInHandAreBounded(t *testing.T) {
	w := &working{hand: map[string]held{}, want: make(chan int, 1), credit: 100}
	now := time.Now()
	for i := range maxInHand {
		until := now.Add(time.Hour)
		if i < 10 {
			until = now.Add(-time.Second)
		}
		w.hand[fmt.Sprint(i)] = held{until: until}
	}
	w.ask()
	if w.asked != 10 || <-w.want != 10 || len(w.hand) != maxInHand-10 {
		t.Errorf("%d asked for, %d in hand", w.asked, len(w.hand))
	}
	w.asked = 0
	for i := range 10 {
		w.hand[fmt.Sprint(i)] = held{until: now.Add(time.Hour)}
	}
	if w.ask(); w.asked != 0 {
		t.Errorf("%d asked for, with all in hand", w.asked)
	}
}

// Large jobs come in several messages, and unary leases keep to what clients take.
func TestLargeJobs(t *testing.T) {
	q := newQueues(t, nil)
	large := strings.Repeat("x", 900<<10)
	for range 8 {
		q.add(jobsFor(large)...)
	}
	list := q.take(8)
	if len(list) < 2 || len(list) > 4 {
		t.Errorf("%d jobs of 900 KiB in one answer", len(list))
	}
	w := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q"}, 100)
	w.jobs(8 - len(list))
	page := must[*parleyv1.ListJobsResponse](t)(q.ListJobs(t.Context(), &parleyv1.ListJobsRequest{Queue: "q", State: parleyv1.JobState_JOB_STATE_LEASED}))
	if n := len(page.GetJobs()); n == 0 || n > 4 || page.GetNext() == 0 {
		t.Errorf("a page of %d jobs of 900 KiB, next %d", n, page.GetNext())
	}
}

func TestEnqueueingOverAStream(t *testing.T) {
	q := newQueues(t, nil)
	stream, err := q.EnqueueStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 300 // more than the window
	go func() {
		for i := range n {
			m := &parleyv1.EnqueueStreamRequest{Request: uint64(i), Enqueue: &parleyv1.EnqueueRequest{Queue: "q", Jobs: []*parleyv1.Job{{Event: text(fmt.Sprint(i)), Key: "k"}}}}
			switch i {
			case 5:
				m.Enqueue.Jobs[0].Priority = 10
			case 6:
				m.Enqueue = nil
			}
			_ = stream.Send(m) // Recv tells
		}
		_ = stream.CloseSend()
	}()
	seen := map[uint64]bool{}
	for range n {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		seen[m.GetRequest()] = true
		switch f := m.GetFailure(); {
		case m.GetRequest() == 5 && f.GetField() == "jobs[0].priority", m.GetRequest() == 6 && f.GetField() == "enqueue":
		case f != nil || len(m.GetEnqueued().GetJobs()) != 1:
			t.Errorf("%v", m)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) || len(seen) != n {
		t.Errorf("%d answers, then %v", len(seen), err)
	}
	// Those of one key are in the order in which they were sent.
	page := must[*parleyv1.ListJobsResponse](t)(q.ListJobs(t.Context(), &parleyv1.ListJobsRequest{Queue: "q", Limit: 1000}))
	if len(page.GetJobs()) != n-2 {
		t.Fatalf("%d jobs", len(page.GetJobs()))
	}
	last := -1
	for _, j := range page.GetJobs() {
		var i int
		if _, err := fmt.Sscan(string(j.GetEvent().GetData()), &i); err != nil || i <= last {
			t.Fatalf("%d comes after %d (%v)", i, last, err)
		}
		last = i
	}
}
