package enginetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

// reopenChecks gives the promises about restarts, those for abilities only if
// the engine has them.
func reopenChecks(able []ability) []check {
	checks := []check{
		{"Same", "what was acknowledged is there after a restart, byte for byte, at its place and in the same epoch", reopenSame},
		{"GoesOn", "a stream goes on after a restart: positions rise, comparisons see the newest batch, waiting works", reopenGoesOn},
		{"Trimmed", "what was trimmed stays trimmed after a restart, and the newest batch stays", reopenTrimmed},
		{"Once", "a restart forgets no key within the window", reopenOnce},
		{"Refused", "what was refused is not there after a restart", reopenRefused},
	}
	for _, a := range able {
		switch a.name {
		case "Remover":
			checks = append(checks, check{"Removed", "a removed stream stays removed after a restart, and its next life has another epoch", reopenRemoved})
		case "Rewriter":
			checks = append(checks, check{"Rewritten", "what was rewritten stays so after a restart", reopenRewritten})
		case "Lister":
			checks = append(checks, check{"Listed", "every stream is listed after a restart, with its name as it was", reopenListed})
		}
	}
	return checks
}

// sameAfterReopen reopens and compares all that can be read of a stream.
func (e *env) sameAfterReopen(s parley.Stream) {
	e.Helper()
	before, end := e.all(s), e.end(s)
	e.reopen()
	after := e.all(s)
	if len(after) != len(before) || e.end(s) != end {
		e.Fatalf("stream %q had %d batches up to %d, now %d up to %d", s.Name, len(before), end, len(after), e.end(s))
	}
	for i, b := range before {
		if !bytes.Equal(b.Bytes(), after[i].Bytes()) {
			e.Fatalf("stream %q: the batch at %d changed", s.Name, b.Base())
		}
	}
}

func reopenSame(e *env) {
	e.load(4, max(e.suite.Rounds/10, 5))
	for _, b := range odd(e) {
		e.put(parley.Write{Stream: sC, Batch: b}, write(sA, "beside"))
	}
	for _, s := range []parley.Stream{sA, sB, sC, sD} {
		e.sameAfterReopen(s)
	}
}

func reopenGoesOn(e *env) {
	newest := parley.Empty
	var want []string
	for life := range 4 {
		for i := range 5 {
			v := fmt.Sprintf("%d.%d", life, i)
			base := e.put(expecting(newest, write(sA, v, v+" second")))[0]
			if base <= newest {
				e.Fatalf("life %d: a batch went to %d, after %d", life, base, newest)
			}
			newest = base
			want = append(want, v, v+" second")
		}
		e.reopen()
		e.wantValues(sA, want...)
		e.refuse(parley.Conflict, "Empty after a restart", expecting(parley.Empty, write(sA, "no")))
		done := e.waiting(e.ctx, place(sA, e.end(sA)))
		newest = e.add(sA, "woken")
		want = append(want, "woken")
		if err := <-done; err != nil {
			e.Fatal(err)
		}
	}
}

func reopenTrimmed(e *env) {
	first := e.add(sA, "1")
	e.add(sA, "2")
	e.trimAway(sA, first)
	e.trim(sA, e.end(sA))
	newest := e.put(guard(sA, parley.Any))[0]
	e.reopen()
	_, err := e.read(sA, first, 1)
	e.wantCode(err, parley.Trimmed, "Read below what was trimmed before the restart")
	if got := e.from(sA, earliestOf(err)); len(got) == 0 || got[len(got)-1].Base() != newest {
		e.Fatalf("from the earliest on there is %v; the newest batch was at %d", got, newest)
	}
	if base := e.put(expecting(newest, write(sA, "3")))[0]; base <= newest {
		e.Fatalf("after a restart a batch went to %d, the newest was at %d", base, newest)
	}
}

func reopenOnce(e *env) {
	var bases [50]parley.Position
	for i := range bases {
		bases[i] = e.mustOnce(key(uint64(i)), write(sA, fmt.Sprint(i)), false)
	}
	for range 2 {
		e.reopen()
		for i, base := range bases {
			if at := e.mustOnce(key(uint64(i)), write(sA, "again"), true); at != base {
				e.Fatalf("key %d went to %d, after a restart it is answered with %d", i, base, at)
			}
		}
	}
	if n := len(e.all(sA)); n != len(bases) {
		e.Fatalf("%d keys made %d batches", len(bases), n)
	}
}

func reopenRefused(e *env) {
	newest := e.add(sA, "1")
	for range 20 {
		e.refuse(parley.Conflict, "a comparison that does not hold", write(sB, "no"), expecting(newest+1, write(sA, "no")))
	}
	e.refuse(parley.Invalid, "a bad name", write(sB, "no"), write(parley.Stream{}, "no"))
	e.reopen()
	e.wantValues(sA, "1")
	e.wantValues(sB)
	e.put(guard(sA, newest), guard(sB, parley.Empty))
}

func reopenRemoved(e *env) {
	remove := func() { e.remove(sA) }
	e.put(write(sA, "old"), write(sB, "b"))
	seen := map[uint32]bool{e.all(sA)[0].Epoch(): true}
	remove()
	e.reopen()
	if end := e.end(sA); end != 0 || len(e.all(sA)) != 0 {
		e.Fatalf("a removed stream came back: it ends at %d and holds %v", end, e.all(sA))
	}
	for life := range 3 {
		e.put(expecting(parley.Empty, write(sA, fmt.Sprint("new ", life))))
		e.reopen()
		e.wantValues(sA, fmt.Sprint("new ", life))
		epoch := e.all(sA)[0].Epoch()
		if seen[epoch] {
			e.Fatalf("epoch %d came again", epoch)
		}
		seen[epoch] = true
		remove()
	}
	e.reopen()
	e.wantValues(sA)
	e.wantValues(sB, "b")
}

func reopenRewritten(e *env) {
	for i := range 20 {
		e.add(sA, fmt.Sprint("keep ", i), fmt.Sprint("drop ", i))
	}
	e.add(sA, "drop", "drop")
	end := e.end(sA)
	e.add(sA, "newest")
	e.compact(end)
	e.sameAfterReopen(sA)
	for _, v := range e.values(sA) {
		if strings.HasPrefix(v, "drop") {
			e.Fatalf("%q is there again", v)
		}
	}
}

func reopenListed(e *env) {
	for _, n := range names() {
		e.add(parley.Stream{Name: n}, n)
	}
	e.reopen()
	for _, n := range names() {
		e.wantValues(parley.Stream{Name: n}, n)
	}
	got, err := e.log.(parley.Lister).Streams(e.ctx, "")
	if err != nil || len(got) != len(names()) {
		e.Fatalf("%d streams are listed, %v; want %d", len(got), err, len(names()))
	}
}
