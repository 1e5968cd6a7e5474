package queue

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
	"github.com/parleyhq/parley/engine/memlog"
)

// TestOwnershipMovesAtEveryStep works a queue off on two nodes. Wherever the
// ownership moves, every job is run, none is run after its ack was answered, and
// the jobs of one key are run in order.
func TestOwnershipMovesAtEveryStep(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		q, err := New(log, c.Host(), "q", Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.Serve(q.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, q, log, o) })
		h := &history{t: t, q: q, acked: map[ID]bool{}, unsure: map[ID]bool{}, runs: map[ID]int{}}
		h.enqueue(Job{}, Job{Key: "k"}, Job{Priority: 3}, Job{Key: "k"})
		for len(h.acked) < len(h.jobs) {
			step(q.moves)
			h.turn()
		}
		step(q.moves)
		h.try(func(ctx context.Context) error {
			s, err := q.Stats(ctx)
			if err == nil && (s.Ready+s.Delayed+s.Leased+s.Dead != 0 || s.Done != int64(len(h.jobs))) {
				t.Errorf("at the end: %+v", s)
			}
			return err
		})
	})
}

// TestCompactionWhileOwnershipMoves copies a resting job forward again and again,
// and trims behind it. Wherever the ownership moves, the job and its event stay.
func TestCompactionWhileOwnershipMoves(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		q, err := New(log, c.Host(), "q", Options{})
		if err != nil {
			t.Fatal(err)
		}
		q.thrift = thrift{every: 1, sparse: 4, marks: 1}
		c.Serve(q.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, q, log, o) })
		h := &history{t: t, q: q, acked: map[ID]bool{}, unsure: map[ID]bool{}, runs: map[ID]int{}}
		h.enqueue(Job{Event: parley.Event{ID: "rests"}, Delay: time.Hour})
		rests := h.jobs[0]
		for round := 0; round < 2 || len(h.acked) < len(h.jobs)-1; round++ {
			if round < 2 {
				h.enqueue(Job{Priority: 3}, Job{Priority: 3})
			}
			step(q.moves)
			h.turn()
		}
		step(q.moves)
		h.try(func(ctx context.Context) error {
			i, err := q.Get(ctx, rests)
			if err == nil && (i.Event.ID != "rests" || i.State != Delayed) {
				t.Errorf("the resting job: %+v", i)
			}
			return err
		})
		<-time.After(time.Minute)
		h.try(func(ctx context.Context) error { // whoever owns the queue now looks
			_, err := q.Stats(ctx)
			return err
		})
		synctest.Wait()
		run, err := log.Read(t.Context(), parley.Place{Stream: q.jobs}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for b := range run.Batches() {
			if b.Base() <= parley.Position(rests) {
				t.Errorf("nothing was trimmed: the jobs stream begins at %d", b.Base())
			}
			break
		}
	})
}

// history is a worker that remembers everything.
type history struct {
	t      *testing.T
	q      *Queue
	jobs   []ID
	acked  map[ID]bool // its ack was answered
	unsure map[ID]bool // its ack may have been taken
	runs   map[ID]int
	keyed  []ID // of key k, in order
}

// try repeats what failed because the ownership moved.
func (h *history) try(fn func(ctx context.Context) error) {
	h.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Second)
		err := fn(ctx)
		cancel()
		if err == nil {
			return
		}
		switch parley.CodeOf(err) {
		case parley.Unknown, parley.Unavailable, parley.Timeout:
			<-time.After(100 * time.Millisecond)
		default:
			h.t.Fatal(err)
		}
	}
}

func (h *history) enqueue(jobs ...Job) {
	list, err := h.q.Enqueue(h.t.Context(), jobs, EnqueueOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	for i, e := range list {
		h.jobs = append(h.jobs, e.ID)
		if jobs[i].Key != "" {
			h.keyed = append(h.keyed, e.ID)
		}
	}
}

// turn leases what there is, nacks each job the first time and acks it the second.
func (h *history) turn() {
	var list []Lease
	h.try(func(ctx context.Context) (err error) {
		list, err = h.q.Lease(ctx, LeaseRequest{Max: 3, Wait: time.Second, Visibility: 3 * time.Second, Worker: "w"})
		return err
	})
	if len(list) == 0 {
		for id := range h.unsure { // nothing is left, so it was taken
			if s, err := h.q.Get(h.t.Context(), id); parley.CodeOf(err) == parley.NotFound && s.ID == 0 {
				h.acked[id] = true
			}
		}
	}
	for _, l := range list {
		h.ran(l)
		s := Settlement{Lease: l.Token, Action: Ack}
		if h.runs[l.ID] == 1 {
			s = Settlement{Lease: l.Token, Action: Nack, Delay: new(time.Duration)}
		}
		var outcome error
		unsure := false
		h.try(func(ctx context.Context) error {
			errs, err := h.q.Settle(ctx, []Settlement{s})
			if err != nil {
				unsure = unsure || parley.CodeOf(err) != parley.Unavailable
				return err
			}
			outcome = errs[0]
			return nil
		})
		switch code := parley.CodeOf(outcome); {
		case outcome != nil && code != parley.Conflict:
			h.t.Fatalf("job %d: %v", l.ID, outcome)
		case s.Action == Ack && outcome == nil:
			h.acked[l.ID] = true
		case s.Action == Ack && unsure:
			h.unsure[l.ID] = true
		}
	}
}

// ran checks a lease against everything before it.
func (h *history) ran(l Lease) {
	h.t.Helper()
	if h.acked[l.ID] {
		h.t.Fatalf("job %d runs again after its ack", l.ID)
	}
	h.runs[l.ID]++
	i := slices.Index(h.keyed, l.ID)
	for _, before := range h.keyed[:max(i, 0)] {
		if !h.acked[before] && !h.unsure[before] {
			h.t.Fatalf("job %d runs before job %d of its key is done", l.ID, before)
		}
	}
}
