package natslog

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

var sA, sB, sC = parley.Stream{Name: "a"}, parley.Stream{Name: "b"}, parley.Stream{Name: "c"}

func oneRecord(t testing.TB, records int) parley.Batch {
	t.Helper()
	var b parley.Builder
	for range records {
		if err := b.AddRecord(time.UnixMilli(1_700_000_000_000), nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// jetStream is a stream of JetStream with its rules for atomic batches: the newest
// sequence of each subject.
type jetStream struct {
	last map[parley.Stream]uint64 // the zero Stream is the guards' subject
	seq  uint64
}

// commit applies a plan, or tells that a comparison fails. A subject that the
// commit wrote before cannot be compared.
func (j *jetStream) commit(messages []message) (first uint64, ok bool) {
	written := make(map[parley.Stream]bool)
	for _, m := range messages {
		if m.compare && (written[m.about] || j.last[m.about] != m.expect) {
			return 0, false
		}
		written[m.stream] = true
	}
	first = j.seq + 1
	for _, m := range messages {
		j.seq++
		j.last[m.stream] = j.seq
	}
	return first, true
}

// contract is what parley.Log says, applied to sequences: the answers, or nil for
// Conflict. A batch of the commit is known by its index.
func contract(writes []parley.Write, last map[parley.Stream]uint64) (answers []parley.Position, batches []int, ok bool) {
	now := make(map[parley.Stream]parley.Position) // −1 − index: a batch of this commit
	for s, seq := range last {
		now[s] = baseOf(seq)
	}
	for i, w := range writes {
		have := now[w.Stream]
		if w.Expect == parley.Empty && have != 0 || w.Expect > 0 && have != w.Expect {
			return nil, nil, false
		}
		if !w.Batch.IsZero() {
			have = parley.Position(-1 - len(batches))
			batches = append(batches, i)
			now[w.Stream] = have
		}
		answers = append(answers, have)
	}
	return answers, batches, true
}

func TestPlansKeepTheContract(t *testing.T) {
	batch := oneRecord(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		j := &jetStream{last: map[parley.Stream]uint64{}, seq: 10}
		for range rapid.IntRange(1, 8).Draw(t, "commits") {
			var writes []parley.Write
			for range rapid.IntRange(1, 6).Draw(t, "writes") {
				s := rapid.SampledFrom([]parley.Stream{sA, sB, sC}).Draw(t, "stream")
				w := parley.Write{Stream: s}
				w.Expect = rapid.SampledFrom([]parley.Position{parley.Any, parley.Any, parley.Empty, baseOf(j.last[s]), baseOf(j.last[s]), baseOf(3), baseOf(j.last[s]) + 1}).Draw(t, "expect")
				if rapid.IntRange(0, 2).Draw(t, "guard") > 0 {
					w.Batch = batch
				}
				writes = append(writes, w)
			}
			before := maps.Clone(j.last)
			delete(before, parley.Stream{})
			answers, batches, ok := contract(writes, before)
			p, err := plans(writes, func(s parley.Stream) uint64 { return before[s] })
			var first uint64
			stored := false
			if err == nil {
				first, stored = j.commit(p.messages)
			} else if parley.CodeOf(err) != parley.Conflict {
				t.Fatal(err)
			}
			if stored != ok {
				t.Fatalf("stored: %v, by the contract: %v (%v) %+v", stored, ok, err, p.messages)
			}
			if !ok {
				j.last = maps.Clone(before)
				continue
			}
			if len(p.messages) > len(writes) {
				t.Fatalf("%d messages for %d writes", len(p.messages), len(writes))
			}
			for i, a := range p.answers {
				got, want := a.base, answers[i]
				if a.message >= 0 {
					got = baseOf(first + uint64(a.message))
				}
				if want < 0 {
					want = baseOf(first + uint64(-1-want))
				}
				if got != want {
					t.Fatalf("write %d of %+v is answered %d, want %d", i, writes, got, want)
				}
			}
			var order []parley.Stream
			for _, m := range p.messages {
				if !m.batch.IsZero() {
					order = append(order, m.stream)
				}
			}
			if !slices.EqualFunc(order, batches, func(s parley.Stream, i int) bool { return writes[i].Stream == s }) {
				t.Fatalf("batches go to %v", order)
			}
		}
	})
}
