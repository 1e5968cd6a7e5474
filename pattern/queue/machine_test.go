package queue

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/internal/script"
)

// bench is a book over a machine whose moves are made at once, at a time that the
// test turns. It keeps the moves, and compares with what replays and snapshots
// make of them.
type bench struct {
	*book
	t      testing.TB
	now    int64
	moves  []journal.Move
	tokens map[int64]string
}

func newBench(t testing.TB) *bench {
	return &bench{book: newBook(newMachine(), "q", 1, [secretSize]byte{1}), t: t, now: 1_000_000, tokens: make(map[int64]string)}
}

// Move implements mover.
func (b *bench) Move(data []byte) error {
	m := journal.Move{Number: uint64(len(b.moves) + 1), Time: timeOf(b.now), Data: data}
	err := b.Apply(m)
	if err == nil {
		b.moves = append(b.moves, m)
	}
	return err
}

// Lazy implements mover.
func (b *bench) Lazy(data []byte) error { return b.Move(data) }

// arrive takes in records that lie at the head of the jobs stream.
func (b *bench) arrive(list ...intake) error {
	last := list[len(list)-1].run.last()
	return b.Move(encodeIntake(last+1, list))
}

func moveAt(now int64, data []byte) journal.Move {
	return journal.Move{Number: 1, Time: timeOf(now), Data: data}
}

// same fails if the fold of the moves, or a snapshot, is another machine.
func (b *bench) same() {
	b.t.Helper()
	b.promote(b.now)
	want := b.dump()
	again := newMachine()
	for _, m := range b.moves {
		if err := again.Apply(m); err != nil {
			b.t.Fatalf("move %d does not fold: %v", m.Number, err)
		}
	}
	again.promote(b.now)
	if got := again.dump(); got != want {
		b.t.Fatalf("the fold is\n%s\nthe machine is\n%s", got, want)
	}
	other := newMachine()
	if err := other.Restore(b.Snapshot()); err != nil {
		b.t.Fatal(err)
	}
	other.promote(b.now)
	if got := other.dump(); got != want {
		b.t.Fatalf("restored\n%s\nthe machine is\n%s", got, want)
	}
	for again.candidate() != 0 { // what they would lease is the same, too
		a, o := again.candidate(), other.candidate()
		if a != o {
			b.t.Fatalf("the fold leases %d next, the restored machine %d", a, o)
		}
		again.attempt(a, "", b.now)
		other.attempt(o, "", b.now)
	}
	if n := other.candidate(); n != 0 {
		b.t.Fatalf("the restored machine leases %d, the fold nothing", n)
	}
}

