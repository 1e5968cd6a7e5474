package queue

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestEnqueueOnce(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		once := EnqueueOptions{IdempotencyKey: "order 1"}
		first, err := r.Enqueue(r.ctx(), []Job{text("a"), text("b")}, once)
		r.must(err)
		again, err := r.Enqueue(r.ctx(), []Job{text("a"), text("b")}, once)
		r.must(err)
		if fmt.Sprint(first) != fmt.Sprint(again) || r.stats().Ready != 2 {
			t.Fatalf("%v, then %v, stats %+v", first, again, r.stats())
		}
	})
}

// TestEnqueueReused: a key stands for the jobs that it came with first.
func TestEnqueueReused(t *testing.T) {
	at := func(d time.Duration) Job { j := text("a"); j.At = time.Now().Add(d); return j }
	with := func(change func(*Job)) []Job { j := text("a"); change(&j); return []Job{j} }
	for name, c := range map[string]struct {
		first func() []Job
		other []Job // nil: the first ones again
	}{
		"the same":        {func() []Job { return []Job{text("a"), {Unique: "u", Key: "k", Priority: 3, MaxAttempts: 2}} }, nil},
		"an id":           {func() []Job { return with(func(j *Job) { j.Event.ID = "mine" }) }, nil},
		"a delay":         {func() []Job { return with(func(j *Job) { j.Delay = 90*time.Second + 7*time.Microsecond }) }, nil},
		"data":            {func() []Job { return []Job{text("a")} }, []Job{text("b")}},
		"more":            {func() []Job { return []Job{text("a")} }, []Job{text("a"), text("b")}},
		"fewer":           {func() []Job { return []Job{text("a"), text("b")} }, []Job{text("a")}},
		"order":           {func() []Job { return []Job{text("a"), text("b")} }, []Job{text("b"), text("a")}},
		"another id":      {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.Event.ID = "mine" })},
		"priority":        {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.Priority = 1 })},
		"key":             {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.Key = "k" })},
		"unique":          {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.Unique = "u" })},
		"attempts":        {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.MaxAttempts = 2 })},
		"delayed":         {func() []Job { return []Job{text("a")} }, with(func(j *Job) { j.Delay = time.Second })},
		"not delayed":     {func() []Job { return with(func(j *Job) { j.Delay = time.Minute }) }, []Job{text("a")}},
		"another delay":   {func() []Job { return with(func(j *Job) { j.Delay = time.Minute }) }, with(func(j *Job) { j.Delay = time.Minute + 2*time.Millisecond })},
		"not its time":    {func() []Job { return []Job{at(time.Minute)} }, []Job{text("a")}},
		"too large a one": {func() []Job { return []Job{text("a")} }, []Job{text(strings.Repeat("a", 300<<10))}},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, Options{}, func(r *rig) {
				<-time.After(300 * time.Microsecond)
				once, jobs := EnqueueOptions{IdempotencyKey: "order 1"}, c.first()
				first, err := r.Enqueue(r.ctx(), jobs, once)
				r.must(err)
				<-time.After(time.Minute + 500*time.Microsecond)
				if c.other != nil {
					_, err = r.Enqueue(r.ctx(), c.other, once)
					r.code(err, parley.KeyReused)
					if !strings.Contains(err.Error(), "digest") {
						t.Errorf("%v", err)
					}
				}
				again, err := r.Enqueue(r.ctx(), jobs, once)
				r.must(err)
				if s := r.stats(); fmt.Sprint(first) != fmt.Sprint(again) || s.Enqueued != int64(len(jobs)) {
					t.Fatalf("%v, then %v, stats %+v", first, again, s)
				}
			})
		})
	}
}

