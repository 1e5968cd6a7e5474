package patterntest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

var queueSuite = suite{pattern: "queue", parts: []part{
	{needs: "WorkQueue", has: is[WorkQueue], everywhere: true, checks: queueChecks},
}}

// WorkQueue is a door to the world's queues.
type WorkQueue interface {
	Queue(name string) Jobs
}

// Jobs is one queue.
type Jobs interface {
	queue.Source // for workers
	Enqueue(ctx context.Context, jobs []queue.Job, o queue.EnqueueOptions) ([]queue.Enqueued, error)
	Peek(ctx context.Context, r queue.PeekRequest) ([]queue.Info, error)
	Redrive(ctx context.Context, f queue.Filter) (int64, error)
	Configure(ctx context.Context, s queue.Settings) (queue.Settings, error)
	Result(ctx context.Context, id queue.ID, wait time.Duration) (queue.Outcome, error)
}

var queueChecks = []check{
	{"Order", "the higher priority first, then the older job, with its event as it was sent", queueOrder},
	{"Repeat", "a request that comes again with its key adds nothing, and answers the first ids", queueRepeat},
	{"Reused", "a key that comes again with other jobs is refused, and nothing is added", queueReused},
	{"Wake", "a worker that waits is woken by a new job, a nack, the end of a delay and of a lease, each at that moment", queueWake},
	{"Settled", "a job that was acked never comes again, and its lease settles nothing more", queueSettled},
	{"Expired", "a lease that is over settles nothing; who holds the job now does", queueExpired},
	{"Dead", "a job is dead after its last attempt, with its history, and ready again when it is redriven", queueDead},
	{"Keys", "jobs of a key run one at a time, in order; others run meanwhile", queueKeys},
	{"Unique", "of jobs that are unique one lives at a time, and the others are told which", queueUnique},
	{"Workers", "workers that share a queue do each job, once each while none fails", queueWorkers},
	{"Result", "who waits for a job gets what came out of it", queueResult},
	{"Restart", "a queue that nobody owns for a while goes on with what it had, and its old leases are over", queueRestart},
}

const aQueue = "a.queue"

func (s *scene) jobs() Jobs {
	s.Helper()
	return s.door.(WorkQueue).Queue(aQueue)
}

