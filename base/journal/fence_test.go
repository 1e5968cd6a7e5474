package journal_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

func fence(owner string, over parley.Position) journal.Options {
	return journal.Options{Fence: journal.Fence{Owner: owner, Over: over, Beat: time.Second, Lapse: 3 * time.Second}}
}

var (
	errLost = &parley.Error{Code: parley.Unknown, Detail: "answer lost"}
	errAway = &parley.Error{Code: parley.Unavailable, Detail: "away"}
)

func TestDeposedOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		old := mustStart(t, log, journal.Options{})
		if err := old.add(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		next := mustStart(t, log, journal.Options{})
		code(t, old.add(t.Context(), "b"), parley.Unavailable)
		<-old.done
		code(t, old.err, parley.Conflict)
		if got := next.sum(t); got != 1 {
			t.Fatalf("sum %d, want 1", got)
		}
	})
}

// TestLostAnswers: an Append whose answer is lost, with or without having
// happened, is settled; its caller hears the truth.
func TestLostAnswers(t *testing.T) {
	lost := func(happens bool, times int) func(context.Context, []parley.Write) (error, error) {
		return func(context.Context, []parley.Write) (before, after error) {
			if times--; times < 0 {
				return nil, nil
			}
			if happens {
				return nil, errLost
			}
			return errLost, nil
		}
	}
	for name, hook := range map[string]func(context.Context, []parley.Write) (error, error){
		"it happened":         lost(true, 1),
		"it did not":          lost(false, 1),
		"it did not, 5 times": lost(false, 5),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &faulty{Log: newLog()}
				l := mustStart(t, log, journal.Options{})
				log.set(hook)
				if err := l.add(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				if err := l.add(t.Context(), "b"); err != nil {
					t.Fatal(err)
				}
				if err := l.end(); err != nil {
					t.Fatal(err)
				}
				again := mustStart(t, log, journal.Options{})
				if got := again.sum(t); got != 2 || again.m.ids["a"] != 1 {
					t.Fatalf("sum %d, want 2", got)
				}
			})
		})
	}
}

// TestLostAnswerAndTakeover: the answer is lost, and another owner takes over
// before the old one can ask.
func TestLostAnswerAndTakeover(t *testing.T) {
	for _, happens := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			log := &faulty{Log: newLog()}
			old := mustStart(t, log, journal.Options{})
			hold := make(chan struct{})
			log.set(func(context.Context, []parley.Write) (before, after error) {
				log.set(nil)
				if !happens {
					<-hold
					return errLost, nil
				}
				return nil, errLost
			})
			answer := make(chan error, 1)
			go func() { answer <- old.add(context.Background(), "a") }()
			synctest.Wait()
			next := mustStart(t, log, journal.Options{})
			close(hold)
			err := <-answer
			want := 0
			if happens {
				want = 1
				if err != nil {
					t.Fatalf("the move is in the stream, but its caller hears %v", err)
				}
			} else {
				code(t, err, parley.Unavailable)
			}
			if got := next.sum(t); got != want {
				t.Fatalf("sum %d, want %d", got, want)
			}
			_ = old.add(t.Context(), "b")
			<-old.done
			code(t, old.err, parley.Conflict)
		})
	}
}

// TestAwayLog: while the log takes no appends, calls are refused at once and
// with its reason; the one under way is stored when it comes back.
func TestAwayLog(t *testing.T) {
	for _, why := range []parley.Code{parley.Full, parley.Unavailable} {
		synctest.Test(t, func(t *testing.T) {
			log := &faulty{Log: newLog()}
			l := mustStart(t, log, journal.Options{})
			log.set(func(context.Context, []parley.Write) (error, error) { return &parley.Error{Code: why}, nil })
			answer := make(chan error, 1)
			go func() { answer <- l.add(context.Background(), "a") }()
			synctest.Wait()
			code(t, l.add(t.Context(), "b"), why)
			code(t, l.Do(t.Context(), func(*journal.Tx) error { return nil }), why)
			pass(time.Minute)
			log.set(nil)
			if err := <-answer; err != nil {
				t.Fatal(err)
			}
			if got := l.sum(t); got != 1 {
				t.Fatalf("sum %d, want 1", got)
			}
		})
	}
}

func TestRefusedAppendEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{})
		log.set(func(context.Context, []parley.Write) (error, error) { return &parley.Error{Code: parley.Apart}, nil })
		code(t, l.add(t.Context(), "a"), parley.Apart)
		<-l.done
		code(t, l.err, parley.Apart)
		log.set(nil)
		if got := mustStart(t, log, journal.Options{}).sum(t); got != 0 {
			t.Fatalf("sum %d, want 0", got)
		}
	})
}