// TestEnqueueRepeatLate: a job whose time came, or that is gone with its event,
// is the same still.
func TestEnqueueRepeatLate(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		once := EnqueueOptions{IdempotencyKey: "k"}
		soon := text("a")
		soon.At = time.Now().Add(10*time.Second + time.Microsecond)
		first, err := r.Enqueue(r.ctx(), []Job{soon}, once)
		r.must(err)
		<-time.After(11 * time.Second)
		again, err := r.Enqueue(r.ctx(), []Job{soon}, once)
		r.must(err)
		later := soon
		later.At = soon.At.Add(time.Second)
		_, err = r.Enqueue(r.ctx(), []Job{later}, once)
		r.code(err, parley.KeyReused)
		r.must(r.log.Trim(r.ctx(), r.jobs, parley.Position(first[0].ID)+1))
		gone, err := r.Enqueue(r.ctx(), []Job{soon}, once)
		r.must(err)
		if fmt.Sprint(first) != fmt.Sprint(again) || fmt.Sprint(first) != fmt.Sprint(gone) {
			t.Fatalf("%v, then %v, then %v", first, again, gone)
		}
	})
}

func TestEnqueueRefuses(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		for field, job := range map[string]Job{
			"priority":  {Priority: 10},
			"delay":     {Delay: -1},
			"at":        {Delay: time.Second, At: time.Now()},
			"key":       {Key: strings.Repeat("k", 256)},
			"parleykey": {Key: "\x00"},
			"source":    {Event: parley.Event{Source: "no uri"}},
		} {
			_, err := r.Enqueue(r.ctx(), []Job{text("good"), job}, EnqueueOptions{})
			e, ok := err.(*parley.Error) // as it is returned
			if !ok || e.Code != parley.Invalid || e.Field != field || !strings.HasPrefix(e.Detail, "job 1: ") {
				t.Errorf("%s: %v", field, err)
			}
		}
		_, err := r.Enqueue(r.ctx(), nil, EnqueueOptions{})
		r.code(err, parley.Invalid)
		if s := r.stats(); s.Enqueued != 0 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestReserved: what a publisher sets in the queue's name has no effect.
func TestReserved(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		e := parley.Event{Extensions: map[string]string{extCopyOf: "1@1", extUnique: "u", extDue: "9999999999999", extPriority: "9", "mine": "x", parley.PartitionKey: "p"}}
		r.enqueue(text("first"), Job{Event: e}, Job{Event: e})
		list := r.lease(LeaseRequest{Max: 9})
		if len(list) != 3 || list[1].Priority != 0 || list[1].Key != "" {
			t.Fatalf("leased %+v", list)
		}
		if got := list[1].Event.Extensions; fmt.Sprint(got) != "map[mine:x partitionkey:p]" {
			t.Fatalf("extensions %v", got)
		}
		if e.Extensions[extUnique] != "u" {
			t.Fatal("the caller's event was changed")
		}
	})
}

func TestUnique(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		list, err := r.Enqueue(r.ctx(), []Job{{Unique: "u"}, {}, {Unique: "u"}, {Unique: "v"}}, EnqueueOptions{})
		r.must(err)
		if list[0].Duplicate != 0 || list[2].Duplicate != list[0].ID || list[3].Duplicate != 0 {
			t.Fatalf("enqueued %+v", list)
		}
		if s := r.stats(); s.Ready != 3 || s.Enqueued != 3 {
			t.Fatalf("stats %+v", s)
		}
	})
}

func TestPeekAndStats(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		begun := time.Now().UTC()
		ids := r.enqueue(text("a"), Job{Priority: 3, Key: "k", Unique: "u"}, Job{Delay: time.Minute})
		<-time.After(time.Second)
		l := r.one(LeaseRequest{Worker: "w"})
		if l.ID != ids[1] || !l.Enqueued.Equal(begun) {
			t.Fatalf("leased %+v", l)
		}
		s := r.stats()
		if s.Oldest != begun || s.Ready != 1 || s.Delayed != 1 || s.Leased != 1 || s.Groups != 1 {
			t.Fatalf("stats %+v", s)
		}
		i, err := r.Get(r.ctx(), ids[1])
		r.must(err)
		if i.State != Leased || i.Key != "k" || i.Unique != "u" || i.Priority != 3 || !i.Due.Equal(l.Until) || len(i.History) != 1 || i.History[0].Worker != "w" {
			t.Fatalf("info %+v", i)
		}
		for state, want := range map[State]ID{Ready: ids[0], Delayed: ids[2], Leased: ids[1]} {
			list, err := r.Peek(r.ctx(), PeekRequest{State: state})
			r.must(err)
			if len(list) != 1 || list[0].ID != want || list[0].State != state || !list[0].Enqueued.Equal(begun) || list[0].Event.ID == "" {
				t.Errorf("%s: %+v", state, list)
			}
		}
		r.enqueue(text("d"), text("e"))
		list, err := r.Peek(r.ctx(), PeekRequest{State: Ready, After: ids[0], Max: 1})
		r.must(err)
		if len(list) != 1 || string(list[0].Event.Data) != "d" {
			t.Fatalf("after %d: %+v", ids[0], list)
		}
		_, err = r.Get(r.ctx(), 999)
		r.code(err, parley.NotFound)
		_, err = r.Peek(r.ctx(), PeekRequest{State: "gone"})
		r.code(err, parley.Invalid)
	})
}

