package queue

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// TestTerms: what a job asks for overrules the queue, at a nack, at the end of a
// lease, after a change of owners and after a redrive; other jobs keep to the queue.
func TestTerms(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.configure(Settings{MaxAttempts: 2, Retry: Retry{Kind: Fixed, Delay: time.Minute}})
		ids := r.enqueue(
			Job{MaxAttempts: 1},
			Job{MaxAttempts: Unlimited, Retry: &Retry{Kind: List, Delays: []time.Duration{time.Second, time.Hour}}},
			Job{},
		)
		list := r.lease(LeaseRequest{Max: 3, Visibility: time.Minute})
		for _, l := range list {
			r.must(r.Nack(r.ctx(), l.Token, "no"))
		}
		r.restart()
		state := func(id ID) Info {
			i, err := r.Get(r.ctx(), id)
			r.must(err)
			return i
		}
		if i := state(ids[0]); i.State != Dead || i.MaxAttempts != 1 || i.Retry != nil {
			t.Fatalf("after its only attempt: %+v", i)
		}
		if i := state(ids[1]); i.State != Delayed || time.Until(i.Due) != time.Second || i.MaxAttempts != Unlimited || len(i.Retry.Delays) != 2 {
			t.Fatalf("after its first attempt: %+v", i)
		}
		if i := state(ids[2]); i.State != Delayed || time.Until(i.Due) != time.Minute || i.Retry != nil {
			t.Fatalf("the queue's own: %+v", i)
		}
		// Attempts that end with the lease, and with the owner, count by the same rule.
		for n := 2; n <= 4; n++ {
			l := r.one(LeaseRequest{Wait: time.Minute, Visibility: time.Second})
			if l.ID != ids[1] || l.Attempt != n {
				t.Fatalf("leased %+v", l)
			}
			if n == 4 {
				r.restart()
			} else {
				<-time.After(time.Second)
			}
		}
		if i := state(ids[1]); i.State != Ready || i.Attempts != 4 {
			t.Fatalf("tried for ever: %+v", i)
		}
		if n, err := r.Redrive(r.ctx(), Filter{}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		l := r.one(LeaseRequest{})
		if l.ID != ids[0] {
			t.Fatalf("leased %+v", l)
		}
		r.must(r.Nack(r.ctx(), l.Token, "no"))
		if i := state(ids[0]); i.State != Dead {
			t.Fatalf("its only attempt, again: %+v", i)
		}
	})
}

// TestTermsRest: jobs with terms of their own are ranges like others, survive being
// copied forward, and may have a key, a Unique and a delay besides.
func TestTermsRest(t *testing.T) {
	b := newBench(t)
	if err := b.arrive(intake{run: run{1, 1, 1000}, terms: true}, intake{kind: itemJob, run: run{1001, 1, 1}, terms: true, key: "k"}); err != nil {
		t.Fatal(err)
	}
	if len(b.entries) != 1 || b.freshCount() != 1000 {
		t.Fatalf("%d entries and %d in runs", len(b.entries), b.freshCount())
	}
	if err := b.arrive(intake{kind: itemCopy, run: run{1002, 1, 1}, id: 7}); err != nil {
		t.Fatal(err)
	}
	list, err := b.grant(b, b.now, 7, 100, "w")
	if err != nil || len(list) != 7 || !list[6].unread || list[6].Place != 1002 {
		t.Fatalf("granted %+v, %v", list, err)
	}
	// It reached nobody: so it is not the job's fault, whatever the queue says.
	s, _ := Settings{MaxAttempts: 1}.Defaults()
	set, _ := encodeSettings(s)
	for _, move := range [][]byte{set, encodeTerms(1, &terms{MaxAttempts: 1})} {
		if err := b.Move(move); err != nil {
			t.Fatal(err)
		}
	}
	b.same()
	b.now += 100
	if err := b.expire(b, b.now, 100); err != nil {
		t.Fatal(err)
	}
	if b.counts[phaseDead] != 1 || b.entries[1].phase != phaseDead {
		t.Fatalf("counts %v", b.counts)
	}
	b.same()
}

