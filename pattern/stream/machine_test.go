package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/internal/script"
)

// bench is a book over a machine whose moves are made at once, at a time that the
// test turns. It keeps the moves, and compares with what replays and snapshots
// make of them.
type bench struct {
	*book
	t     testing.TB
	now   int64
	term  uint64
	moves []journal.Move
	owned map[uint64]map[uint64]string // by generation and partition
}

const began = 1_000_000

func newBench(t testing.TB, keep int64) *bench {
	b := &bench{book: newBook(newMachine(), keep), t: t, now: began, owned: make(map[uint64]map[uint64]string)}
	if err := b.takeOver(b, b.now, 1); err != nil {
		t.Fatal(err)
	}
	b.term = 1
	return b
}

// Move implements mover.
func (b *bench) Move(data []byte) error {
	m := journal.Move{Number: uint64(len(b.moves) + 1), Time: time.UnixMilli(b.now), Data: slices.Clone(data)}
	before := *b.machine
	places := make(map[uint64]part)
	for n, p := range b.parts {
		places[n] = *p
	}
	if err := b.Apply(m); err != nil {
		if after := *b.machine; after.generation != before.generation || after.pending != before.pending {
			b.t.Fatalf("a refused move has changed something: %v", err)
		}
		return err
	}
	b.moves = append(b.moves, m)
	for id := range b.members {
		if data[0] == moveGeneration && !b.ready[id] {
			b.t.Fatalf("generation %d begins, and %s has not come back", b.generation, id)
		}
	}
	for n, p := range b.parts {
		if old, had := places[n]; had && p.at < old.at && data[0] != moveSeek && p.epoch == old.epoch {
			b.t.Fatalf("move %q takes partition %d back from %d to %d", data[0], n, old.at, p.at)
		}
		if p.owner == "" {
			continue
		}
		if b.members[p.owner] == nil {
			b.t.Fatalf("partition %d belongs to %s, who is no member", n, p.owner)
		}
		if b.owned[b.generation] == nil {
			b.owned[b.generation] = make(map[uint64]string)
		}
		if had := b.owned[b.generation][n]; had != "" && had != p.owner {
			b.t.Fatalf("in generation %d partition %d belongs to %s and to %s", b.generation, n, had, p.owner)
		}
		b.owned[b.generation][n] = p.owner
	}
	return nil
}

// same fails if the fold of the moves, or a snapshot, is another machine.
func (b *bench) same() {
	b.t.Helper()
	want := b.dump()
	again := newMachine()
	for _, m := range b.moves {
		if err := again.Apply(m); err != nil {
			b.t.Fatalf("move %d does not fold: %v", m.Number, err)
		}
	}
	if got := again.dump(); got != want {
		b.t.Fatalf("the fold is\n%s\nthe machine is\n%s", got, want)
	}
	other := newMachine()
	if err := other.Restore(b.Snapshot()); err != nil {
		b.t.Fatal(err)
	}
	if got := other.dump(); got != want {
		b.t.Fatalf("restored\n%s\nthe machine is\n%s", got, want)
	}
}

// dump writes the folded state.
func (m *machine) dump() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s generation %d pending %v emptied %d\n", m.protocol, m.generation, m.pending, m.emptied)
	for _, id := range m.ids() {
		who := m.members[id]
		fmt.Fprintf(&s, "member %s %q %v %d %d %d\n", id, who.client, who.topics, who.session, who.rebalance, who.joined)
	}
	for _, n := range m.numbers() {
		p := m.parts[n]
		fmt.Fprintf(&s, "part %d %s at %d epoch %d committed %d owner %q since %d\n", n, p.name(), p.at, p.epoch, p.committed, p.owner, p.since)
	}
	return s.String()
}

// takeOverAgain moves the ownership: all that is not in the moves is lost.
func (b *bench) takeOverAgain() {
	b.term++
	b.book = newBook(b.machine, b.keep)
	if err := b.takeOver(b, b.now, b.term); err != nil {
		b.t.Fatal(err)
	}
}

// TestScripts runs testdata/*.txt. Topics are one letter and a number of partitions:
// a3 is topic a with the streams 101, 102 and 103.
//
//	at TIME                      turn the clock, since the beginning, and do what is due
//	join ID TOPIC… [session=] [rebalance=] [again] [parts=a3,b1] [at=N]
//	sync|beat ID generation=     ask for events; heartbeat
//	leave ID · owner (the ownership moves) · clear
//	commit [ID] [generation=] 101=POSITION…
//	seek 101=POSITION…
//	topics a3,b1 · gone 101
//	who · places · due
func TestScripts(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func(script.Case) string {
		b := newBench(t, time.Hour.Milliseconds())
		return func(c script.Case) string {
			out := b.command(c)
			b.same()
			return out + "\n"
		}
	})
}

