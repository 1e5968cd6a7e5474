package sharded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/pattern/throttle"
)

// tape is a turn that keeps the moves which are made of a book.
type tape struct {
	book   *book
	at     time.Time
	moves  []journal.Move
	sweeps int
	err    error  // the first move that was refused
	pin    func() // what is done to the book after each move, or nil
}

func newTape() *tape { return &tape{book: newBook(), at: time.Unix(1_800_000_000, 0)} }

func (r *tape) Now() time.Time         { return r.at }
func (r *tape) Lazy(data []byte) error { r.sweeps++; return r.Move(data) }

func (r *tape) Move(data []byte) error {
	m := journal.Move{Number: uint64(len(r.moves) + 1), Time: r.at, Data: bytes.Clone(data)}
	if err := r.book.Apply(m); err != nil {
		r.err = err
		return err
	}
	r.moves = append(r.moves, m)
	if r.pin != nil {
		r.pin()
	}
	return nil
}

// make applies one move.
func (r *tape) make(t testing.TB, m move) {
	t.Helper()
	if err := give(r.Move, m); err != nil {
		t.Fatal(err)
	}
}

// saved is a snapshot, and how many moves are in it.
type saved struct {
	parts [][]byte
	moves int
}

func (r *tape) save() saved {
	s := saved{moves: len(r.moves)}
	for p := range r.book.Snapshot() {
		s.parts = append(s.parts, bytes.Clone(p))
	}
	return s
}

// replay is the book of a node that restores from s; pin as in tape.
func (r *tape) replay(s saved, pin func(*book)) (*book, error) {
	next := newBook()
	if err := next.Restore(slices.Values(s.parts)); err != nil {
		return nil, err
	}
	pin(next)
	for _, m := range r.moves[s.moves:] {
		if err := next.Apply(m); err != nil {
			return nil, err
		}
		pin(next)
	}
	return next, nil
}

func asItIs(*book) {}

// differs says how the states of two books differ, if they do.
func differs(one, two *book) string {
	if len(one.limits) != len(two.limits) {
		return fmt.Sprintf("%d limits and %d", len(one.limits), len(two.limits))
	}
	for name, a := range one.limits {
		b := two.limits[name]
		switch {
		case b == nil:
			return name + " is in one only"
		case a.text != b.text || a.revision != b.revision:
			return fmt.Sprintf("%s is %q, revision %d, and %q, revision %d", name, a.text, a.revision, b.text, b.revision)
		case !maps.EqualFunc(a.keys, b.keys, slices.Equal[[]uint64]):
			return fmt.Sprintf("%s has %d keys and %d, or other counts", name, len(a.keys), len(b.keys))
		}
	}
	return ""
}

// ask has the owner answer for the limit "l".
func ask(t testing.TB, o *owner, tx *tape, op, limit, key string, cost int64) reply {
	t.Helper()
	out, err := o.long(tx, request{Op: op, Name: "l", Limit: limit, Key: []byte(key), Cost: cost})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAFloodOfKeysPasses fills the table once. While its keys are limited, new ones
// share a count; when they are not any more, each has its own again, with the same
// owner and with another.
func TestAFloodOfKeysPasses(t *testing.T) {
	limit := throttle.NewSlidingLog(20_000, time.Hour)
	a, err := newAccount(limit.String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarts=%t", restarts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, ctx := newLog(), t.Context()
				host, stop := local(t, log)
				c := counter(t, host, limit)
				for i := range a.most {
					want(t, text(c.AllowN(ctx, fmt.Sprint("k", i), 1)), "ok, 19999 left")
				}
				want(t, text(c.AllowN(ctx, "one", 20_000)), "ok, 0 left")
				want(t, text(c.AllowN(ctx, "two", 1)), "limited, 0 left, in 1h0m0s")
				for range 2 {
					<-time.After(24 * time.Hour)
					if restarts {
						stop()
						host, stop = local(t, log)
						c = counter(t, host, limit)
					}
					want(t, text(c.AllowN(ctx, "one", 20_000)), "ok, 0 left")
					want(t, text(c.AllowN(ctx, "two", 1)), "ok, 19999 left")
				}
				stop()
			})
		})
	}
}

