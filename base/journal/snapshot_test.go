package journal_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// fataler is a test of package testing or rapid.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// drop takes the records of a kind out of [from, to): what damage does. It
// returns how many there were.
func drop(t fataler, log parley.Log, kind byte, from, to parley.Position) (n int) {
	t.Helper()
	err := log.(parley.Rewriter).Rewrite(context.Background(), stream, 0, end(t, log), func(b parley.Batch) (parley.Batch, error) {
		return b.Keep(func(rec parley.Record) bool {
			if rec.Key[0] == kind && rec.Position >= from && rec.Position < to {
				n++
				return false
			}
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// positions gives the positions of the records of a kind.
func positions(t fataler, log parley.Log, kind byte) (list []parley.Position) {
	t.Helper()
	at := parley.Place{Stream: stream}
	for {
		run, err := log.Read(context.Background(), at, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if run.Empty() {
			return list
		}
		for rec, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Key[0] == kind {
				list = append(list, rec.Position)
			}
		}
		at.At = run.Next()
		run.Release()
	}
}

func end(t fataler, log parley.Log) parley.Position {
	t.Helper()
	p, err := log.End(context.Background(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// history makes a machine with so many moves, one an Append, and snapshots.
func history(t testing.TB, log parley.Log, moves, every int) {
	t.Helper()
	l := mustStart(t, log, journal.Options{SnapshotMoves: every})
	for i := range moves {
		if err := l.add(context.Background(), fmt.Sprintf("h%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotsAndTrim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		history(t, log, 300, 20)
		begins := positions(t, log, 'b')
		if len(begins) != 2 {
			t.Fatalf("%d snapshots are left, want the last two", len(begins))
		}
		if last := log.trim[len(log.trim)-1]; last != begins[0] {
			t.Fatalf("trimmed up to %d; the last snapshot but one begins at %d", last, begins[0])
		}
		l := mustStart(t, log, journal.Options{})
		if got := l.sum(t); got != 300 || len(l.m.ids) != 300 {
			t.Fatalf("sum %d of %d ids, want 300", got, len(l.m.ids))
		}
		if l.m.restored == 0 {
			t.Fatal("the machine was not restored from a snapshot")
		}
	})
}

// TestNoTrimForLostSnapshot: an owner that is deposed when it appends the end of
// a snapshot must not trim for it, since the snapshot does not count.
func TestNoTrimForLostSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		history(t, log, 65, 20)
		trims := len(log.trim)
		old := mustStart(t, log, journal.Options{SnapshotMoves: 20})
		hold := make(chan struct{})
		log.set(func(_ context.Context, w []parley.Write) (before, after error) {
			for rec := range w[0].Batch.Records() {
				if rec.Key[0] == 'e' {
					log.set(nil)
					<-hold
				}
			}
			return nil, nil
		})
		lost := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				if err := old.add(context.Background(), fmt.Sprint("o", i)); err != nil {
					lost <- err
					return
				}
			}
		}()
		synctest.Wait()
		next := mustStart(t, log, journal.Options{})
		close(hold)
		code(t, <-lost, parley.Unavailable)
		<-old.done
		code(t, old.err, parley.Conflict)
		if len(log.trim) != trims {
			t.Fatalf("a deposed owner trimmed up to %v", log.trim[trims:])
		}
		if next.sum(t) < 65 {
			t.Fatal("moves are lost")
		}
	})
}

func TestDamagedSnapshots(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   byte
		newest bool
		both   bool
	}{
		{"a part of the newest is missing", 'p', true, false},
		{"the end of the newest is missing", 'e', true, false},
		{"the beginning of the newest is missing", 'b', true, false},
		{"parts of both are missing", 'p', true, true},
		{"a part of the older is missing", 'p', false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newLog()
				history(t, log, 300, 20)
				begins := positions(t, log, 'b')
				from, to := begins[1], end(t, log)
				if c.both {
					from = begins[0]
				} else if !c.newest {
					from, to = begins[0], begins[1]
				}
				if drop(t, log, c.kind, from, to) == 0 {
					t.Fatal("nothing was damaged")
				}
				before := end(t, log)
				l, err := start(log, journal.Options{})
				if err == nil {
					defer l.end()
				}
				if c.both {
					code(t, err, parley.Damaged)
					if end(t, log) != before {
						t.Error("a refused stream was appended to")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := l.sum(t); got != 300 {
					t.Fatalf("sum %d, want 300", got)
				}
				if err := l.end(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestWholeHistoryNeedsNoSnapshot: with every snapshot bad, all moves since the
// first still make the state; with one of them missing, nothing does.
func TestWholeHistoryNeedsNoSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		history(t, log, 25, 20)
		drop(t, log, 'p', 0, end(t, log))
		l := mustStart(t, log, journal.Options{})
		if got := l.sum(t); got != 25 {
			t.Fatalf("sum %d, want 25", got)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		moves := positions(t, log, 'm')
		drop(t, log, 'm', moves[7], moves[7]+1)
		_, err := start(log, journal.Options{})
		code(t, err, parley.Damaged)
	})
}

// TestMissingMove: a move missing after the newest snapshot is damage, one
// before it is not.
func TestMissingMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		history(t, log, 300, 20)
		begins := positions(t, log, 'b')
		drop(t, log, 'm', begins[0]+1, begins[1])
		l := mustStart(t, log, journal.Options{})
		if got := l.sum(t); got != 300 {
			t.Fatalf("sum %d, want 300", got)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		moves := positions(t, log, 'm')
		last := moves[len(moves)-1]
		drop(t, log, 'm', last, last+1)
		_, err := start(log, journal.Options{})
		code(t, err, parley.Damaged)
	})
}

// TestForeignStream: a stream of something else, or of a newer format, is
// refused and left alone.
func TestForeignStream(t *testing.T) {
	for name, c := range map[string]struct {
		key, value string
		code       parley.Code
	}{
		"an event":        {"", "hello", parley.Damaged},
		"a newer kind":    {"z\x00", "", parley.Unsupported},
		"a newer format":  {"t\x00", "\x02\x01", parley.Unsupported},
		"no number":       {"m", "add x 1", parley.Damaged},
		"a missing start": {"m\x07", "add x 1", parley.Damaged},
		"a bad move":      {"m\x01", "nonsense", parley.Damaged},
	} {
		log := newLog()
		var b parley.Builder
		if err := b.AddRecord(time.Now(), []byte(c.key), []byte(c.value)); err != nil {
			t.Fatal(err)
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), parley.Write{Stream: stream, Batch: batch}); err != nil {
			t.Fatal(err)
		}
		_, err = start(log, journal.Options{})
		if err == nil || parley.CodeOf(err) != c.code {
			t.Errorf("%s: error %v, want code %v", name, err, c.code)
		}
	}
}

// bulky is a machine with a state of several parts, that counts how many moves
// came while one of its snapshots was being drawn.
type bulky struct {
	moves    int
	parts    int
	size     int
	during   int
	drawing  bool
	restored []int
}

func (m *bulky) Apply(journal.Move) error {
	m.moves++
	if m.drawing {
		m.during++
	}
	return nil
}

func (m *bulky) Snapshot() iter.Seq[[]byte] {
	moves := m.moves
	return func(yield func([]byte) bool) {
		m.drawing = true
		defer func() { m.drawing = false }()
		for i := range m.parts {
			if !yield([]byte(fmt.Sprintf("%d %d %s", i, moves, strings.Repeat("x", m.size)))) {
				return
			}
		}
	}
}

func (m *bulky) Restore(parts iter.Seq[[]byte]) error {
	m.moves, m.restored = 0, nil
	for part := range parts {
		var i int
		if _, err := fmt.Sscan(string(part), &i, &m.moves); err != nil {
			return err
		}
		m.restored = append(m.restored, i)
	}
	if len(m.restored) > 0 && len(m.restored) != m.parts {
		return errors.New("parts are missing")
	}
	return nil
}

// TestSnapshotIsSpread: a large snapshot goes into many Appends with moves
// between, and restoring applies those moves.
func TestSnapshotIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		run := func(m *bulky, moves int) {
			j, err := journal.Open(t.Context(), log, stream, m, journal.Options{SnapshotMoves: 10})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- j.Run(ctx) }()
			for range moves {
				if err := j.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move([]byte("x")) }); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		m := &bulky{parts: 20, size: journal.MaxPart / 2}
		run(m, 100)
		if m.during == 0 {
			t.Fatal("no move came while the snapshot was written: the test proves nothing")
		}
		for i, b := range records(t, log) {
			if n := len(slices.DeleteFunc(b, func(k string) bool { return k[0] != 'p' })); n > 2 {
				t.Fatalf("batch %d has %d parts of half of MaxPart", i, n)
			}
		}
		again := &bulky{parts: 20, size: 1}
		run(again, 0)
		if again.moves != 100 || len(again.restored) != 20 || !slices.IsSorted(again.restored) {
			t.Fatalf("%d moves from parts %v", again.moves, again.restored)
		}
	})
}

// TestOversizedPart: a machine that breaks the limit loses its snapshots, not its
// moves.
func TestOversizedPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		for want := range 3 {
			m := &bulky{parts: 1, size: journal.MaxPart}
			j, err := journal.Open(t.Context(), log, stream, m, journal.Options{SnapshotMoves: 2})
			if err != nil {
				t.Fatal(err)
			}
			if m.moves != 5*want {
				t.Fatalf("%d moves, want %d", m.moves, 5*want)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- j.Run(ctx) }()
			for range 5 {
				if err := j.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move(nil) }); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}