// add enqueues jobs whose data are words.
func (s *scene) add(template queue.Job, words ...string) []queue.Enqueued {
	s.Helper()
	list := make([]queue.Job, len(words))
	for i, word := range words {
		list[i] = template
		list[i].Event = parley.Event{Data: []byte(word), DataContentType: "text/plain"}
	}
	added, err := s.jobs().Enqueue(s.Life, list, queue.EnqueueOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return added
}

// take leases jobs and wants just these, in this order.
func (s *scene) take(wait time.Duration, words ...string) []queue.Lease {
	s.Helper()
	var list []queue.Lease
	for len(list) < len(words) || len(words) == 0 {
		more, err := s.jobs().Lease(s.Life, queue.LeaseRequest{Max: max(1, len(words)-len(list)), Wait: wait, Worker: "w"})
		if err != nil {
			s.Fatal(err)
		}
		if list = append(list, more...); len(more) == 0 {
			break
		}
	}
	var got []string
	for _, l := range list {
		got = append(got, string(l.Event.Data))
	}
	if !slices.Equal(got, words) {
		s.Fatalf("leased %v, want %v", got, words)
	}
	return list
}

// settle settles one lease.
func (s *scene) settle(l queue.Lease, action queue.Action, change func(*queue.Settlement)) error {
	s.Helper()
	one := queue.Settlement{Lease: l.Token, Action: action}
	if change != nil {
		change(&one)
	}
	errs, err := s.jobs().Settle(s.Life, []queue.Settlement{one})
	if err != nil {
		s.Fatal(err)
	}
	return errs[0]
}

func (s *scene) ack(list ...queue.Lease) {
	s.Helper()
	for _, l := range list {
		if err := s.settle(l, queue.Ack, nil); err != nil {
			s.Fatal(err)
		}
	}
}

// in wants something to take so long.
func (s *scene) in(d time.Duration, f func()) {
	s.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took.Round(10*time.Millisecond) != d {
		s.Fatalf("that took %s, want %s", took, d)
	}
}

func queueOrder(s *scene) {
	s.add(queue.Job{}, "1", "2")
	s.add(queue.Job{Priority: 9}, "3")
	s.add(queue.Job{Priority: 5}, "4", "5")
	// A lease does not wait for jobs that are on their way in; a look does.
	if ready, err := s.jobs().Peek(s.Life, queue.PeekRequest{State: queue.Ready}); err != nil || len(ready) != 5 {
		s.Fatalf("%d jobs are ready, %v", len(ready), err)
	}
	list := s.take(time.Second, "3", "4", "5", "1", "2")
	if l := list[0]; l.Event.DataContentType != "text/plain" || l.Attempt != 1 || l.Priority != 9 {
		s.Fatalf("%+v", l)
	}
	s.take(0)
}

func queueRepeat(s *scene) {
	job := []queue.Job{{Event: parley.Event{Data: []byte("1")}}, {Event: parley.Event{Data: []byte("2")}}}
	first, err := s.jobs().Enqueue(s.Life, job, queue.EnqueueOptions{IdempotencyKey: "k"})
	if err != nil {
		s.Fatal(err)
	}
	again, err := s.jobs().Enqueue(s.Life, job, queue.EnqueueOptions{IdempotencyKey: "k"})
	if err != nil || !slices.Equal(first, again) {
		s.Fatalf("%v, then %v %v", first, again, err)
	}
	s.ack(s.take(time.Second, "1", "2")...)
	s.take(0)
}

func queueReused(s *scene) {
	once := queue.EnqueueOptions{IdempotencyKey: "k"}
	job := func(word string) queue.Job {
		return queue.Job{Event: parley.Event{Data: []byte(word), DataContentType: "text/plain"}, Delay: time.Second}
	}
	first, err := s.jobs().Enqueue(s.Life, []queue.Job{job("1"), job("2")}, once)
	if err != nil {
		s.Fatal(err)
	}
	urgent := job("1")
	urgent.Priority = 9
	for _, jobs := range [][]queue.Job{{job("1"), job("3")}, {job("2"), job("1")}, {job("1")}, {urgent, job("2")}} {
		_, err := s.jobs().Enqueue(s.Life, jobs, once)
		s.refused(parley.KeyReused, err)
	}
	s.pass(500 * time.Millisecond)
	again, err := s.jobs().Enqueue(s.Life, []queue.Job{job("1"), job("2")}, once)
	if err != nil || !slices.Equal(first, again) {
		s.Fatalf("%v, then %v %v", first, again, err)
	}
	s.ack(s.take(time.Minute, "1", "2")...)
	s.take(0)
}

func queueWake(s *scene) {
	job := queue.Job{Event: parley.Event{Data: []byte("1")}}
	s.meanwhile(func() {
		s.pass(3 * time.Second)
		if _, err := s.jobs().Enqueue(s.Life, []queue.Job{job}, queue.EnqueueOptions{}); err != nil {
			s.Error(err)
		}
	})
	var first []queue.Lease
	s.in(3*time.Second, func() { first = s.take(time.Minute, "1") })
	delay := 7 * time.Second
	if err := s.settle(first[0], queue.Nack, func(n *queue.Settlement) { n.Delay = &delay }); err != nil {
		s.Fatal(err)
	}
	s.in(7*time.Second, func() { s.take(time.Minute, "1") })
	s.in(30*time.Second, func() { s.ack(s.take(time.Minute, "1")...) }) // of the lease
	s.add(queue.Job{Delay: 11 * time.Second}, "2")
	s.in(11*time.Second, func() { s.take(time.Minute, "2") })
}

func queueSettled(s *scene) {
	s.add(queue.Job{}, "1")
	l := s.take(time.Second, "1")[0]
	s.ack(l)
	for _, action := range []queue.Action{queue.Ack, queue.Nack, queue.Extend, queue.Bury} {
		if err := s.settle(l, action, nil); parley.CodeOf(err) != parley.Conflict {
			s.Fatalf("%s after its ack: %v", action, err)
		}
	}
	forged := l
	forged.Token = l.Token[:len(l.Token)-4] + "AAAA"
	if err := s.settle(forged, queue.Ack, nil); parley.CodeOf(err) != parley.Invalid {
		s.Fatalf("a lease that was made up: %v", err)
	}
	s.take(40 * time.Second)
}

func queueExpired(s *scene) {
	s.add(queue.Job{}, "1")
	old := s.take(time.Second, "1")[0]
	s.pass(30 * time.Second)
	now := s.take(time.Second, "1")[0]
	if now.Attempt != 2 || now.ID != old.ID || now.Event.ID != old.Event.ID {
		s.Fatalf("%+v, then %+v", old, now)
	}
	if err := s.settle(old, queue.Ack, nil); parley.CodeOf(err) != parley.Conflict {
		s.Fatalf("the first worker acks: %v", err)
	}
	if err := s.settle(now, queue.Extend, func(e *queue.Settlement) { e.Extend = time.Hour }); err != nil {
		s.Fatal(err)
	}
	s.pass(59 * time.Minute)
	s.ack(now)
}

func queueDead(s *scene) {
	if _, err := s.jobs().Configure(s.Life, queue.Settings{MaxAttempts: 2, Retry: queue.Retry{Kind: queue.Fixed, Delay: time.Second}}); err != nil {
		s.Fatal(err)
	}
	s.add(queue.Job{}, "1")
	for range 2 {
		l := s.take(time.Minute, "1")[0]
		if err := s.settle(l, queue.Nack, func(n *queue.Settlement) { n.Cause = "no route" }); err != nil {
			s.Fatal(err)
		}
	}
	s.take(time.Minute)
	list, err := s.jobs().Peek(s.Life, queue.PeekRequest{State: queue.Dead})
	if err != nil || len(list) != 1 || len(list[0].History) != 2 || list[0].History[1].Cause != "no route" || list[0].History[0].Worker != "w" || string(list[0].Event.Data) != "1" {
		s.Fatalf("%+v %v", list, err)
	}
	if n, err := s.jobs().Redrive(s.Life, queue.Filter{Reason: "no route"}); n != 1 || err != nil {
		s.Fatal(n, err)
	}
	s.ack(s.take(time.Second, "1")...)
}

func queueKeys(s *scene) {
	s.add(queue.Job{Key: "k"}, "1", "2")
	s.add(queue.Job{}, "3")
	first := s.take(time.Second, "1", "3")
	s.take(0)
	if err := s.settle(first[0], queue.Nack, nil); err != nil {
		s.Fatal(err)
	}
	s.ack(s.take(time.Minute, "1")...) // it holds up the other while it rests
	s.take(time.Second, "2")
}

func queueUnique(s *scene) {
	first := s.add(queue.Job{Unique: "u"}, "1")
	if again := s.add(queue.Job{Unique: "u"}, "2"); again[0].Duplicate != first[0].ID {
		s.Fatalf("%+v, then %+v", first, again)
	}
	s.ack(s.take(time.Second, "1")...)
	s.take(0)
	if again := s.add(queue.Job{Unique: "u"}, "3"); again[0].Duplicate != 0 {
		s.Fatalf("it is done, and %+v", again)
	}
	s.take(time.Second, "3")
}

func queueWorkers(s *scene) {
	const n = 40
	var words []string
	for i := range n {
		words = append(words, strconv.Itoa(i))
	}
	s.add(queue.Job{}, words...)
	ctx, stop := context.WithCancel(s.Life)
	defer stop()
	done := make(chan string, 2*n)
	for range 3 {
		w, err := queue.NewWorker(s.jobs(), func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
			s.pass(40 * time.Second) // beyond the lease, which is extended
			done <- string(job.Event.Data)
			return nil, ctx.Err()
		}, queue.WorkerOptions{Concurrency: 4})
		if err != nil {
			s.Fatal(err)
		}
		s.meanwhile(func() {
			if err := w.Run(ctx); err != nil {
				s.Error(err)
			}
		})
	}
	seen := map[string]int{}
	for range n {
		seen[<-done]++
	}
	s.pass(10 * time.Minute)
	if stop(); len(seen) != n || len(done) != 0 {
		s.Fatalf("%d of %d jobs were done, %d once more", len(seen), n, len(done))
	}
}

