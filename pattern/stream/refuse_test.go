package stream

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
)

// TestRefusals: what cannot be is refused with its code and field, and nothing has
// changed.
func TestRefusals(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		a := r.create("a", 2)
		_, err := r.topics.Create(r.ctx(), "gone", topic.Settings{Durability: topic.Memory})
		r.must(err)
		r.put("a", 1, 20)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"a"}, Session: time.Hour / 4})
		other := r.group("other")
		p0, end := a.Partitions[0], parley.Position(0)
		end, err = r.log.End(r.ctx(), p0.Stream)
		r.must(err)
		at := func(n parley.Position) CommitRequest {
			return CommitRequest{Member: j.Member, Generation: 1, Places: []Place{{"a", 0, n}}}
		}
		_, err = g.Commit(r.ctx(), at(6))
		r.must(err)
		seal := func(marks ...cursor.Mark) string { return new(cursor.Sealer).Seal("", marks) }
		commit := func(q CommitRequest) error { _, err := g.Commit(r.ctx(), q); return err }
		join := func(q JoinRequest) error { _, err := g.Join(r.ctx(), q); return err }
		fetch := func(q FetchRequest) error { _, err := g.Fetch(r.ctx(), q); return err }
		seek := func(q SeekRequest) error { _, err := g.Seek(r.ctx(), q); return err }
		cur := func(text string) CommitRequest {
			return CommitRequest{Member: j.Member, Generation: 1, Cursor: text}
		}
		before := r.describe(g)
		for _, c := range []struct {
			name  string
			err   error
			code  parley.Code
			field string
		}{
			{"behind", commit(at(5)), parley.Conflict, "positions"},
			{"ahead", commit(at(end + 1)), parley.Unprocessable, "positions[0].position"},
			{"nothing", commit(CommitRequest{Member: j.Member, Generation: 1}), parley.Invalid, "cursor"},
			{"both", commit(CommitRequest{Cursor: "x", Places: []Place{{"a", 0, 1}}}), parley.Invalid, "cursor"},
			{"position 0", commit(at(0)), parley.Invalid, "positions[0].position"},
			{"position below", commit(at(-1)), parley.Invalid, "positions[0].position"},
			{"past generation", commit(CommitRequest{Member: j.Member, Places: []Place{{"a", 0, 7}}}), parley.Conflict, "generation"},
			{"generation to come", commit(CommitRequest{Member: j.Member, Generation: 2, Places: []Place{{"a", 0, 7}}}), parley.Conflict, "generation"},
			{"somebody", commit(CommitRequest{Member: "x", Generation: 1, Places: []Place{{"a", 0, 7}}}), parley.Conflict, "member"},
			{"nobody", commit(CommitRequest{Places: []Place{{"a", 0, 7}}}), parley.Conflict, "member"},
			{"no topic", commit(CommitRequest{Places: []Place{{"b", 0, 7}}}), parley.NotFound, "topic"},
			{"no partition", commit(CommitRequest{Places: []Place{{"a", 2, 7}}}), parley.NotFound, "positions[0].partition"},
			{"twice", commit(CommitRequest{Places: []Place{{"a", 0, 7}, {"a", 0, 8}}}), parley.Invalid, "positions"},
			{"garbage", commit(cur("garbage")), parley.BadCursor, "cursor"},
			{"cursor behind", commit(cur(seal(cursor.Mark{Number: p0.Number, Next: 2}))), parley.Conflict, "positions"},
			{"cursor ahead", commit(cur(seal(cursor.Mark{Number: p0.Number, Next: 999}))), parley.Unprocessable, "cursor"},
			{"cursor of elsewhere", commit(cur(seal(cursor.Mark{Number: 9999, Next: 2}))), parley.BadCursor, "cursor"},
			{"cursor of another topic", commit(cur(seal(cursor.Mark{Number: topic.TopicsNumber, Next: 1}))), parley.Conflict, "positions"},
			{"joined for ever", commit(cur(strings.Repeat("x,", 100))), parley.BadCursor, "cursor"},

			{"no topics", join(JoinRequest{}), parley.Invalid, "topics"},
			{"bad pattern", join(JoinRequest{Topics: []string{"a", "a..b"}}), parley.Invalid, "topics[1]"},
			{"ephemeral", join(JoinRequest{Topics: []string{"~a"}}), parley.Invalid, "topics[0]"},
			{"in memory", join(JoinRequest{Topics: []string{"gone"}}), parley.Unprocessable, "topics"},
			{"too many topics", join(JoinRequest{Topics: strings.Split(strings.Repeat("a ", 100)+"a", " ")}), parley.Invalid, "topics"},
			{"short session", join(JoinRequest{Topics: []string{"a"}, Session: time.Second}), parley.Invalid, "session_timeout"},
			{"long rebalance", join(JoinRequest{Topics: []string{"a"}, Rebalance: time.Hour}), parley.Invalid, "rebalance_timeout"},
			{"member of yore", join(JoinRequest{Topics: []string{"a"}, Member: "x"}), parley.Conflict, "member"},
			{"long member", join(JoinRequest{Topics: []string{"a"}, Member: strings.Repeat("x", 200)}), parley.Invalid, "member"},
			{"bad place to begin", func() error {
				_, err := other.Join(r.ctx(), JoinRequest{Topics: []string{"a"}, From: After("garbage")})
				return err
			}(), parley.BadCursor, "from"},

			{"limit", fetch(FetchRequest{Member: j.Member, Generation: 1, Limit: 1001}), parley.Invalid, "limit"},
			{"max_bytes", fetch(FetchRequest{Member: j.Member, Generation: 1, MaxBytes: 9 << 20}), parley.Invalid, "max_bytes"},
			{"fetch as nobody", fetch(FetchRequest{Generation: 1}), parley.Conflict, "member"},
			{"fetch of a generation to come", fetch(FetchRequest{Member: j.Member, Generation: 2}), parley.Conflict, "generation"},
			{"fetch after garbage", fetch(FetchRequest{Member: j.Member, Generation: 1, After: "garbage"}), parley.BadCursor, "after"},
			{"fetch beyond the end", fetch(FetchRequest{Member: j.Member, Generation: 1, After: seal(cursor.Mark{Number: p0.Number, Next: 999})}), parley.BadCursor, "after"},
			{"fetch what is not allowed", fetch(FetchRequest{Member: j.Member, Generation: 1, Allow: func(string) error { return parley.BadField("topic", "no", "no") }}), parley.Invalid, "topic"},

			{"seek beyond the end", seek(SeekRequest{Places: []Place{{"a", 0, end + 1}}}), parley.Unprocessable, "positions[0].position"},
			{"seek a cursor beyond the end", seek(SeekRequest{To: After(seal(cursor.Mark{Number: p0.Number, Next: 999}))}), parley.BadCursor, "to"},
			{"seek to garbage", seek(SeekRequest{To: After("garbage")}), parley.BadCursor, "to"},
			{"seek elsewhere", seek(SeekRequest{To: After(seal(cursor.Mark{Number: 9999, Next: 9}))}), parley.BadCursor, "to"},
			{"seek a bad topic", seek(SeekRequest{Topics: []string{"a..b"}}), parley.Invalid, "topics[0]"},
			{"seek both", seek(SeekRequest{To: Latest(), Places: []Place{{"a", 0, 1}}}), parley.Invalid, "positions"},

			{"heartbeat of nobody", func() error { _, err := g.Heartbeat(r.ctx(), "x", 1); return err }(), parley.Conflict, "member"},
			{"heartbeat to come", func() error { _, err := g.Heartbeat(r.ctx(), j.Member, 2); return err }(), parley.Conflict, "generation"},
			{"leave of nobody", g.Leave(r.ctx(), "x"), parley.Conflict, "member"},
			{"bad name", func() error { _, err := r.Ensure(r.ctx(), "a/b"); return err }(), parley.Invalid, "group"},
			{"ephemeral name", func() error { _, err := r.Ensure(r.ctx(), "~a"); return err }(), parley.Invalid, "group"},
			{"long name", func() error { _, err := r.Ensure(r.ctx(), strings.Repeat("a", 201)); return err }(), parley.Invalid, "group"},
			{"no group", func() error { _, err := r.Get(r.ctx(), "none"); return err }(), parley.NotFound, "group"},
		} {
			var e *parley.Error
			if !errors.As(c.err, &e) || e.Code != c.code || e.Field != c.field || e.Fix == "" {
				t.Errorf("%s: %v, want %s of %s and a fix", c.name, c.err, c.code, c.field)
			}
		}
		after := r.describe(g)
		for i := range after.Members {
			after.Members[i].Seen = before.Members[i].Seen
		}
		if got, want := after.Partitions, before.Partitions; len(got) != 2 || got[0] != want[0] || got[1] != want[1] || after.Generation != 1 {
			t.Errorf("something has changed: %+v, was %+v", after, before)
		}
	})
}

