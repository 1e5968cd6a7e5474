package enginetest

import (
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

var trimChecks = []check{
	{"Trim/Keeps", "Trim drops only whole batches below upTo: a batch with an event at or above it stays", trimKeeps},
	{"Trim/Newest", "Trim never drops the newest batch, however far it goes, and its position still compares", trimNewest},
	{"Trim/Trimmed", "a place below what is left answers Trimmed with the earliest place, which can be read", trimTrimmed},
	{"Trim/Zero", "position 0 means from the earliest and is never Trimmed", trimZero},
	{"Trim/Idempotent", "trimming again, below the earliest event, or a stream never written does nothing", trimIdempotent},
	{"Trim/OneStream", "trimming one stream leaves the others alone", trimOneStream},
	{"Trim/GoesOn", "a trimmed stream goes on: positions rise, and End does not move by trimming", trimGoesOn},
}

func trimKeeps(e *env) {
	var bases []parley.Position
	for i := range 10 {
		bases = append(bases, e.add(sA, fmt.Sprint(i, " a"), strings.Repeat("b", 200*i), fmt.Sprint(i, " c")))
	}
	for i, base := range bases {
		for inside := range parley.Position(3) {
			e.trim(sA, base+inside)
			if got := e.from(sA, base); len(got) != len(bases)-i || got[0].Base() != base {
				e.Fatalf("after Trim to %d, in the batch at %d, from there on is %v", base+inside, base, got)
			}
		}
	}
}

func trimNewest(e *env) {
	e.add(sA, "1")
	newest := e.add(sA, "2", "3")
	for _, upTo := range []parley.Position{newest + 1, newest + 2, newest + 1000, 1<<63 - 1} {
		e.trim(sA, upTo)
		if got := e.from(sA, newest); len(got) != 1 || got[0].Base() != newest {
			e.Fatalf("after Trim to %d, at the newest batch %d is %v", upTo, newest, got)
		}
	}
	if got := e.put(guard(sA, newest)); got[0] != newest {
		e.Fatalf("a guard answers %v, the newest batch is at %d", got, newest)
	}
	e.put(expecting(newest, write(sA, "4")))
}

func trimTrimmed(e *env) {
	first := e.add(sA, "1", "2")
	e.add(sA, "3")
	e.add(sA, "4")
	earliest := e.trimAway(sA, first)
	if earliest <= first {
		e.Fatalf("Trimmed at %d names %d as the earliest", first, earliest)
	}
	got := e.from(sA, earliest)
	if len(got) == 0 || got[0].Base() != earliest {
		e.Fatalf("Trimmed names %d as the earliest; there is %v", earliest, got)
	}
	if _, err := e.read(sA, first+1, 1); err == nil || earliestOf(err) != earliest {
		e.Fatalf("inside a batch that is gone: %v", err)
	}
}

func trimZero(e *env) {
	first := e.add(sA, "1")
	e.add(sA, "2")
	earliest := e.trimAway(sA, first)
	got, err := e.read(sA, 0, 1)
	if err != nil || len(got) != 1 || got[0].Base() != earliest {
		e.Fatalf("a read at 0 gives %v, %v; the earliest is %d", got, err, earliest)
	}
}

func trimIdempotent(e *env) {
	for _, upTo := range []parley.Position{-5, 0, 1, 1 << 40} {
		e.trim(sB, upTo)
	}
	if end := e.end(sB); end != 0 {
		e.Fatalf("trimming made a stream that ends at %d", end)
	}
	first := e.add(sA, "1")
	e.add(sA, "2")
	e.trim(sA, first)
	e.trim(sA, 0)
	e.trim(sA, -5)
	e.wantValues(sA, "1", "2")
	earliest := e.trimAway(sA, first)
	before := e.values(sA)
	for _, upTo := range []parley.Position{earliest, first, 1, 0} {
		e.trim(sA, upTo)
	}
	e.wantValues(sA, before...)
}

func trimOneStream(e *env) {
	first := e.put(write(sA, "a1"), write(sB, "b1"), write(sA, "a2"), write(sB, "b2"))
	e.trimAway(sA, first[0])
	e.wantValues(sB, "b1", "b2")
	if got := e.from(sB, first[1]); len(got) != 2 {
		e.Fatalf("the other stream holds %v", got)
	}
}

func trimGoesOn(e *env) {
	first := e.add(sA, "1")
	e.add(sA, "2")
	e.trimAway(sA, first)
	end := e.end(sA)
	e.trim(sA, end)
	if now := e.end(sA); now != end {
		e.Fatalf("trimming moved the end from %d to %d", end, now)
	}
	if base := e.add(sA, "3"); base < end {
		e.Fatalf("the end was %d, the next batch went to %d", end, base)
	}
	if got := valuesOf(e.from(sA, end)); len(got) != 1 || got[0] != "3" {
		e.Fatalf("from the old end on there is %q", got)
	}
}
