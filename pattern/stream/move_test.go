package stream

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

// TestOwnershipMovesAtEveryStep has two members read and commit, and one of them
// leave, on a group of two nodes. Wherever the ownership moves, every event is
// delivered, members keep their generation, and what was committed stays so.
func TestOwnershipMovesAtEveryStep(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		topics := topic.New(log, topic.Options{AutoCreate: true})
		gs, err := New(log, c.Host(), topics, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := &history{rig: &rig{Groups: gs, t: t, log: log, topics: topics}, committed: make(map[int]parley.Position), given: make(map[string]bool)}
		h.must(topics.Load(t.Context()))
		h.create("a", 3)
		h.put("a", 1, 6)
		h.g = h.group("g")
		c.Serve(h.g.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, h.g, log, o) })
		one := h.enter()
		step(h.g.moves)
		h.turn(one)
		step(h.g.moves)
		two := h.enter()
		for range 3 {
			step(h.g.moves)
			h.turn(one)
			step(h.g.moves)
			h.turn(two)
		}
		h.put("a", 7, 12)
		step(h.g.moves)
		h.try(func(ctx context.Context) error {
			err := h.g.Leave(ctx, one.Member)
			if parley.CodeOf(err) == parley.Conflict && err != nil {
				return nil // the first try was heard
			}
			return err
		})
		var info Info
		for len(h.given) < 12 || info.Lag > 0 || len(info.Members) != 1 || info.State != Stable {
			step(h.g.moves)
			h.turn(two)
			info = h.look()
		}
		if info.Members[0].ID != two.Member || len(info.Members[0].Assigned) != 3 {
			t.Fatalf("at the end %+v", info)
		}
	})
}

// history is members that remember everything.
type history struct {
	*rig
	g         *Group
	committed map[int]parley.Position // answered
	given     map[string]bool
}

type mate struct {
	Joined
	generation uint64
	cursor     string
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
			h.pass(100 * time.Millisecond)
		default:
			h.t.Fatal(err)
		}
	}
}

// enter lets a member in. One whose answer is lost is in the group, too, and nobody:
// it is given up after its session.
func (h *history) enter() *mate {
	h.t.Helper()
	m := new(mate)
	h.try(func(ctx context.Context) (err error) {
		m.Joined, err = h.g.Join(ctx, JoinRequest{Topics: []string{"a"}, Session: 30 * time.Second, Wait: -1})
		return err
	})
	m.generation = m.Generation
	return m
}

// turn is a member that reads a little and commits it.
func (h *history) turn(m *mate) {
	h.t.Helper()
	h.pass(time.Second)
	var f *Fetched
	h.try(func(ctx context.Context) (err error) {
		f, err = h.g.Fetch(ctx, FetchRequest{Member: m.Member, Generation: m.generation, After: m.cursor, Limit: 2})
		return err
	})
	m.generation, m.cursor = f.Generation, f.Cursor
	for _, msg := range f.Messages {
		h.given[msg.Event.ID] = true
	}
	if f.Rebalance {
		return
	}
	var done []Place
	h.try(func(ctx context.Context) (err error) {
		done, err = h.g.Commit(ctx, CommitRequest{Member: m.Member, Generation: m.generation, Cursor: m.cursor})
		return err
	})
	for _, p := range done {
		if p.Position < h.committed[p.Partition] {
			h.t.Fatalf("partition %d went back from %d to %d", p.Partition, h.committed[p.Partition], p.Position)
		}
		h.committed[p.Partition] = p.Position
	}
}

func (h *history) look() (info Info) {
	h.try(func(ctx context.Context) (err error) {
		if info, err = h.g.Describe(ctx); err != nil {
			return err
		}
		for _, p := range info.Partitions {
			if p.Committed < h.committed[p.Partition] {
				h.t.Fatalf("partition %d is at %d; %d was committed", p.Partition, p.Committed, h.committed[p.Partition])
			}
		}
		return nil
	})
	return info
}