func queueResult(s *scene) {
	added := s.add(queue.Job{}, "1", "2")
	list := s.take(time.Second, "1", "2")
	out, err := s.jobs().Result(s.Life, added[0].ID, time.Second)
	if err != nil || out.State != queue.Leased {
		s.Fatalf("%+v %v", out, err)
	}
	s.meanwhile(func() {
		s.pass(5 * time.Second)
		one := queue.Settlement{Lease: list[0].Token, Action: queue.Ack, Result: &queue.Output{ContentType: "application/json", Data: []byte(`{"sum": 1.0}`)}}
		if errs, err := s.jobs().Settle(s.Life, []queue.Settlement{one}); errors.Join(append(errs, err)...) != nil {
			s.Error(errs, err)
		}
	})
	s.in(5*time.Second, func() { out, err = s.jobs().Result(s.Life, added[0].ID, time.Minute) })
	if err != nil || out.State != queue.Done || out.Result == nil || string(out.Result.Data) != `{"sum": 1.0}` || out.Result.DataContentType != "application/json" {
		s.Fatalf("%+v %v", out, err)
	}
	if err := s.settle(list[1], queue.Bury, func(b *queue.Settlement) { b.Cause = "no luck" }); err != nil {
		s.Fatal(err)
	}
	if out, err = s.jobs().Result(s.Life, added[1].ID, time.Second); err != nil || out.State != queue.Dead || !strings.Contains(out.Reason, "no luck") {
		s.Fatalf("%+v %v", out, err)
	}
}

func queueRestart(s *scene) {
	s.add(queue.Job{}, "1", "2", "3")
	list := s.take(time.Second, "1", "2")
	s.ack(list[0])
	s.restartQueues()
	if err := s.settle(list[1], queue.Ack, nil); parley.CodeOf(err) != parley.Conflict {
		s.Fatalf("a lease of before: %v", err)
	}
	s.ack(s.take(time.Minute, "2", "3")...)
	s.take(0)
}