// TestTheLargestTablePasses is the same for a limit of small counts.
func TestTheLargestTablePasses(t *testing.T) {
	const limit = "fixed-window 5/1h"
	tx := newTape()
	tx.make(t, move{Op: opLimit, Name: "l", Limit: limit})
	a, now := tx.book.limits["l"], since(tx.at)
	for i := range uint64(maxKeys) {
		h := keyHash{0: 1}
		binary.BigEndian.PutUint64(h[8:], i)
		a.rule.Take(a.cell(h, now), now, 1)
	}
	next := newBook()
	if err := next.Restore(slices.Values(tx.save().parts)); err != nil {
		t.Fatal(err)
	}
	for name, book := range map[string]*book{"the same owner": tx.book, "the next one": next} {
		o, tx := &owner{book: book}, &tape{book: book, at: tx.at}
		ask(t, o, tx, opTake, limit, "one", 5)
		if out := ask(t, o, tx, opTake, limit, "two", 1); out.OK {
			t.Errorf("%s: %+v for more keys than are counted", name, out)
		}
		tx.at = tx.at.Add(2 * time.Hour)
		ask(t, o, tx, opTake, limit, "one", 5)
		if out := ask(t, o, tx, opTake, limit, "two", 5); !out.OK || tx.sweeps != 1 {
			t.Errorf("%s: %+v after %d sweeps", name, out, tx.sweeps)
		}
	}
}

// TestATableOfLimitedKeysIsLookedThroughNowAndThen asks for new keys of a full one.
func TestATableOfLimitedKeysIsLookedThroughNowAndThen(t *testing.T) {
	const limit = "sliding-log 20000/1h"
	tx := newTape()
	o := &owner{book: tx.book}
	tx.make(t, move{Op: opLimit, Name: "l", Limit: limit})
	a := tx.book.limits["l"]
	for i := range a.most {
		ask(t, o, tx, opTake, limit, fmt.Sprint("k", i), 1)
	}
	looks, last := 0, a.swept
	for i := range 300 { // three minutes
		tx.at = tx.at.Add(600 * time.Millisecond)
		if out := ask(t, o, tx, opTake, limit, fmt.Sprint("new", i), 20_000); out.OK != (i == 0) {
			t.Fatalf("request %d: %+v", i, out)
		}
		if a.swept != last {
			looks, last = looks+1, a.swept
		}
	}
	if looks < 2 || looks > 4 || tx.sweeps != 0 {
		t.Errorf("looked %d times in three minutes, and stored %d sweeps that dropped nothing", looks, tx.sweeps)
	}
	tx.at = tx.at.Add(time.Hour)
	if out := ask(t, o, tx, opLook, limit, "another", 20_000); !out.OK || tx.sweeps != 1 || len(a.keys) != 0 {
		t.Errorf("%+v, %d sweeps, %d keys", out, tx.sweeps, len(a.keys))
	}
}