// TestEndWhileAway: a shutdown does not wait for ever for a log that is away, and
// says that the outcome is not known.
func TestEndWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{})
		log.set(func(context.Context, []parley.Write) (error, error) { return nil, errLost })
		answer := make(chan error, 1)
		go func() { answer <- l.add(context.Background(), "a") }()
		synctest.Wait()
		log.set(func(context.Context, []parley.Write) (error, error) { return errAway, nil })
		begin := time.Now()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 11*time.Second {
			t.Errorf("the end took %v", d)
		}
		code(t, <-answer, parley.Unknown)
	})
}

func TestBeatAndResign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		l := mustStart(t, log, fence("one", parley.Empty))
		pass(3500 * time.Millisecond)
		if got := len(records(t, log)); got != 1+3 {
			t.Fatalf("%d batches after 3.5 s, want a takeover and 3 beats", got)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		run, err := log.Read(t.Context(), parley.Place{Stream: stream}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer run.Release()
		resigned := false
		for rec, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			resigned = journal.Resigned(rec)
		}
		if !resigned {
			t.Fatal("the last record is no resignation")
		}
	})
}

// TestLapse: an owner that cannot renew hands nothing out after 3 s, and goes on
// when it can, or learns that it was deposed.
func TestLapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, fence("one", parley.Empty))
		look := func(*journal.Tx) error { return nil }
		pass(1500 * time.Millisecond) // renewed at 1 s
		hold := make(chan struct{})
		log.set(func(context.Context, []parley.Write) (error, error) { <-hold; return nil, nil })
		pass(2400 * time.Millisecond) // 3.9 s
		if err := l.Do(t.Context(), look); err != nil {
			t.Fatalf("2.9 s after the last beat: %v", err)
		}
		pass(100 * time.Millisecond)
		code(t, l.Do(t.Context(), look), parley.Unavailable)

		log.set(nil)
		close(hold) // the beat of 2 s lands: it renews as of 2 s
		synctest.Wait()
		if err := l.Do(t.Context(), look); err != nil {
			t.Fatalf("after a beat that went through: %v", err)
		}

		hold = make(chan struct{})
		log.set(func(context.Context, []parley.Write) (error, error) { <-hold; return nil, nil })
		pass(2 * time.Second)
		answers := make(chan error, 1)
		go func() { answers <- l.add(context.Background(), "in-flight") }()
		synctest.Wait()
		pass(3 * time.Second)
		log.set(nil)
		next := mustStart(t, log, fence("two", parley.Any))
		close(hold)
		code(t, <-answers, parley.Unavailable)
		<-l.done
		code(t, l.err, parley.Conflict)
		if got := next.sum(t); got != 0 {
			t.Fatalf("sum %d, want 0", got)
		}
	})
}

// TestOver: a host's decision that the owner is gone holds only if nothing was
// appended since.
func TestOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		if err := mustStart(t, log, fence("one", parley.Empty)).end(); err != nil {
			t.Fatal(err)
		}
		_, err := start(log, fence("two", parley.Empty))
		code(t, err, parley.Conflict)
		stat, err := log.Stat(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		_, err = start(log, fence("two", stat.Newest-1))
		code(t, err, parley.Conflict)
		mustStart(t, log, fence("two", stat.Newest))
	})
}

// TestTwoCandidates: of two that take over at once, one gets it.
func TestTwoCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		log.set(func(context.Context, []parley.Write) (error, error) { return nil, errLost })
		type result struct {
			l   *life
			err error
		}
		results := make(chan result)
		for range 2 {
			go func() {
				l, err := start(log, fence("same name", parley.Empty))
				results <- result{l, err}
			}()
		}
		a, b := <-results, <-results
		if (a.err == nil) == (b.err == nil) {
			t.Fatalf("both have the outcome %v, %v", a.err, b.err)
		}
		code(t, errors.Join(a.err, b.err), parley.Conflict)
		for _, r := range []result{a, b} {
			if r.l != nil {
				_ = r.l.end()
			}
		}
	})
}

// TestClocksDisagree: an owner whose clock is behind goes on from the last move.
func TestClocksDisagree(t *testing.T) {
	log := newLog()
	var times []time.Time
	synctest.Test(t, func(t *testing.T) {
		pass(time.Hour)
		l := mustStart(t, log, journal.Options{})
		_ = l.Do(t.Context(), func(tx *journal.Tx) error {
			times = append(times, tx.Now())
			return tx.Move([]byte("lease door 10s"))
		})
	})
	synctest.Test(t, func(t *testing.T) { // its time begins an hour earlier
		l := mustStart(t, log, journal.Options{})
		look := func(tx *journal.Tx) error {
			times = append(times, tx.Now())
			if len(l.m.leases) == 1 {
				return errTaken
			}
			return nil
		}
		if err := l.Do(t.Context(), look); !errors.Is(err, errTaken) {
			t.Fatalf("error %v, want taken", err)
		}
		pass(11 * time.Second)
		if err := l.Do(t.Context(), look); err != nil {
			t.Fatalf("the lease did not end: %v", err)
		}
	})
	if times[1].Before(times[0]) || times[2].Sub(times[1]) != 11*time.Second {
		t.Fatalf("times %v", times)
	}
}
