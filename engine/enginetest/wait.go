package enginetest

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/parleyhq/parley"
)

var waitChecks = []check{
	{"Wait/Ready", "Wait returns at once if one of the places has something to read", waitReady},
	{"Wait/Wakes", "Wait returns as soon as something is appended for one of its places, whichever", waitWakes},
	{"Wait/Beyond", "a place beyond the end is waited for too; when Wait returns there is something to read", waitBeyond},
	{"Wait/OthersDoNotWake", "what is appended elsewhere, compared or refused wakes nobody", waitOthers},
	{"Wait/All", "everyone who waits for a place is woken", waitAll},
	{"Wait/Context", "Wait ends with its context, also without places, and says so", waitContext},
	{"Wait/Trimmed", "Wait returns at once for a place of which Read says Trimmed", waitTrimmed},
	{"Wait/NoneLost", "no wake-up is lost, however an append and a Wait fall together", waitNoneLost},
	{"Wait/Churn", "Waits that come and go over many streams take nothing away from those that stay", waitChurn},
}

func place(s parley.Stream, at parley.Position) parley.Place { return parley.Place{Stream: s, At: at} }

func numbered(n int) parley.Stream { return parley.Stream{Name: fmt.Sprintf("numbered/%d", n)} }

func (e *env) wait(what string, at ...parley.Place) {
	e.Helper()
	if err := e.log.Wait(e.ctx, at...); err != nil {
		e.Fatalf("Wait %s: %v", what, err)
	}
}

func waitReady(e *env) {
	base := e.add(sA, "1", "2", "3")
	end := e.end(sA)
	e.wait("from the start", place(sA, 0))
	e.wait("at a batch", place(sA, base))
	e.wait("inside the last batch", place(sA, end-1))
	e.wait("for many, of which the last is ready", place(sB, 0), place(sA, end), place(sC, 7), place(sA, base))
}

// waiting starts a Wait and gives where its answer comes. The Wait has most
// likely begun by then, which nobody can know from outside.
func (e *env) waiting(ctx context.Context, at ...parley.Place) <-chan error {
	done, begun := make(chan error, 1), make(chan struct{})
	go func() {
		close(begun)
		done <- e.log.Wait(ctx, at...)
	}()
	<-begun
	runtime.Gosched()
	return done
}

// stillWaiting fails if the Wait has returned by the time that others were woken
// elsewhere.
func (e *env) stillWaiting(done <-chan error, why string) {
	e.Helper()
	for range 10 {
		other := e.waiting(e.ctx, place(sC, e.end(sC)))
		e.add(sC, "time goes by")
		if err := <-other; err != nil {
			e.Fatal(err)
		}
	}
	select {
	case err := <-done:
		e.Fatalf("Wait returned %v, but %s", err, why)
	default:
	}
}

func waitWakes(e *env) {
	var places []parley.Place
	for i := range 50 {
		places = append(places, place(numbered(i), 0))
	}
	for i := range e.suite.Rounds {
		k := i * 7 % len(places)
		done := e.waiting(e.ctx, append(places, places[k])...) // a place may be there twice
		e.add(places[k].Stream, fmt.Sprint(i))
		if err := <-done; err != nil {
			e.Fatalf("round %d: %v", i, err)
		}
		places[k].At = e.end(places[k].Stream)
	}
}

func waitBeyond(e *env) {
	e.add(sA, "0")
	for range max(e.suite.Rounds/10, 3) {
		at := e.end(sA) + 2
		done := e.waiting(e.ctx, place(sA, at))
		e.add(sA, "below the place, where positions are dense")
		if e.end(sA) <= at {
			e.stillWaiting(done, fmt.Sprintf("there is nothing yet at %d", at))
		}
		e.add(sA, "1", "2", "3")
		if err := <-done; err != nil {
			e.Fatal(err)
		}
		if got := e.from(sA, at); len(got) == 0 {
			e.Fatalf("Wait returned; there is nothing from %d on", at)
		}
	}
}

func waitOthers(e *env) {
	e.add(sA, "0")
	for range max(e.suite.Rounds/10, 3) {
		done := e.waiting(e.ctx, place(sA, e.end(sA)), place(sB, 0))
		e.put(guard(sA, parley.Any), guard(sB, parley.Empty))
		e.refuse(parley.Conflict, "a comparison that does not hold", write(sA, "no"), expecting(parley.Empty, write(sA, "no")))
		e.stillWaiting(done, "nothing was appended for its places")
		e.add(sA, "at last")
		if err := <-done; err != nil {
			e.Fatal(err)
		}
	}
}