// TestTermsOfAGoneCaller: jobs that are leased while their terms are read are ready
// again when nobody is to get them, because the caller went away or its time was up while
// the log took nothing; and it costs them no attempt that they need.
func TestTermsOfAGoneCaller(t *testing.T) {
	for _, goes := range []bool{false, true} {
		t.Run(map[bool]string{false: "its time ends", true: "it goes"}[goes], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := holding("$queue.emails.jobs")
				r := &rig{t: t, log: log}
				r.run(Options{})
				defer func() { r.stop() }()
				r.configure(Settings{Visibility: time.Hour})
				r.enqueue(Job{MaxAttempts: 1}, Job{})
				synctest.Wait()
				log.next <- struct{}{}
				ctx, cancel := context.WithTimeout(r.ctx(), time.Minute)
				defer cancel()
				w := r.wait(ctx, LeaseRequest{Max: 2})
				<-log.held
				log.down.Store(true)
				changed := make(chan error, 1)
				go func() { // all that is told waits for it
					_, err := r.Configure(r.ctx(), Settings{Visibility: 2 * time.Hour})
					changed <- err
				}()
				synctest.Wait()
				if goes {
					cancel()
				}
				close(log.free)
				if got := <-w; got.err == nil {
					t.Fatalf("leased %+v", got.jobs)
				}
				log.down.Store(false)
				r.must(<-changed)
				if s := r.stats(); s.Ready != 2 || s.Leased != 0 || s.Dead != 0 {
					t.Fatalf("stats %+v", s)
				}
				for _, l := range r.lease(LeaseRequest{Max: 2}) {
					r.must(r.Ack(r.ctx(), l.Token))
				}
				if s := r.stats(); s.Done != 2 {
					t.Fatalf("stats %+v", s)
				}
			})
		})
	}
}

// TestReadForAGoneCaller: jobs whose caller is gone when they have been read are ready
// again, even after the only attempt that they have.
func TestReadForAGoneCaller(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.configure(Settings{MaxAttempts: 1})
		r.enqueue(text("a"), text("b"))
		synctest.Wait()
		a, err := r.ask(r.ctx(), &request{Op: "lease", Max: 2})
		r.must(err)
		ctx, cancel := context.WithCancel(r.ctx())
		cancel()
		if got, err := r.Queue.read(ctx, a.Granted, false); err == nil || len(got) != 0 {
			t.Fatalf("leased %+v, %v", got, err)
		}
		if s := r.stats(); s.Ready != 2 || s.Leased != 0 || s.Dead != 0 {
			t.Fatalf("stats %+v", s)
		}
		for _, l := range r.lease(LeaseRequest{Max: 2}) {
			r.must(r.Nack(r.ctx(), l.Token, "no"))
		}
		if s := r.stats(); s.Dead != 2 {
			t.Fatalf("stats %+v", s)
		}
	})
}

func TestTermsRefused(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		for _, c := range []struct {
			job   Job
			field string
		}{
			{Job{MaxAttempts: -2}, "max_attempts"},
			{Job{MaxAttempts: 1_000_001}, "max_attempts"},
			{Job{Retry: &Retry{Kind: "never"}}, "retry.kind"},
			{Job{Retry: &Retry{Kind: List}}, "retry.delays"},
			{Job{Retry: &Retry{Jitter: math.NaN()}}, "retry.jitter"},
		} {
			_, err := r.Enqueue(r.ctx(), []Job{c.job}, EnqueueOptions{})
			var p *parley.Error
			if !errors.As(err, &p) || p.Code != parley.Invalid || p.Field != c.field {
				t.Errorf("%+v: %v", c.job, err)
			}
		}
		long := &Retry{Kind: List}
		for range 100 {
			long.Delays = append(long.Delays, MaxDelay-1)
		}
		r.enqueue(Job{Retry: long, MaxAttempts: Unlimited})
		r.must(r.Nack(r.ctx(), r.one(LeaseRequest{}).Token, ""))
	})
}

// TestProgress: what a worker reports is seen by others, extends the lease, and
// ends with it.
func TestProgress(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		id := r.enqueue(text("x"))[0]
		l := r.one(LeaseRequest{Visibility: 10 * time.Second})
		<-time.After(9 * time.Second)
		r.must(r.Progress(r.ctx(), l.Token, Progress{Fraction: 0.4, Note: "two of five\xff"}))
		<-time.After(29 * time.Second) // the queue's visibility is 30 s
		i, err := r.Get(r.ctx(), id)
		r.must(err)
		if p := i.Progress; i.State != Leased || p == nil || p.Fraction != 0.4 || p.Note != "two of five?" || time.Since(p.At) != 29*time.Second {
			t.Fatalf("info %+v, progress %+v", i, i.Progress)
		}
		list, err := r.Peek(r.ctx(), PeekRequest{State: Leased})
		r.must(err)
		if len(list) != 1 || list[0].Progress == nil {
			t.Fatalf("peek %+v", list)
		}
		for _, bad := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
			r.code(r.Progress(r.ctx(), l.Token, Progress{Fraction: bad}), parley.Invalid)
		}
		<-time.After(time.Second)
		r.code(r.Progress(r.ctx(), l.Token, Progress{}), parley.Conflict)
		if i, err = r.Get(r.ctx(), id); err != nil || i.Progress != nil || i.State != Ready {
			t.Fatalf("info %+v, %v", i, err)
		}
	})
}