func (b *bench) command(c script.Case) string {
	first := ""
	if len(c.Words) > 0 {
		first = c.Words[0]
	}
	generation, _ := strconv.ParseUint(c.Args["generation"], 10, 64)
	switch c.Name {
	case "at":
		b.now = began + millis(first)
		retired, err := b.expire(b, b.now)
		if retired {
			return "retired"
		}
		return b.said(err)
	case "join":
		return b.joins(c)
	case "sync":
		return b.said(b.sync(b, b.now, first, generation))
	case "beat":
		if err := b.known(first, b.now); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("generation %d rebalance %v", b.generation, b.rebalancing(first))
	case "leave":
		return b.said(b.leave(b, b.now, first))
	case "owner":
		b.takeOverAgain()
		return b.said(nil)
	case "clear":
		return b.said(b.clearAll(b))
	case "commit":
		return b.said(b.commit(b, b.now, first, generation, places(c)))
	case "seek":
		var list []track
		for _, p := range places(c) {
			list = append(list, track{place: p, Topic: "a", Index: int(p.Number % 100)})
		}
		err := b.seek(b, list)
		if err == nil {
			err = b.settle(b, b.now)
		}
		return b.said(err)
	case "topics":
		return b.said(b.change(b, b.now, tracks(first, 0), nil))
	case "gone":
		n, _ := strconv.ParseUint(first, 10, 64)
		return b.said(b.change(b, b.now, nil, []uint64{n}))
	}
	return b.looks(c)
}

func (b *bench) joins(c script.Case) string {
	who := member{client: c.Args["client"], session: millis(orElse(c.Args["session"], "30s")), rebalance: millis(orElse(c.Args["rebalance"], "1m"))}
	again := false
	for _, w := range c.Words[1:] {
		if w == "again" {
			again = true
		} else {
			who.topics = append(who.topics, w)
		}
	}
	at, _ := strconv.ParseInt(c.Args["at"], 10, 64)
	return b.said(b.join(b, b.now, joining{ID: c.Words[0], Again: again, member: who}, tracks(c.Args["parts"], parley.Position(at))))
}

func (b *bench) looks(c script.Case) string {
	switch c.Name {
	case "who":
		var out []string
		for _, id := range b.ids() {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s", id, strings.Trim(fmt.Sprint(b.of(id)), "[]"))))
		}
		return orElse(strings.Join(out, "\n"), "nobody")
	case "places":
		var out []string
		for _, n := range b.numbers() {
			p := b.parts[n]
			out = append(out, fmt.Sprintf("%d at %d since %d %s", n, p.at, p.since, orElse(p.owner, "-")))
		}
		return orElse(strings.Join(out, "\n"), "none")
	case "due":
		if b.next == 0 {
			return "never"
		}
		return time.Duration((b.next - began) * int64(time.Millisecond)).String()
	}
	return "unknown command " + c.Name
}

func (b *bench) said(err error) string {
	switch {
	case err != nil:
		return err.Error()
	case len(b.members) == 0:
		return fmt.Sprintf("empty %d", b.generation)
	case b.pending:
		var waited []string
		for _, id := range b.ids() {
			if !b.ready[id] {
				waited = append(waited, id)
			}
		}
		return fmt.Sprintf("joining %d, waits for %s", b.generation, strings.Join(waited, " "))
	}
	return fmt.Sprintf("stable %d", b.generation)
}

// tracks reads a3,b1.
func tracks(text string, at parley.Position) (list []track) {
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		n, _ := strconv.Atoi(word[1:])
		for i := range n {
			list = append(list, track{Topic: word[:1], Index: i, place: place{Number: uint64(word[0]-'a'+1)*100 + uint64(i) + 1, At: at}})
		}
	}
	return list
}

func places(c script.Case) (list []place) {
	for name, value := range c.Args {
		n, err := strconv.ParseUint(name, 10, 64)
		at, _ := strconv.ParseInt(value, 10, 64)
		if err == nil {
			list = append(list, place{Number: n, At: parley.Position(at)})
		}
	}
	slices.SortFunc(list, byNumber)
	return list
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func millis(text string) int64 {
	d, _ := time.ParseDuration(text)
	return d.Milliseconds()
}
