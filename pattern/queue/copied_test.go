package queue

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// pass has n jobs come and go, ahead of all others.
func (r *rig) pass(n int) {
	r.t.Helper()
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = Job{Priority: MaxPriority, Event: parley.Event{Data: []byte("x")}}
	}
	r.enqueue(jobs...)
	r.ack(r.lease(LeaseRequest{Max: n}))
}

func (r *rig) ack(list []Lease) {
	r.t.Helper()
	acks := make([]Settlement, len(list))
	for i, l := range list {
		acks[i] = Settlement{Lease: l.Token, Action: Ack}
	}
	_, err := r.Settle(r.ctx(), acks)
	r.must(err)
}

// TestCopiedBeforeTheyAreRead: jobs that are copied forward between their lease and
// the read of their events are found where they are now, with the terms that they
// have of their own, however many they are and however much they have been through.
func TestCopiedBeforeTheyAreRead(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		const n = MaxLease
		jobs := make([]Job, n)
		for i := range jobs {
			jobs[i] = Job{MaxAttempts: 50, Event: parley.Event{Data: []byte(strconv.Itoa(i))}}
		}
		r.enqueue(jobs...)
		list := r.lease(LeaseRequest{Max: n})
		back := make([]Settlement, n)
		for i, l := range list {
			back[i] = Settlement{Lease: l.Token, Action: Nack, Delay: new(time.Duration), Cause: strings.Repeat("e", MaxCause)}
		}
		_, err := r.Settle(r.ctx(), back)
		r.must(err)
		a, err := r.ask(r.ctx(), &request{Op: "lease", Max: n})
		r.must(err)
		if len(a.Granted) != n {
			t.Fatalf("%d jobs granted", len(a.Granted))
		}
		for range 10 {
			r.pass(1000)
		}
		synctest.Wait()
		if run, err := r.log.Read(r.ctx(), parley.Place{Stream: r.jobs, At: 1}, 1); parley.CodeOf(err) != parley.Trimmed {
			t.Fatalf("nothing was copied and trimmed: %v, %v", run, err)
		}
		own := 0
		r.must(r.events(r.ctx(), append([]granted{}, a.Granted...), func(_ int, s stored) {
			if s.terms != nil && s.terms.MaxAttempts == 50 {
				own++
			}
		}))
		got, err := r.Queue.read(r.ctx(), a.Granted, false)
		r.must(err)
		for i, l := range got {
			if string(l.Event.Data) != strconv.Itoa(i) {
				t.Fatalf("job %d holds %q", i, l.Event.Data)
			}
		}
		if s := r.stats(); own != n || len(got) != n || s.Leased != n || s.Dead != 0 {
			t.Fatalf("of %d jobs %d were found with their terms, and %d handed out: %+v", n, own, len(got), s)
		}
	})
}

// holdingLog holds one read of a stream back, whatever becomes of its caller.
type holdingLog struct {
	*stallingLog
	stream string
	next   chan struct{} // a token: the next read is held
	held   chan struct{} // a token: one is
	free   chan struct{} // closed: it goes on
}

func holding(stream string) *holdingLog {
	return &holdingLog{
		stallingLog: &stallingLog{Log: memlog.New(memlog.Options{})}, stream: stream,
		next: make(chan struct{}, 1), held: make(chan struct{}, 1), free: make(chan struct{}),
	}
}

func (l *holdingLog) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	if at.Stream.Name == l.stream {
		select {
		case <-l.next:
			l.held <- struct{}{}
			<-l.free
			ctx = context.WithoutCancel(ctx)
		default:
		}
	}
	return l.stallingLog.Read(ctx, at, n)
}

// TestLetterOfACopiedJob: a dead job that is copied forward just when its letter is to
// be written has one nevertheless, one.
func TestLetterOfACopiedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := holding("$queue.emails.jobs")
		withTopics(t, log, func(r *rig) {
			r.enqueue(Job{Event: parley.Event{ID: "poor"}})
			poor := r.one(LeaseRequest{})
			// Behind it are so many that it is copied when they are done.
			var rest [][]Lease
			for range 10 {
				jobs := make([]Job, 1000)
				for i := range jobs {
					jobs[i] = text("x")
				}
				r.enqueue(jobs...)
				rest = append(rest, r.lease(LeaseRequest{Max: 1000}))
			}
			synctest.Wait()
			log.next <- struct{}{}
			r.must(r.Dead(r.ctx(), poor.Token, "bad"))
			<-log.held
			for _, list := range rest {
				r.ack(list)
			}
			synctest.Wait()
			if _, err := log.Log.Read(r.ctx(), parley.Place{Stream: r.jobs, At: parley.Position(poor.ID)}, 1); parley.CodeOf(err) != parley.Trimmed {
				t.Fatalf("nothing was copied and trimmed: %v", err)
			}
			close(log.free)
			synctest.Wait()
			if letters := r.read("emails.dead"); len(letters) != 1 || letters[0].ID != "poor" || letters[0].Extensions[LetterJob] != poor.ID.String() {
				t.Fatalf("letters %+v", letters)
			}
			if s := r.stats(); s.Dead != 1 || s.Done != 10_000 {
				t.Fatalf("stats %+v", s)
			}
		})
	})
}