// TestAReplayDropsWhatTheOwnerDropped has a key whose count time has restored, in a
// full table: whether it is dropped decides if it begins from the shared count. A
// limit too many makes the owner look for one that is unused meanwhile.
func TestAReplayDropsWhatTheOwnerDropped(t *testing.T) {
	const limit = "sliding-log 1000/1h"
	tx := newTape()
	o := &owner{book: tx.book}
	for i := range maxLimits - 1 {
		name := fmt.Sprint("other", i)
		tx.make(t, move{Op: opLimit, Name: name, Limit: "1/24h"})
		tx.make(t, move{Op: opTake, Name: name, Key: hashOf("k"), Cost: 1})
	}
	tx.make(t, move{Op: opLimit, Name: "l", Limit: limit})
	a, begin := tx.book.limits["l"], tx.at
	var early saved
	for i := range a.most - 1 {
		if i == (a.most+24)/8 {
			early = tx.save()
		}
		ask(t, o, tx, opTake, limit, fmt.Sprint("k", i), 1)
	}
	tx.at = begin.Add(time.Minute)
	ask(t, o, tx, opTake, limit, "ann", 1)
	tx.at = begin.Add(30 * time.Minute)
	if ask(t, o, tx, opTake, limit, "zoe", 500); a.keys[sharedKey] == nil {
		t.Fatal("zoe has a count of her own in a full table")
	}
	tx.at = begin.Add(60*time.Minute + 30*time.Second)
	for range 2 {
		if _, err := o.long(tx, request{Op: opTake, Name: "more", Limit: "1/24h", Cost: 1}); err == nil {
			t.Fatal("there is one limit too many")
		}
	}
	tx.at = begin.Add(62 * time.Minute)
	for i := range 40 {
		ask(t, o, tx, opTake, limit, fmt.Sprint("new", i), 1)
	}
	tx.at = begin.Add(63 * time.Minute)
	ask(t, o, tx, opTake, limit, "ann", 600)
	for name, s := range map[string]saved{"the early snapshot": early, "no snapshot": {}, "the last snapshot": tx.save()} {
		next, err := tx.replay(s, asItIs)
		if err != nil {
			t.Fatalf("from %s: %v", name, err)
		}
		if d := differs(tx.book, next); d != "" {
			t.Errorf("from %s: %s", name, d)
		}
	}
}

// TestMovesOfOwnersThatDroppedKeysWithoutAMove holds that streams of such owners
// can be restored: what they gave is never refused.
func TestMovesOfOwnersThatDroppedKeysWithoutAMove(t *testing.T) {
	const limit = "sliding-log 20000/1h"
	tx := newTape()
	tx.make(t, move{Op: opLimit, Name: "l", Limit: limit})
	a, begin := tx.book.limits["l"], tx.at
	take := func(after time.Duration, key string, cost int64) {
		tx.at = begin.Add(after)
		tx.make(t, move{Op: opTake, Name: "l", Key: a.place(key), Cost: cost})
	}
	drop := func(after time.Duration) { a.sweep(since(begin.Add(after))) }
	var early saved
	for i := range a.most - 1 {
		if take(0, fmt.Sprint("k", i), 1); i == a.most/8 {
			early = tx.save()
		}
	}
	take(time.Minute, "ann", 1)
	take(30*time.Minute, "zoe", 10_000)
	drop(60*time.Minute + 30*time.Second) // all but ann's and the shared one
	for i := range a.most / 8 {
		take(62*time.Minute, fmt.Sprint("new", i), 1)
	}
	take(63*time.Minute, "ann", 12_000)
	for name, s := range map[string]saved{"the early snapshot": early, "no snapshot": {}} {
		if _, err := tx.replay(s, asItIs); err != nil {
			t.Errorf("from %s: %v", name, err)
		}
	}

	for hour := range 5 { // a busy limit: far more keys than are kept, though few at once
		drop(time.Duration(2*hour+2) * time.Hour)
		for i := range a.most - 1 {
			take(time.Duration(2*hour+2)*time.Hour, fmt.Sprint(hour, "/", i), 1)
		}
	}
	most := 0
	next, err := tx.replay(early, func(b *book) { most = max(most, len(b.limits["l"].keys)) })
	if err != nil || most > 2*a.most+1 {
		t.Fatalf("%v, and %d keys where %d can be", err, most, a.most)
	}
	for h := range a.keys {
		if !slices.Equal(next.limits["l"].keys[h], a.keys[h]) {
			t.Fatalf("key %x has another count", h)
		}
	}
}