func waitAll(e *env) {
	const n = 50
	for range max(e.suite.Rounds/20, 2) {
		at := e.end(sA)
		var all [n]<-chan error
		for i := range all {
			all[i] = e.waiting(e.ctx, place(numbered(i), 0), place(sA, at))
		}
		e.add(sA, "for all")
		for i, done := range all {
			if err := <-done; err != nil {
				e.Fatalf("waiter %d of %d: %v", i, n, err)
			}
		}
	}
}

func waitContext(e *env) {
	e.add(sC, "1")
	for what, at := range map[string][]parley.Place{"places": {place(sA, 0), place(sB, 5), place(sC, e.end(sC))}, "no places": nil} {
		ctx, cancel := context.WithCancel(e.ctx)
		done := e.waiting(ctx, at...)
		cancel()
		e.within("Wait with "+what+" after cancel", func() error {
			if err := <-done; err == nil || parley.CodeOf(err) != parley.Canceled {
				return fmt.Errorf("answered %w", err)
			}
			return nil
		})
		ctx, cancel = context.WithTimeout(e.ctx, 5*time.Millisecond)
		e.within("Wait with "+what+" after its deadline", func() error {
			if err := e.log.Wait(ctx, at...); err == nil || parley.CodeOf(err) != parley.Timeout {
				return fmt.Errorf("answered %w", err)
			}
			return nil
		})
		cancel()
	}
}

func waitTrimmed(e *env) {
	at := e.add(sA, "1")
	e.add(sA, "2")
	e.trimAway(sA, at)
	e.wait("at a place that is gone", place(sA, at))
	e.wait("at a place that is gone, among others", place(sB, 0), place(sA, at), place(sC, 0))
}

func waitNoneLost(e *env) {
	// Ping-pong: the next append comes when the one before was seen, so each
	// must be noticed for itself.
	const k = 3
	places := make([]parley.Place, k)
	for i := range places {
		places[i] = place(numbered(i), 0)
	}
	rounds := 5 * e.suite.Rounds
	seen := make(chan int)
	e.together(2, func(who int) error {
		if who == 0 {
			for i := range rounds {
				if _, err := e.try(write(numbered(i%k), fmt.Sprint(i))); err != nil {
					return err
				}
				select {
				case <-seen:
				case <-e.ctx.Done():
					return fmt.Errorf("append %d was not noticed: %w", i, e.ctx.Err())
				}
			}
			return nil
		}
		for n := 0; n < rounds; {
			if err := e.log.Wait(e.ctx, places...); err != nil {
				return err
			}
			for i := range places {
				got, err := e.read(places[i].Stream, places[i].At, 1)
				if err != nil {
					return err
				}
				if len(got) > 0 {
					places[i].At = got[0].Next()
					n++
					select {
					case seen <- n:
					case <-e.ctx.Done():
						return e.ctx.Err()
					}
				}
			}
		}
		return nil
	})
}

func waitChurn(e *env) {
	const streams = 10
	all := make([]parley.Place, streams)
	for i := range all {
		all[i] = place(numbered(i), 0)
	}
	stays := e.waiting(e.ctx, place(numbered(streams), 0), place(numbered(0), 1<<50))
	e.together(8, func(k int) error {
		for i := range e.suite.Rounds {
			ctx, cancel := context.WithCancel(e.ctx)
			done := e.waiting(ctx, place(numbered(i%streams), 1<<50), place(numbered(k), 1<<50), place(sD, 0))
			if i%10 == k {
				if _, err := e.try(write(numbered(i%streams), "x")); err != nil {
					cancel()
					return err
				}
			}
			cancel()
			if err := <-done; parley.CodeOf(err) != parley.Canceled {
				return fmt.Errorf("a Wait that was cancelled answers %w", err)
			}
		}
		return nil
	})
	select {
	case err := <-stays:
		e.Fatalf("the Wait that stays returned %v", err)
	default:
	}
	e.add(numbered(streams), "at last")
	if err := <-stays; err != nil {
		e.Fatal(err)
	}
}
