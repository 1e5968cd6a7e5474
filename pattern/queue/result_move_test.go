package queue

import (
	"context"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// TestResultWhileOwnershipMoves: wherever the ownership moves, there is one result of
// each job, it is that of the ack that was taken, and who asks for it gets it.
func TestResultWhileOwnershipMoves(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		topics := topic.New(log, topic.Options{})
		if err := topics.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		q, err := New(log, c.Host(), "q", Options{Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		c.Serve(q.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, q, log, o) })
		h := &history{t: t, q: q}
		h.enqueue(Job{}, Job{Key: "k"}, Job{Key: "k"})
		outcomes := make(map[ID]Outcome)
		for len(outcomes) < len(h.jobs) {
			step(q.moves)
			var list []Lease
			h.try(func(ctx context.Context) (err error) {
				list, err = q.Lease(ctx, LeaseRequest{Max: 3, Wait: time.Second, Visibility: 3 * time.Second})
				return err
			})
			for _, l := range list {
				// Whatever becomes of this ack: if it is lost, the job comes again.
				_ = q.AckWith(t.Context(), l.Token, Output{Data: []byte(l.Token)})
			}
			for _, id := range h.jobs {
				h.try(func(ctx context.Context) error {
					how, err := q.Result(ctx, id, 0)
					if before, told := outcomes[id]; err == nil && told && (how.State != Done || string(how.Result.Data) != string(before.Result.Data)) {
						t.Fatalf("the outcome %+v of job %d became %+v", before, id, how)
					}
					if err == nil && how.State == Done {
						outcomes[id] = how
					}
					return err
				})
			}
		}
		part, err := topics.Get("q.results")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for _, e := range readAll(t, log, part.Partitions[0].Stream) {
			if seen[e.Subject] != "" {
				t.Fatalf("job %s has two results", e.Subject)
			}
			seen[e.Subject] = string(e.Data)
		}
		for id, how := range outcomes {
			if how.Result == nil || seen[id.String()] != string(how.Result.Data) {
				t.Fatalf("job %d: %+v, in the topic is %q", id, how, seen[id.String()])
			}
		}
	})
}
