package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

func TestRestartFoldsTheSameMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, journal.Options{})
		for i := range 10 {
			if err := l.add(t.Context(), fmt.Sprint("a", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		code(t, l.add(t.Context(), "late"), parley.Unavailable)

		again := mustStart(t, log, journal.Options{})
		if got := again.sum(t); got != 10 {
			t.Fatalf("sum %d after the restart, want 10", got)
		}
		if again.Term() != l.Term()+1 {
			t.Fatalf("terms %d and %d: each takeover has the next", l.Term(), again.Term())
		}
		code(t, again.Run(t.Context()), parley.Conflict) // a journal runs once
		if err := again.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestConcurrentCallsGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{})
		hold := make(chan struct{})
		log.set(func(context.Context, []parley.Write) (error, error) { <-hold; return nil, nil })
		before := log.appends()
		answers := make(chan error)
		for i := range 100 {
			go func() { answers <- l.add(context.Background(), fmt.Sprint("a", i)) }()
		}
		synctest.Wait()
		close(hold)
		for range 100 {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
		if n := log.appends() - before; n > 2 {
			t.Errorf("100 calls at once took %d Appends, want at most 2", n)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNothingLeavesTooEarly: while an Append with a firm move is under way, no
// answer of any kind is given; a lazy move delays nobody.
func TestNothingLeavesTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{})
		hold := make(chan struct{})
		log.set(func(context.Context, []parley.Write) (error, error) { <-hold; return nil, nil })

		lazy := func(tx *journal.Tx) error { return tx.Lazy([]byte("add lazy 1")) }
		if err := l.Do(t.Context(), lazy); err != nil {
			t.Fatal(err)
		}
		if err := l.Do(t.Context(), lazy); err != nil {
			t.Fatalf("a lazy move after one whose Append is under way: %v", err)
		}
		kinds := map[string]func(*journal.Tx) error{
			"firm":  func(tx *journal.Tx) error { return tx.Move([]byte("add firm 1")) },
			"lazy":  lazy,
			"look":  func(*journal.Tx) error { return nil },
			"error": func(*journal.Tx) error { return errTaken },
		}
		answers := make(chan string, len(kinds)+1)
		ask := func(name string, fn func(*journal.Tx) error) {
			go func() { answers <- fmt.Sprint(name, " ", l.Do(context.Background(), fn)) }()
			synctest.Wait()
		}
		ask("first", kinds["firm"])
		for name, fn := range kinds {
			ask(name, fn)
		}
		if len(answers) != 0 {
			t.Fatalf("%s was answered before the firm move was durable", <-answers)
		}
		close(hold)
		var got []string
		for range len(kinds) + 1 {
			got = append(got, <-answers)
		}
		if all := strings.Join(got, ","); !strings.Contains(all, "error taken") || strings.Count(all, "<nil>") != 4 {
			t.Fatalf("answers %s", all)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRefusedMoveChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, journal.Options{})
		before := len(records(t, log))
		err := l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move([]byte("nonsense")) })
		if err == nil {
			t.Fatal("the machine's refusal was lost")
		}
		err = l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move(make([]byte, journal.MaxMove+1)) })
		code(t, err, parley.TooLarge)
		if n := len(records(t, log)); n != before {
			t.Fatalf("%d records were appended for refused moves", n-before)
		}
		// An error after a move: the move stands, and the error waits for it.
		err = l.Do(t.Context(), func(tx *journal.Tx) error {
			return errors.Join(tx.Move([]byte("add x 1")), errTaken)
		})
		if !errors.Is(err, errTaken) || l.sum(t) != 1 {
			t.Fatalf("error %v, sum %d", err, l.sum(t))
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneDoIsOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, journal.Options{})
		move := []byte("add bulk 1" + strings.Repeat(" ", 300))
		err := l.Do(t.Context(), func(tx *journal.Tx) error {
			for {
				if err := tx.Move(move); err != nil {
					return err
				}
			}
		})
		code(t, err, parley.TooLarge)
		sum := l.sum(t)
		if sum != journal.MaxDoMoves {
			t.Fatalf("%d moves were taken, want %d", sum, journal.MaxDoMoves)
		}
		if all := records(t, log); len(all) != 2 || len(all[1]) != journal.MaxDoMoves {
			t.Fatalf("%d batches: the moves of one Do are not in one", len(all))
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWritesRideAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, journal.Options{})
		out := parley.Stream{Name: "out"}
		batch, err := parley.NewBatch(time.Now(), parley.Event{ID: "1", Source: "/test", Type: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var place *parley.Appended
		for _, moves := range []bool{true, false} {
			err = l.Do(t.Context(), func(tx *journal.Tx) (err error) {
				if moves {
					if err := tx.Move([]byte("add x 1")); err != nil {
						return err
					}
				}
				place, err = tx.Also(parley.Write{Stream: out, Batch: batch})
				return err
			})
			if err != nil || place.Base == 0 {
				t.Fatalf("error %v, place %+v", err, place)
			}
		}
		end, err := log.End(t.Context(), out)
		if err != nil || end != place.Base+1 {
			t.Fatalf("the output ends at %d (%v), its last batch is at %d", end, err, place.Base)
		}
		late := errors.New("late")
		for _, moves := range []bool{true, false} { // who fails has let nothing ride along
			err := l.Do(t.Context(), func(tx *journal.Tx) error {
				for range 3 {
					if _, err := tx.Also(parley.Write{Stream: out, Batch: batch}); err != nil {
						return err
					}
				}
				if moves {
					if err := tx.Move([]byte("add x 1")); err != nil {
						return err
					}
				}
				return late
			})
			if now, _ := log.End(t.Context(), out); !errors.Is(err, late) || now != end {
				t.Errorf("moves %v: %v, and the output ends at %d, not at %d", moves, err, now, end)
			}
		}
		for name, w := range map[string]parley.Write{
			"conditional": {Stream: out, Expect: 3, Batch: batch},
			"own stream":  {Stream: stream, Batch: batch},
			"empty":       {Stream: out},
			"once":        {Stream: out, Batch: batch, Once: parley.Key{1}},
			"no stream":   {Batch: batch},
		} {
			err := l.Do(t.Context(), func(tx *journal.Tx) error { _, err := tx.Also(w); return err })
			if err == nil {
				t.Errorf("a write that is %s was taken", name)
			}
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestContextOfDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		m := newCounter()
		j, err := journal.Open(t.Context(), log, stream, m, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = j.Do(brief, func(*journal.Tx) error { t.Error("ran before Run"); return nil })
		code(t, err, parley.Timeout)

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- j.Run(ctx) }()
		hold := make(chan struct{})
		log.set(func(context.Context, []parley.Write) (error, error) { <-hold; return nil, nil })
		l := &life{Journal: j, m: m}
		brief, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		code(t, l.add(brief, "x"), parley.Unknown)
		brief, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		code(t, l.Do(brief, func(*journal.Tx) error { return nil }), parley.Timeout)
		close(hold)
		if l.sum(t) != 1 {
			t.Error("the move whose caller went away was lost")
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, journal.Options{})
		lease := func(l *life) error {
			return l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move([]byte("lease door 10s")) })
		}
		if err := lease(l); err != nil {
			t.Fatal(err)
		}
		if err := lease(l); !errors.Is(err, errTaken) {
			t.Fatalf("error %v, want taken", err)
		}
		pass(9 * time.Second)
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		l = mustStart(t, log, journal.Options{})
		if err := lease(l); !errors.Is(err, errTaken) {
			t.Fatalf("after 9 s and a restart: error %v, want taken", err)
		}
		pass(time.Second)
		synctest.Wait()
		if err := lease(l); err != nil {
			t.Fatalf("after 10 s: %v", err)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]journal.Options{
		"negative": {SnapshotMoves: -1},
		"lapse":    {Fence: journal.Fence{Lapse: time.Second}},
		"beat":     {Fence: journal.Fence{Lapse: time.Second, Beat: time.Second}},
		"over":     {Fence: journal.Fence{Over: -2}},
		"owner":    {Fence: journal.Fence{Owner: strings.Repeat("x", 256)}},
	} {
		if _, err := journal.Open(t.Context(), newLog(), stream, newCounter(), o); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
}