func TestManage(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		ids := r.enqueue(text("a"), text("b"), text("c"), Job{Delay: time.Hour})
		errs, err := r.Cancel(r.ctx(), ids[1], 999)
		r.must(err)
		if errs[0] != nil || parley.CodeOf(errs[1]) != parley.NotFound {
			t.Fatalf("cancel: %v", errs)
		}
		r.must(r.Reschedule(r.ctx(), ids[0], time.Now().Add(2*time.Hour)))
		r.must(r.Reschedule(r.ctx(), ids[3], time.Now()))
		r.code(r.Reschedule(r.ctx(), ids[1], time.Now()), parley.NotFound)
		list := r.lease(LeaseRequest{Max: 9})
		if len(list) != 2 || list[0].ID != ids[2] || list[1].ID != ids[3] {
			t.Fatalf("leased %+v", list)
		}
		r.code(r.Reschedule(r.ctx(), ids[2], time.Now()), parley.Conflict)
		r.must(r.Dead(r.ctx(), list[0].Token, "no such address"))
		r.must(r.Dead(r.ctx(), list[1].Token, "mailbox full"))
		if n, err := r.Redrive(r.ctx(), Filter{Reason: "address", Since: time.Now().Add(-time.Hour)}); n != 1 || err != nil {
			t.Fatalf("redriven %d, %v", n, err)
		}
		if n, err := r.Redrive(r.ctx(), Filter{IDs: []ID{ids[2]}}); n != 0 || err != nil {
			t.Fatalf("redriven %d, %v", n, err)
		}
		if n, err := r.Purge(r.ctx(), Dead, Delayed); n != 2 || err != nil {
			t.Fatalf("purged %d, %v", n, err)
		}
		_, err = r.Purge(r.ctx(), Leased)
		r.code(err, parley.Invalid)
		r.restart()
		if s := r.stats(); s.Ready != 1 || s.Delayed+s.Leased+s.Dead != 0 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestLostEvent: a job whose event is gone from the log is dead when it is leased.
func TestLostEvent(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.enqueue(text("a"))
		r.stats() // taken in
		r.enqueue(text("b"))
		r.must(r.log.Trim(r.ctx(), r.jobs, 2))
		if list := r.lease(LeaseRequest{Max: 9}); len(list) != 1 || string(list[0].Event.Data) != "b" {
			t.Fatalf("leased %+v", list)
		}
		list, err := r.Peek(r.ctx(), PeekRequest{State: Dead})
		r.must(err)
		if len(list) != 1 || list[0].Reason != Lost || list[0].Event.ID != "" {
			t.Fatalf("dead %+v", list)
		}
	})
}

// TestDeadLetter: a dead job is published with its history, and stays.
func TestDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newCountingLog()
		topics := topic.New(log, topic.Options{})
		if err := topics.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, log: log}
		r.run(Options{Topics: topics})
		defer func() { r.stop() }()
		r.configure(Settings{MaxAttempts: 1})
		id := r.enqueue(Job{Event: parley.Event{ID: "e1", Data: []byte("a")}})[0]
		r.must(r.Nack(r.ctx(), r.one(LeaseRequest{Worker: "w"}).Token, "bad\naddress"))
		synctest.Wait()
		dead, err := topics.Get("emails.dead")
		r.must(err)
		run, err := log.Read(r.ctx(), parley.Place{Stream: dead.Partitions[0].Stream}, 1<<20)
		r.must(err)
		n := 0
		for rec, err := range run.Records() {
			r.must(err)
			e, err := rec.Event()
			r.must(err)
			n++
			want := fmt.Sprintf("emails %s too many attempts; the last: bad address", id)
			if got := e.Extensions[LetterQueue] + " " + e.Extensions[LetterJob] + " " + e.Extensions[LetterReason]; got != want || e.ID != "e1" || string(e.Data) != "a" {
				t.Errorf("letter %+v", e)
			}
			var history []Attempt
			if err := json.Unmarshal([]byte(e.Extensions[LetterHistory]), &history); err != nil || len(history) != 1 || history[0].Worker != "w" {
				t.Errorf("history %s, %v", e.Extensions[LetterHistory], err)
			}
		}
		if n != 1 || r.stats().Dead != 1 {
			t.Fatalf("%d letters, stats %+v", n, r.stats())
		}
		if _, err := topics.Get("$queue.emails.jobs"); err != nil {
			t.Error(err)
		}
	})
}

