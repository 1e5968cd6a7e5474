package stream

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/parleyhq/parley/base/journal"
)

// started is a group with two members, in its third generation.
func started(t testing.TB) *bench {
	b := newBench(t, 0)
	for i, id := range []string{"m1", "m2"} {
		who := member{client: "c", topics: []string{"a", "b.>"}, session: 10_000, rebalance: 10_000}
		if err := b.join(b, b.now, joining{ID: id, member: who}, tracks("a3", 5)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := b.sync(b, b.now, "m1", 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.commit(b, b.now, "m1", 2, []place{{101, 7, 1}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzMove: whatever the stream holds, a move is taken or refused, and a state that
// takes it is one that a snapshot keeps.
func FuzzMove(f *testing.F) {
	b := started(f)
	for _, m := range b.moves {
		f.Add(m.Data)
	}
	f.Add(encodeLeave([]string{"m1", "m2"}))
	f.Add(encodeLeave([]string{"m1", "m1"}))
	f.Add(encodeForget([]uint64{101, 101, 5}))
	f.Add(encodeSeek(true, []place{{102, 0, 9}}))
	f.Add(encodeGeneration([][]uint64{{101, 102}, {102}}))
	f.Add([]byte{moveClear})
	f.Add([]byte{'?'})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := started(t).machine
		before := m.dump()
		if err := m.Apply(journal.Move{Number: 9, Time: time.UnixMilli(began), Data: data}); err != nil {
			if m.dump() != before {
				t.Fatalf("%q is refused (%v) and has changed something", data, err)
			}
			return
		}
		again := newMachine()
		if err := again.Restore(m.Snapshot()); err != nil || again.dump() != m.dump() {
			t.Fatalf("after %q the snapshot is another: %v\n%s\n%s", data, err, m.dump(), again.dump())
		}
	})
}

// FuzzSnapshot: whatever a snapshot holds, it is restored or refused.
func FuzzSnapshot(f *testing.F) {
	for part := range started(f).Snapshot() {
		f.Add(part)
	}
	for part := range newMachine().Snapshot() {
		f.Add(part)
	}
	f.Add([]byte("m\x01x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine()
		if m.Restore(slices.Values([][]byte{data})) != nil {
			return
		}
		again := newMachine()
		if err := again.Restore(m.Snapshot()); err != nil || again.dump() != m.dump() {
			t.Fatalf("what was restored is not kept: %v", err)
		}
	})
}

// FuzzRequest: whatever another node asks, the book takes or refuses it, and its
// moves fold to what it is.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		`{"op":"join","member":"m3","topics":["a"],"session":9000,"rebalance":9000,"tracks":[{"n":101,"a":1,"t":"a","i":0},{"n":104,"a":0,"t":"a","i":3}]}`,
		`{"op":"join","member":"","topics":[],"tracks":[{"n":0,"a":-1,"t":"\ufffd","i":-5}]}`,
		`{"op":"sync","member":"m1","generation":2}`,
		`{"op":"commit","member":"m1","generation":2,"places":[{"n":101,"a":9},{"n":101,"a":8},{"n":7,"a":-9}]}`,
		`{"op":"seek","tracks":[{"n":101,"a":-3},{"n":900,"t":"c","a":1,"e":4294967295}]}`,
		`{"op":"leave","member":"m2"}`, `{"op":"clear","force":true}`, `{"op":"describe"}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r request
		if json.Unmarshal(data, &r) != nil {
			return
		}
		b := started(t)
		switch r.Op { // errors are answers; what matters is what they leave behind
		case "join":
			who := member{client: clip(r.Client, MaxClient), topics: r.Topics, session: r.Session, rebalance: r.Rebalance}
			_ = b.join(b, b.now, joining{ID: r.Member, Again: r.Again, member: who}, r.Tracks)
		case "sync":
			_ = b.sync(b, b.now, r.Member, r.Generation)
		case "commit":
			_ = b.commit(b, b.now, r.Member, r.Generation, r.Places)
		case "seek":
			_ = b.seek(b, r.Tracks)
		case "leave":
			_ = b.leave(b, b.now, r.Member)
		case "clear":
			_ = b.clearAll(b)
		}
		b.same()
	})
}

// FuzzParseFrom: a text is a place or an error that names the field.
func FuzzParseFrom(f *testing.F) {
	for _, text := range []string{"", "earliest", "latest", "@2026-01-31T12:00:00Z", "@", "x,y", "@2026-01-31T12:00:00.5+02:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if from, err := ParseFrom("from", text); err == nil && from.kind == fromTime && (text == "" || text[0] != '@') {
			t.Fatalf("%q is a time", text)
		}
	})
}