func TestSeekAndTrimmedPlaces(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		a := r.create("a", 1)
		r.put("a", 1, 5)
		r.pass(time.Hour)
		noon := time.Now()
		r.put("a", 6, 10)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"a"}, Session: 10 * time.Minute})
		f := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1})
		commit := func(generation uint64, text string) error {
			_, err := g.Commit(r.ctx(), CommitRequest{Member: j.Member, Generation: generation, Cursor: text})
			return err
		}
		r.must(commit(1, f.Cursor))
		first := f
		for i, c := range []struct {
			to    From
			first int
		}{{Earliest(), 1}, {At(noon), 6}, {Latest(), 0}, {Earliest(), 1}, {After(first.Cursor), 0}} {
			generation := f.Generation
			would, err := g.Seek(r.ctx(), SeekRequest{To: c.to, Topics: []string{"a"}, DryRun: true})
			r.must(err)
			if info, err := g.Describe(r.ctx()); err != nil || info.Generation != generation {
				t.Errorf("seek %d: a dry run began generation %d: %v", i, info.Generation, err)
			}
			places, err := g.Seek(r.ctx(), SeekRequest{To: c.to, Topics: []string{"a"}})
			r.must(err)
			if !slices.Equal(would, places) {
				t.Errorf("seek %d: to %v, and by the dry run to %v", i, places, would)
			}
			r.code(commit(generation, first.Cursor), parley.Conflict, "generation")
			f = r.fetch(g, FetchRequest{Member: j.Member, Generation: generation, After: f.Cursor})
			got := 0
			if len(f.Messages) > 0 {
				got = numbersOf(f.Messages)[0]
			}
			if got != c.first || !f.Changed {
				t.Errorf("seek %d: first %d, want %d", i, got, c.first)
			}
		}
		r.must(r.log.Trim(r.ctx(), a.Partitions[0].Stream, 4))
		_, err := g.Seek(r.ctx(), SeekRequest{Places: []Place{{"a", 0, 2}}})
		r.code(err, parley.Trimmed, "to")
		_, err = g.Seek(r.ctx(), SeekRequest{To: Earliest()})
		r.must(err)
		if f = r.fetch(g, FetchRequest{Member: j.Member, Generation: f.Generation}); len(f.Gaps) != 0 || numbersOf(f.Messages)[0] != 4 {
			t.Errorf("from the earliest: %v, gaps %v", numbersOf(f.Messages), f.Gaps)
		}
		h := r.group("h") // one that nobody ever joined
		places, err := h.Seek(r.ctx(), SeekRequest{To: Latest(), Topics: []string{"a"}})
		r.must(err)
		if len(places) != 1 || places[0].Position != 11 {
			t.Errorf("%v", places)
		}
		if _, err = h.Commit(r.ctx(), CommitRequest{Places: []Place{{"a", 0, 11}}}); err != nil {
			t.Error(err)
		}
	})
}
