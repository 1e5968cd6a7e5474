package stream

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// elsewhere changes topics while no node owns the groups, which then begin anew.
func (r *rig) elsewhere(fn func(topics *topic.Registry)) {
	r.t.Helper()
	r.stop()
	other := topic.New(r.log, topic.Options{})
	r.must(other.Load(r.ctx()))
	fn(other)
	r.run()
}

// TestTopicsDeletedWhileNobodyOwnedTheGroup: the next owner finds out by itself.
func TestTopicsDeletedWhileNobodyOwnedTheGroup(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("gone", 2)
		r.create("kept", 2)
		r.create("made.anew", 1)
		r.put("made.anew", 1, 5)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"*", "made.*"}})
		f := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1})
		_, err := g.Commit(r.ctx(), CommitRequest{Member: j.Member, Generation: 1, Cursor: f.Cursor})
		r.must(err)
		r.elsewhere(func(topics *topic.Registry) {
			r.must(topics.Delete(r.ctx(), "gone"))
			r.must(topics.Delete(r.ctx(), "made.anew"))
			_, err := topics.Create(r.ctx(), "made.anew", topic.Settings{Partitions: 3})
			r.must(err)
		})
		r.put("made.anew", 6, 8)
		synctest.Wait()
		g = r.group("g")
		f = r.fetch(g, FetchRequest{Member: j.Member, Generation: 1, After: f.Cursor})
		var has []string
		for _, p := range f.Assigned {
			has = append(has, p.Topic)
		}
		want := []string{"kept", "kept", "made.anew", "made.anew", "made.anew"}
		if got := numbersOf(f.Messages); !f.Changed || !slices.Equal(has, want) || !slices.Equal(got, []int{6, 7, 8}) {
			t.Errorf("got %v of %v", got, f.Assigned)
		}
		if i := r.describe(g); i.Lag != 3 || len(i.Partitions) != len(want) {
			t.Errorf("described %+v", i)
		}
		r.must(g.Leave(r.ctx(), j.Member))
		r.elsewhere(func(topics *topic.Registry) { r.must(topics.Delete(r.ctx(), "made.anew")) })
		if i := r.describe(r.group("g")); i.Lag != 0 || len(i.Partitions) != 2 {
			t.Errorf("without members %+v", i)
		}
	})
}

// TestDeletedTopicsMakeRoom: places of topics that are gone do not count.
func TestDeletedTopicsMakeRoom(t *testing.T) {
	b := newBench(t, 0)
	var full []track
	for i := range MaxPartitions {
		full = append(full, track{Topic: "a", Index: i % topic.MaxPartitions, place: place{Number: uint64(1000 + i)}})
	}
	r := joining{ID: "m", member: member{topics: []string{"a", "b"}, session: 10_000, rebalance: 10_000}}
	if err := b.join(b, b.now, r, full); err != nil {
		t.Fatal(err)
	}
	came := []track{{Topic: "b", place: place{Number: 9000}}, {Topic: "b", Index: 1, place: place{Number: 9001}}}
	if err := b.change(b, b.now, came, []uint64{1000}); err != nil {
		t.Fatal(err)
	}
	if b.parts[1000] != nil || b.parts[9000] == nil || b.parts[9001] != nil {
		t.Errorf("%d partitions", len(b.parts))
	}
}

// TestDeletedTopicsDoNotComeBack joins and seeks on behalf of a node that has not
// heard of a deletion.
func TestDeletedTopicsDoNotComeBack(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 2)
		r.create("b", 1)
		g := r.group("g")
		stale, err := r.matching([]string{"*"})
		r.must(err)
		r.must(r.topics.Delete(r.ctx(), "a"))
		synctest.Wait()
		a, err := g.ask(r.ctx(), &request{Op: "seek", Tracks: stale})
		r.must(err)
		if len(a.Parts) != 1 || a.Parts[0].Topic != "b" {
			t.Errorf("moved %+v", a.Parts)
		}
		a, err = g.ask(r.ctx(), &request{Op: "join", Member: "m", Topics: []string{"*"}, Session: 30_000, Rebalance: 30_000, Tracks: stale})
		r.must(err)
		if len(a.Parts) != 1 || len(r.describe(g).Partitions) != 1 {
			t.Errorf("assigned %+v of %+v", a.Parts, r.describe(g).Partitions)
		}
	})
}

// stubborn is a log that does not take a number of changes of the list of groups.
type stubborn struct {
	*memlog.Log
	refuse atomic.Int32
}

func (s *stubborn) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	if writes[0].Stream == groupsStream && s.refuse.Add(-1) >= 0 {
		return nil, parley.Errorf(parley.Unavailable, "the log is not in the mood")
	}
	return s.Log.Append(ctx, writes...)
}

// TestUnusedGroupsAreDeletedInTheEnd fails to take a group that nobody uses off the
// list: it is tried again by the same owner and by the next, and in between the group
// can be joined.
func TestUnusedGroupsAreDeletedInTheEnd(t *testing.T) {
	const keep = time.Hour
	unused := func(r *rig) *stubborn {
		r.stop()
		log := &stubborn{Log: memlog.New(memlog.Options{})}
		r.log = log
		r.run()
		r.create("a", 1)
		g := r.group("g")
		r.must(g.Leave(r.ctx(), r.join(g, JoinRequest{Topics: []string{"a"}}).Member))
		return log
	}
	const again = retireAgain * time.Millisecond
	t.Run("by the same owner", func(t *testing.T) {
		fake(t, Options{Retention: keep}, func(r *rig) {
			unused(r).refuse.Store(2)
			r.pass(keep + 2*again - time.Second)
			if len(r.List()) != 1 {
				t.Fatal("the log has refused nothing")
			}
			r.pass(2 * time.Second)
			if list := r.List(); len(list) != 0 {
				t.Errorf("still there: %v", list)
			}
		})
	})
	t.Run("by the next owner", func(t *testing.T) {
		fake(t, Options{Retention: keep}, func(r *rig) {
			unused(r).refuse.Store(1)
			r.pass(keep + time.Second)
			r.stop()
			if len(r.List()) != 1 {
				t.Fatal("the log has refused nothing")
			}
			r.run()
			r.pass(time.Second)
			if list := r.List(); len(list) != 0 {
				t.Errorf("still there: %v", list)
			}
		})
	})
	t.Run("unless somebody comes", func(t *testing.T) {
		fake(t, Options{Retention: keep}, func(r *rig) {
			unused(r).refuse.Store(1)
			r.pass(keep + time.Second)
			g := r.group("g")
			j := r.join(g, JoinRequest{Topics: []string{"a"}, Session: 5 * time.Minute})
			r.pass(4 * time.Minute)
			if b, err := g.Heartbeat(r.ctx(), j.Member, j.Generation); err != nil || b.Rebalance {
				t.Errorf("%+v %v", b, err)
			}
		})
	})
	t.Run("also when a request has cleared it", func(t *testing.T) {
		fake(t, Options{Retention: keep}, func(r *rig) {
			log := unused(r)
			r.join(r.group("of.members"), JoinRequest{Topics: []string{"a"}})
			r.group("never.joined")
			for _, name := range r.List() {
				log.refuse.Store(1)
				if err := r.Delete(r.ctx(), name, true); parley.CodeOf(err) != parley.Unavailable {
					t.Fatal(err)
				}
			}
			r.pass(keep + again)
			if list := r.List(); len(list) != 0 {
				t.Errorf("still there: %v", list)
			}
		})
	})
}
