package enginetest

import (
	"fmt"
	"sync/atomic"

	"github.com/parleyhq/parley"
)

var compareChecks = []check{
	{"Compare/AllOrNone", "a comparison that does not hold fails the whole Append with Conflict, wherever it stands; nothing is appended anywhere", compareAllOrNone},
	{"Compare/Empty", "Empty holds only for a stream to which nothing was ever appended", compareEmpty},
	{"Compare/Position", "a position holds only if it is the base of the stream's newest batch", comparePosition},
	{"Compare/OneWins", "of Appends that expect the same, exactly one succeeds and the others answer Conflict", compareOneWins},
	{"Compare/Chain", "compare-and-append makes a chain: no success is lost and none is built on another than it named", compareChain},
	{"Compare/Crossed", "Appends over the same streams in different orders neither block each other nor apply in part", compareCrossed},
}

func compareAllOrNone(e *env) {
	newest := e.put(write(sA, "a"), write(sB, "b"), write(sC, "c"))
	ends := []parley.Position{e.end(sA), e.end(sB), e.end(sC)}
	for _, wrong := range []parley.Position{parley.Empty, newest[0] + 1000} {
		for at := range 4 {
			writes := []parley.Write{
				write(sA, "no"),
				expecting(newest[1], write(sB, "no")),
				guard(sC, newest[2]),
				expecting(parley.Empty, write(sD, "no")),
			}
			writes[at].Expect = wrong
			if at == 3 {
				writes[at].Stream = sC // sD may well be empty
			}
			e.refuse(parley.Conflict, fmt.Sprintf("write %d of 4 expects %d", at, wrong), writes...)
			e.wantValues(sA, "a")
			e.wantValues(sB, "b")
			e.wantValues(sC, "c")
			e.wantValues(sD)
		}
	}
	for i, s := range []parley.Stream{sA, sB, sC} {
		if e.end(s) != ends[i] {
			e.Errorf("the end of %q moved from %d to %d", s.Name, ends[i], e.end(s))
		}
		e.put(guard(s, newest[i]))
	}
}

func compareEmpty(e *env) {
	e.put(guard(sA, parley.Empty))
	e.put(expecting(parley.Empty, write(sA, "1")))
	e.refuse(parley.Conflict, "Empty on a stream with a batch", expecting(parley.Empty, write(sA, "2")))
	e.trim(sA, e.end(sA))
	e.refuse(parley.Conflict, "Empty after trimming", expecting(parley.Empty, write(sA, "2")))
	e.refuse(parley.Conflict, "a guard of Empty", guard(sA, parley.Empty), write(sB, "no"))
	e.wantValues(sA, "1")
	e.wantValues(sB)
}

func comparePosition(e *env) {
	e.refuse(parley.Conflict, "a position on a stream never written", expecting(1, write(sA, "no")))
	first := e.put(expecting(parley.Any, write(sA, "1", "2", "3")))[0]
	e.refuse(parley.Conflict, "the position inside the newest batch", expecting(first+1, write(sA, "no")))
	e.refuse(parley.Conflict, "the position of the last event", expecting(first+2, write(sA, "no")))
	e.refuse(parley.Conflict, "the end", expecting(e.end(sA), write(sA, "no")))
	second := e.put(expecting(first, write(sA, "4")))[0]
	e.refuse(parley.Conflict, "a batch that is the newest no more", expecting(first, write(sA, "no")))
	e.put(expecting(second, write(sA, "5")))
	e.wantValues(sA, "1", "2", "3", "4", "5")
}

func compareOneWins(e *env) {
	expect := parley.Empty
	for i := range max(e.suite.Rounds/10, 3) {
		var wins atomic.Int64
		var base atomic.Int64
		e.together(8, func(k int) error {
			got, err := e.try(expecting(expect, write(sA, fmt.Sprint(i))), write(sB, fmt.Sprint(i)))
			if err == nil {
				wins.Add(1)
				base.Store(int64(got[0].Base))
			} else if parley.CodeOf(err) != parley.Conflict {
				return err
			}
			return nil
		})
		if wins.Load() != 1 {
			e.Fatalf("round %d: %d of 8 appends that expect %d succeeded", i, wins.Load(), expect)
		}
		expect = parley.Position(base.Load())
		if a, b := len(e.all(sA)), len(e.all(sB)); a != i+1 || b != i+1 {
			e.Fatalf("round %d: %d and %d batches", i, a, b)
		}
	}
}

func compareChain(e *env) {
	const workers = 4
	each := max(e.suite.Rounds/10, 5)
	e.add(sA, "0")
	e.together(workers, func(int) error {
		for range each {
			for won := false; !won; {
				got, err := e.log.Append(e.ctx, guard(sA, parley.Any))
				if err != nil {
					return err
				}
				// Each batch names the one that it is built on.
				newest := got[0].Base
				_, err = e.try(expecting(newest, write(sA, fmt.Sprint(newest))), write(sB, "counted"))
				won = err == nil
				if err != nil && parley.CodeOf(err) != parley.Conflict {
					return err
				}
			}
		}
		return nil
	})
	chain := e.all(sA)
	for i, b := range chain[1:] {
		if want := fmt.Sprint(chain[i].Base()); b.values[0] != want {
			e.Fatalf("the batch at %d is built on %s, but follows %s", b.Base(), b.values[0], want)
		}
	}
	if n := len(e.all(sB)); len(chain)-1 != workers*each || n != workers*each {
		e.Fatalf("%d successes, %d links, %d counted", workers*each, len(chain)-1, n)
	}
}

func compareCrossed(e *env) {
	each := max(e.suite.Rounds/4, 5)
	e.together(4, func(k int) error {
		for i := range each {
			v := fmt.Sprintf("%d.%d", k, i)
			writes := []parley.Write{write(sA, v), write(sB, v), write(sC, v)}
			if k%2 == 1 {
				writes[0], writes[2] = writes[2], writes[0]
			}
			if _, err := e.try(writes...); err != nil {
				return err
			}
		}
		return nil
	})
	for _, s := range []parley.Stream{sA, sB, sC} {
		seen := make(map[string]bool)
		for _, v := range e.values(s) {
			seen[v] = true
		}
		if n := len(e.all(s)); n != 4*each || len(seen) != n {
			e.Errorf("stream %q has %d batches, %d of them different; want %d", s.Name, n, len(seen), 4*each)
		}
	}
}