// TestReport: a handler reports through its lease; nobody else can.
func TestReport(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		id := r.enqueue(text("x"))[0]
		seen := make(chan *Progress, 1)
		stop := r.employ(func(ctx context.Context, job *Lease) (Result, error) {
			if err := job.Report(ctx, Progress{Fraction: 1, Note: "all"}); err != nil {
				return nil, err
			}
			i, err := r.Get(ctx, id)
			seen <- i.Progress
			return nil, err
		}, WorkerOptions{})
		if p := <-seen; p == nil || p.Note != "all" {
			t.Fatalf("progress %+v", p)
		}
		stop()
		r.code(new(Lease).Report(r.ctx(), Progress{}), parley.Unsupported)
	})
}

func TestJobJSON(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, job := range []Job{
		{},
		{Event: parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("x\x00"), DataContentType: "image/png", Extensions: map[string]string{"traceparent": "00-1"}}, Priority: 9},
		{Delay: 90 * time.Second, Key: "k", Unique: "u", MaxAttempts: Unlimited, Retry: &Retry{Kind: Fixed, Delay: time.Second}},
		{At: at, Event: parley.Event{DataContentType: "application/json", Data: []byte(`{"a":1}`)}},
	} {
		b, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		var again Job
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if b2, _ := json.Marshal(again); string(b2) != string(b) || string(again.Event.Data) != string(job.Event.Data) {
			t.Errorf("%s became %s", b, b2)
		}
	}
	if b, err := json.Marshal(Job{Event: parley.Event{Source: `,"type":""`, Subject: `,"id":""`, Data: []byte(`{"a":1,"id":""}`), DataContentType: "application/json"}}); err != nil ||
		string(b) != `{"event":{"specversion":"1.0","source":",\"type\":\"\"","subject":",\"id\":\"\"","datacontenttype":"application/json","data":{"a":1,"id":""}}}` {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := json.Marshal(Job{}); string(b) != "{}" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	var job Job
	if err := json.Unmarshal([]byte(`{"data": {"to": "ann"}, "delay": "5s", "retry": {"kind": "fixed"}}`), &job); err != nil {
		t.Fatal(err)
	}
	if string(job.Event.Data) != `{"to": "ann"}` || job.Event.DataContentType != "application/json" || job.Delay != 5*time.Second || job.Retry.Kind != Fixed {
		t.Errorf("job %+v", job)
	}
	for in, want := range map[string]string{
		`{"dealy": "5s"}`:              "job.dealy",
		`{"delay": 5}`:                 "job.delay",
		`{"data": 1, "event": {}}`:     "data",
		`{"event": {"specversion":1}}`: "specversion",
		`{"retry": {"king": 1}}`:       "retry.king",
		`{"retry": {"kind": 1}}`:       "retry.kind",
		`{"retry": 1}`:                 "retry",
		`{"delay": "soon"}`:            "job",
		`[]`:                           "job",
	} {
		err := job.UnmarshalStrict([]byte(in))
		var p *parley.Error
		if !errors.As(err, &p) || p.Field != want || !strings.Contains("invalid", p.Code.String()) {
			t.Errorf("%s: %v", in, err)
		}
	}
	// What a later version answers is understood as far as it goes.
	later := Job{}
	if err := json.Unmarshal([]byte(`{"data": 1, "priority": 3, "color": {}, "retry": {"kind": "fixed", "tone": 1}}`), &later); err != nil || later.Priority != 3 || later.Retry.Kind != Fixed {
		t.Errorf("%+v, %v", later, err)
	}
}

// FuzzJob reads any bytes as a job. What is taken is written, and read again, as the
// same.
func FuzzJob(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"data": {"to": "ann"}, "delay": "5s", "key": "k"}`, `{"event": {"id": "1", "data_base64": "AAE="}, "at": "2026-03-01T12:00:00Z"}`,
		`{"retry": {"kind": "list", "delays": ["1s"], "jitter": -1}, "max_attempts": -1, "unique": "u", "priority": 9}`, `{"data": null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var job Job
		if err := json.Unmarshal(data, &job); err != nil {
			if json.Valid(data) && job.UnmarshalStrict(data) == nil {
				t.Fatalf("%s is a job for a user only: %v", data, err)
			}
			return
		}
		b, err := json.Marshal(job)
		if err != nil {
			return // a time that RFC 3339 cannot write
		}
		var again Job
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%s became %s, which is refused: %v", data, b, err)
		}
		if b2, err := json.Marshal(again); err != nil || string(b2) != string(b) {
			t.Fatalf("%s, then %s, %v", b, b2, err)
		}
	})
}