// dump writes the folded state.
func (m *machine) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "next %d floor %d records %d enqueued %d done %d paused %v untold %d counts %v\n", m.next, m.floor, m.records, m.enqueued, m.done, m.paused, m.untold, m.counts)
	for p := MaxPriority; p >= 0; p-- {
		for _, own := range []bool{false, true} {
			if f := &m.fresh[classOf(uint8(p), own)]; f.n > 0 {
				fmt.Fprintf(&b, "fresh %d terms %v:%s\n", p, own, f.text())
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		e := m.entries[id]
		fmt.Fprintf(&b, "job %d %s prio %d due %d attempts %d place %d unread %v", id, e.phase.state(), e.prio, e.due, e.attempts, e.place, e.unread)
		if e.group != nil {
			fmt.Fprintf(&b, " key %s", e.group.key)
			if e.phase != phaseDead {
				fmt.Fprintf(&b, " %v out %d", e.group.ids, e.group.out)
			}
		}
		if r := e.more; r != nil {
			fmt.Fprintf(&b, " unique %q reason %q died %d deaths %d %v", r.unique, r.reason, r.died, r.deaths, r.history)
			if r.terms != nil {
				fmt.Fprintf(&b, " terms %s", r.terms.text())
			}
		}
		b.WriteByte('\n')
	}
	for _, k := range slices.Sorted(maps.Keys(m.unique)) {
		fmt.Fprintf(&b, "unique %s %d\n", k, m.unique[k])
	}
	for _, name := range slices.Sorted(maps.Keys(m.schedules)) {
		s := m.schedules[name]
		text, _ := s.text()
		fmt.Fprintf(&b, "schedule %s updated %d ran %d done %d\n", text, s.updated, s.ran, s.done)
	}
	fmt.Fprintf(&b, "fed %v\n", m.fed)
	for _, id := range m.ends.order {
		fmt.Fprintf(&b, "end %d %v\n", id, m.ends.of[id])
	}
	fmt.Fprintf(&b, "groups %v dups %v settings %v\n", slices.Sorted(maps.Keys(m.groups)), m.dups.of, m.settings)
	return b.String()
}

// text lists the jobs of runs, which may be cut in different ways.
func (s *ready) text() (out string) {
	n := 0
	s.after(0, func(id int64) bool {
		out += " " + strconv.FormatInt(id, 10)
		n++
		return n < 1000
	})
	if int64(n) != s.n && s.n < 1000 {
		out += fmt.Sprintf(" but n is %d", s.n)
	}
	return out
}

// TestScripts runs testdata/*.txt:
//
//	at TIME                      turn the clock, since the beginning
//	set JSON                     settings
//	add [n=] [step=] [prio=] [key=] [unique=] [delay=]
//	lease [n=] [for=] [worker=]
//	ack|dead|nack|extend ID [cause=] [delay=] [for=]
//	expire                       end leases that are over
//	cancel|reschedule|copy ID… [delay=]
//	redrive [reason=] [worker=] [key=]
//	purge STATE… · pause · resume · owner (the queue moves)
//	jobs STATE · job ID · stats · due
func TestScripts(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func(script.Case) string {
		b := newBench(t)
		return func(c script.Case) string {
			out := b.command(c)
			b.same()
			return out + "\n"
		}
	})
}

func (b *bench) command(c script.Case) string {
	switch c.Name {
	case "at":
		b.now = 1_000_000 + millis(c.Words[0])
		return "ok"
	case "set":
		s := Settings{}
		if err := s.UnmarshalStrict([]byte(c.Rest)); err != nil {
			return err.Error()
		}
		s, err := s.Defaults()
		if err != nil {
			return err.Error()
		}
		move, err := encodeSettings(s)
		if err != nil {
			return err.Error()
		}
		return said(b.Move(move))
	case "add":
		return b.add(c)
	case "lease":
		list, err := b.grant(b, b.now, int(number(c.Args["n"], 1)), millis(c.Args["for"]), c.Args["worker"])
		var out []string
		for _, g := range list {
			b.tokens[g.ID] = g.Token
			out = append(out, fmt.Sprintf("%d attempt %d until %s", g.ID, g.Attempt, b.since(g.Until)))
		}
		if err != nil {
			return err.Error()
		}
		return orElse(strings.Join(out, "\n"), "nothing")
	case "ack", "dead", "nack", "extend":
		s := settlement{Lease: b.tokens[number(c.Words[0], 0)], Action: Action(c.Name), Cause: c.Args["cause"], Extend: millis(c.Args["for"])}
		if text, given := c.Args["delay"]; given {
			delay := millis(text)
			s.Delay = &delay
		}
		return said(b.settle(b, b.now, s, nil))
	case "expire":
		return said(b.expire(b, b.now, 100))
	}
	return b.manage(c)
}