// TestAnyReplayIsWhatWas has owners answer at random while time passes and tables
// fill and empty. From any snapshot, and from none, the moves after it give the
// state that the owner has, also after the ownership moved.
func TestAnyReplayIsWhatWas(t *testing.T) {
	const most = 5
	pin := func(b *book) { // so few keys that tables are full all the time
		for _, a := range b.limits {
			a.most, a.sweepAt = most, min(a.sweepAt, most)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		tx := newTape()
		tx.pin = func() { pin(tx.book) }
		o := &owner{book: tx.book}
		snapshots := []saved{{}} // and the whole history
		check := func() (next *book) {
			for _, s := range snapshots {
				var err error
				if next, err = tx.replay(s, pin); err != nil {
					t.Fatalf("from a snapshot of %d moves of %d: %v", s.moves, len(tx.moves), err)
				}
				if d := differs(tx.book, next); d != "" {
					t.Fatalf("from a snapshot of %d moves of %d: %s", s.moves, len(tx.moves), d)
				}
			}
			return next
		}
		request := func() {
			r := request{
				Op:       rapid.SampledFrom([]string{opTake, opTake, opTake, opTake, opLook, opBack}).Draw(t, "op"),
				Name:     rapid.SampledFrom([]string{"a", "b"}).Draw(t, "limit"),
				Limit:    rapid.SampledFrom([]string{"sliding-log 4/1h", "fixed-window 4/1h", "gcra 4/1h", "sliding-counter 6/90m"}).Draw(t, "text"),
				Revision: rapid.Int64Range(0, 60).Draw(t, "revision") / 20,
				Key:      []byte(fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "key"))),
				Cost:     rapid.Int64Range(0, 4).Draw(t, "cost"),
			}
			if _, err := o.long(tx, r); err != nil || tx.err != nil {
				t.Fatal(err, tx.err)
			}
			if n := len(tx.book.limits[r.Name].keys); n > most+1 {
				t.Fatalf("%d keys", n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask":     func(*rapid.T) { request() },
			"ask two": func(*rapid.T) { request(); request() },
			"wait a little": func(t *rapid.T) {
				tx.at = tx.at.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "ms")) * time.Millisecond)
			},
			"wait long": func(t *rapid.T) {
				tx.at = tx.at.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
			},
			"snapshot": func(*rapid.T) { snapshots = append(snapshots, tx.save()) },
			"another owner": func(*rapid.T) {
				tx.book = check()
				o = &owner{book: tx.book}
			},
		})
		check()
	})
}

// TestMovesOfBefore reads moves as they were always written, and writes them so.
func TestMovesOfBefore(t *testing.T) {
	h := keyHash{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	tx := newTape()
	for _, m := range []struct {
		text string
		move move
	}{
		{`{"op":"limit","name":"l","limit":"fixed-window 3/1h"}`, move{Op: opLimit, Name: "l", Limit: "fixed-window 3/1h"}},
		{`{"op":"take","name":"l","key":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],"cost":2}`, move{Op: opTake, Name: "l", Key: h, Cost: 2}},
		{`{"op":"back","name":"l","key":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],"cost":1}`, move{Op: opBack, Name: "l", Key: h, Cost: 1}},
		{`{"op":"limit","name":"gone","limit":"1/1h","rev":7}`, move{Op: opLimit, Name: "gone", Limit: "1/1h", Revision: 7}},
		{`{"op":"drop","name":"gone"}`, move{Op: opDrop, Name: "gone"}},
	} {
		if err := tx.Move([]byte(m.text)); err != nil {
			t.Fatalf("%s: %v", m.text, err)
		}
		if data, err := jsonMove(m.move); err != nil || data != m.text {
			t.Errorf("wrote %s, want %s; %v", data, m.text, err)
		}
	}
	if got := tx.book.limits["l"].look(h, since(tx.at), 0); len(tx.book.limits) != 1 || got.Remaining != 2 {
		t.Errorf("%d limits, %+v", len(tx.book.limits), got)
	}
}