// TestNoDeadLetter: a queue that publishes no dead jobs rests while it has some, and
// publishes them when it is to.
func TestNoDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withTopics(t, memlog.New(memlog.Options{}), func(r *rig) {
			r.configure(Settings{DeadLetter: NoDeadLetter})
			r.enqueue(text("x"))
			r.must(r.Dead(r.ctx(), r.one(LeaseRequest{}).Token, "bad"))
			synctest.Wait() // it would not return while something goes on
			if letters := r.read("emails.dead"); len(letters) != 0 {
				t.Fatalf("letters %+v", letters)
			}
			r.configure(Settings{})
			synctest.Wait()
			if letters := r.read("emails.dead"); len(letters) != 1 {
				t.Fatalf("letters %+v", letters)
			}
		})
	})
}

func TestSettingsJSON(t *testing.T) {
	s := Settings{Retry: Retry{Kind: List, Delays: []time.Duration{time.Second, time.Minute}}, Rate: "5/s"}
	s, err := s.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	want := `{"max_attempts":20,"visibility":"30s","retry":{"kind":"list","delays":["1s","1m0s"]},"concurrency":0,"rate":"5/s","dead_letter":"","results":""}`
	if string(b) != want || err != nil {
		t.Fatalf("%s, %v", b, err)
	}
	patched := s
	if err := json.Unmarshal([]byte(`{"visibility": "1m", "rate": null}`), &patched); err != nil || patched.Visibility != time.Minute || patched.Rate != "5/s" {
		t.Fatalf("%+v, %v", patched, err)
	}
	for field, s := range map[string]Settings{
		"max_attempts": {MaxAttempts: -2}, "visibility": {Visibility: 1}, "concurrency": {Concurrency: -1},
		"rate": {Rate: "fast"}, "retry.kind": {Retry: Retry{Kind: "random"}}, "retry.delays": {Retry: Retry{Kind: List}},
		"retry.jitter": {Retry: Retry{Jitter: 2}}, "retry": {Retry: Retry{Delay: -1}}, "dead_letter": {DeadLetter: "$x"},
	} {
		_, err := s.Defaults()
		if e, ok := err.(*parley.Error); !ok || e.Code != parley.Invalid || e.Field != field { // as it is returned
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := (Settings{Rate: "concurrency 5"}).Defaults(); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("a rate of places: %v", err)
	}
	if err := patched.UnmarshalStrict([]byte(`{"visibilty": "1m"}`)); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("a misspelt member: %v", err)
	}
	if err := patched.UnmarshalStrict([]byte(`{"retry": {"kind": "fixed", "dealy": "1s"}}`)); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("a misspelt member of retry: %v", err)
	}
	// What a later version answers is understood as far as it goes.
	if err := json.Unmarshal([]byte(`{"color": [1], "visibility": "2m", "retry": {"kind": "fixed", "tone": 1}}`), &patched); err != nil || patched.Visibility != 2*time.Minute || patched.Retry.Kind != Fixed || patched.Rate != "5/s" {
		t.Errorf("%+v, %v", patched, err)
	}
}

func TestName(t *testing.T) {
	for _, name := range []string{"", "~x", "$x", "a b", strings.Repeat("a", 201)} {
		if _, err := New(nil, nil, name, Options{}); err == nil {
			t.Errorf("%q is a queue's name", name)
		}
	}
}