func (b *bench) add(c script.Case) string {
	n, step := number(c.Args["n"], 1), number(c.Args["step"], 1)
	it := intake{prio: uint8(number(c.Args["prio"], 0)), run: run{max(b.next, 1), step, n}}
	if c.Args["key"] != "" || c.Args["unique"] != "" || c.Args["delay"] != "" {
		it.kind, it.run = itemJob, run{max(b.next, 1), 1, 1}
		it.key, it.unique = c.Args["key"], c.Args["unique"]
		if d := millis(c.Args["delay"]); d > 0 {
			it.due = b.now + d
		}
	}
	if err := b.arrive(it); err != nil {
		return err.Error()
	}
	if of := b.dups.of[it.run.first]; of != 0 {
		return fmt.Sprintf("%d is a duplicate of %d", it.run.first, of)
	}
	if n > 1 {
		return fmt.Sprintf("%d to %d", it.run.first, it.run.last())
	}
	return fmt.Sprint(it.run.first)
}

func (b *bench) manage(c script.Case) string {
	var ids []int64
	for _, w := range c.Words {
		if n, err := strconv.ParseInt(w, 10, 64); err == nil {
			ids = append(ids, n)
		}
	}
	switch c.Name {
	case "cancel":
		err := b.Move(encodeIDs(moveCancel, ids))
		if err == nil {
			b.forget(ids)
		}
		return said(err)
	case "reschedule":
		return said(b.Move(encodeReschedule(ids[0], b.now+millis(c.Args["delay"]))))
	case "copy":
		return said(b.arrive(intake{kind: itemCopy, run: run{b.next, 1, 1}, id: ids[0]}))
	case "redrive":
		ids := b.deadJobs(&Filter{Reason: c.Args["reason"], Worker: c.Args["worker"], Key: c.Args["key"]}, 1000)
		if len(ids) == 0 {
			return "none"
		}
		if err := b.Move(encodeIDs(moveRedrive, ids)); err != nil {
			return err.Error()
		}
		return strings.Trim(fmt.Sprint(ids), "[]")
	case "purge":
		var phases []phase
		for _, w := range c.Words {
			for p := range stateCount {
				if string(p.state()) == w {
					phases = append(phases, p)
				}
			}
		}
		return said(b.Move(encodePurge(phases...)))
	case "pause", "resume":
		return said(b.Move(encodePause(c.Name == "pause")))
	case "owner":
		next := newBook(b.machine, "q", b.term+1, [secretSize]byte{byte(b.term + 1)})
		b.book = next
		return said(b.Move([]byte{moveRecall}))
	}
	return b.ask(c)
}

func (b *bench) ask(c script.Case) string {
	switch c.Name {
	case "jobs":
		return orElse(strings.Trim(fmt.Sprint(b.list(State(c.Words[0]), 0, 100)), "[]"), "none")
	case "job":
		id := number(c.Words[0], 0)
		s, there := b.look(id)
		if !there {
			return noJob(id).Error()
		}
		out := fmt.Sprintf("%s attempts %d", s.State, s.Attempts)
		if !s.Due.IsZero() {
			out += " due " + b.since(s.Due.UnixMilli())
		}
		if s.Reason != "" {
			out += fmt.Sprintf(" reason %q", s.Reason)
		}
		for _, a := range s.History {
			out += fmt.Sprintf("\n%d %s began %s", a.Number, orElse(a.Worker, "-"), b.since(a.Began.UnixMilli()))
			if !a.Ended.IsZero() {
				out += fmt.Sprintf(" ended %s %q", b.since(a.Ended.UnixMilli()), a.Cause)
			}
		}
		return out
	case "stats":
		return fmt.Sprintf("ready %d delayed %d leased %d dead %d done %d", b.freshCount()+b.counts[phaseReady], b.counts[phaseDelayed], b.counts[phaseLeased], b.counts[phaseDead], b.done)
	case "due":
		if d := b.due(true); d != 0 {
			return b.since(d)
		}
		return "never"
	}
	return "unknown command " + c.Name
}

func (b *bench) since(at int64) string {
	return time.Duration((at - 1_000_000) * int64(time.Millisecond)).String()
}

func said(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func number(text string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return otherwise
}

func millis(text string) int64 {
	d, _ := time.ParseDuration(text)
	return d.Milliseconds()
}
