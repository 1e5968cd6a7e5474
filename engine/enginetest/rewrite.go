package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

var rewriterChecks = []check{
	{"Keeps", "what keep answers takes the place of the batch, each event at its old position; the rest is as it was", rewriteKeeps},
	{"Drops", "a batch of which nothing is kept is dropped; reading over it is no Trimmed", rewriteDrops},
	{"Range", "only batches that lie wholly in [from, to) are rewritten, and never the newest", rewriteRange},
	{"Refused", "what keep refuses, and what keeps no subset, is answered as an error and leaves the batch as it was", rewriteRefused},
	{"WhileUsed", "appending, reading and trimming go on while a stream is rewritten", rewriteWhileUsed},
}

var runnerChecks = []check{
	{"Ends", "Run returns when its context ends", func(e *env) {
		e.add(sA, "1")
		e.halt()
	}},
}

func (e *env) rewrite(from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) error {
	return e.log.(parley.Rewriter).Rewrite(e.ctx, sA, from, to, keep)
}

// batchFrom makes a batch of n events that begins at a position.
func batchFrom(base parley.Position, n int) parley.Batch {
	b := batchOf(make([]string, n)...)
	parley.SetBase(b.Bytes(), base, 0)
	return b
}

// without keeps the records whose value does not begin with "drop".
func without(b parley.Batch) (parley.Batch, error) {
	return b.Keep(func(r parley.Record) bool { return !strings.HasPrefix(string(r.Value), "drop") })
}

// compact rewrites until nothing to drop is left below to.
func (e *env) compact(to parley.Position) {
	e.Helper()
	e.settle(sA, "Rewrite replaces older batches", func() bool {
		if err := e.rewrite(0, to, without); err != nil {
			e.Fatal(err)
		}
		for _, b := range e.all(sA) {
			for _, v := range b.values {
				if b.Next() <= to && strings.HasPrefix(v, "drop") {
					return false
				}
			}
		}
		return true
	})
}

func rewriteKeeps(e *env) {
	where := make(map[string]parley.Position)
	for i := range 50 {
		base := e.add(sA, fmt.Sprint("keep a", i), fmt.Sprint("drop b", i), fmt.Sprint("keep c", i))
		where[fmt.Sprint("keep a", i)], where[fmt.Sprint("keep c", i)] = base, base+2
	}
	end := e.end(sA)
	newest := e.add(sA, "drop is what the newest keeps")
	e.compact(end)
	found := 0
	for _, b := range e.all(sA) {
		for r, err := range b.Records() {
			if at, ok := where[string(r.Value)]; ok && err == nil {
				found++
				if at != r.Position {
					e.Fatalf("%q moved from %d to %d", r.Value, at, r.Position)
				}
			}
		}
	}
	if found != len(where) {
		e.Fatalf("%d of %d events were kept", found, len(where))
	}
	if got := e.from(sA, newest); len(got) == 0 || got[0].Base() != newest {
		e.Fatalf("at the newest batch is %v", got)
	}
	if _, ok := e.log.(parley.Statter); ok {
		e.stat(sA)
	}
}

func rewriteDrops(e *env) {
	first := e.add(sA, "drop 1")
	e.add(sA, "keep 2")
	third := e.add(sA, "drop 3", "drop 4")
	fifth := e.add(sA, "keep 5")
	e.add(sA, "newest")
	e.compact(fifth)
	got, err := e.read(sA, first, 1)
	if err != nil || len(got) != 1 || got[0].values[0] != "keep 2" {
		e.Fatalf("at the first position, which was dropped, a read gives %v, %v", got, err)
	}
	for at := third; at < third+2; at++ {
		got, err = e.read(sA, at, 1)
		if err != nil || len(got) != 1 || got[0].Base() != fifth {
			e.Fatalf("at %d, which was dropped, a read gives %v, %v", at, got, err)
		}
	}
	e.settle(sA, "the zero Batch drops a batch", func() bool {
		if err := e.rewrite(fifth, fifth+1, func(parley.Batch) (parley.Batch, error) { return parley.Batch{}, nil }); err != nil {
			e.Fatal(err)
		}
		return e.from(sA, fifth)[0].Base() > fifth
	})
}

func rewriteRange(e *env) {
	var bases []parley.Position
	for i := range 10 {
		bases = append(bases, e.add(sA, fmt.Sprint("keep ", i), fmt.Sprint("drop ", i)))
	}
	newest, end := bases[9], e.end(sA)
	var seen []parley.Position
	look := func(b parley.Batch) (parley.Batch, error) {
		seen = append(seen, b.Base())
		return b, nil
	}
	for _, r := range [][2]parley.Position{{bases[2], bases[5]}, {bases[2] + 1, bases[5] + 1}, {0, end}, {bases[9], end}, {bases[5], bases[2]}, {-7, 1 << 62}} {
		seen = nil
		if err := e.rewrite(r[0], r[1], look); err != nil {
			e.Fatal(err)
		}
		for _, base := range seen {
			if base < r[0] || base+2 > r[1] || base == newest {
				e.Fatalf("Rewrite of %d to %d offered the batch at %d; the newest is at %d", r[0], r[1], base, newest)
			}
		}
	}
	if n := len(e.all(sA)); n != 10 || len(e.values(sA)) != 20 {
		e.Fatalf("keeping everything left %d batches, %q", n, e.values(sA))
	}
	if err := e.log.(parley.Rewriter).Rewrite(e.ctx, sB, 0, 100, look); err != nil {
		e.Fatalf("Rewrite of a stream never written: %v", err)
	}
}

func rewriteRefused(e *env) {
	e.add(sA, "1", "2")
	e.add(sA, "3")
	to := e.end(sA) - 1 // the first batch
	stop := errors.New("stop")
	tries := map[string]func(parley.Batch) (parley.Batch, error){
		"an error":          func(parley.Batch) (parley.Batch, error) { return parley.Batch{}, stop },
		"another position":  func(parley.Batch) (parley.Batch, error) { return batchOf("0", "0"), nil },
		"an event too many": func(b parley.Batch) (parley.Batch, error) { return batchFrom(b.Base(), b.Len()+1), nil },
		"an event too few":  func(b parley.Batch) (parley.Batch, error) { return batchFrom(b.Base(), 1), nil },
	}
	for what, keep := range tries {
		// Until the engine offers a batch, it has no reason to fail.
		var err error
		e.settle(sA, what, func() bool { err = e.rewrite(0, to, keep); return err != nil })
		if what == "an error" && !errors.Is(err, stop) {
			e.Fatalf("%s: %v", what, err)
		}
		if what != "an error" {
			e.wantCode(err, parley.Invalid, what)
		}
		if got := e.values(sA); len(got) < 3 || got[0] != "1" || got[1] != "2" || got[2] != "3" {
			e.Fatalf("%s: the stream holds %.100q", what, got)
		}
	}
}

func rewriteWhileUsed(e *env) {
	const n = 300
	for i := range n {
		e.add(sA, fmt.Sprint("keep ", i), fmt.Sprint("drop ", i))
	}
	end := e.end(sA)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	e.together(4, func(k int) error {
		switch k {
		case 0: // ends it all
			defer cancel()
			for range 10 {
				if err := e.rewrite(0, end, without); err != nil {
					return err
				}
			}
		case 1:
			for i := range e.suite.Rounds {
				if _, err := e.try(write(sA, fmt.Sprint("later ", i))); err != nil {
					return err
				}
			}
		default:
			for at := parley.Position(0); ctx.Err() == nil; {
				got, err := e.read(sA, at, 1000)
				if err != nil {
					return err
				}
				if at = 0; len(got) > 0 {
					at = got[len(got)-1].Next()
				}
			}
		}
		return nil
	})
	keep, later := 0, 0
	for _, v := range e.values(sA) {
		switch {
		case v == fmt.Sprint("keep ", keep):
			keep++
		case v == fmt.Sprint("later ", later):
			later++
		case !strings.HasPrefix(v, "drop"):
			e.Fatalf("%q came after %d and %d", v, keep, later)
		}
	}
	if keep != n || later != e.suite.Rounds {
		e.Fatalf("%d of %d old events and %d of %d later ones are left", keep, n, later, e.suite.Rounds)
	}
}
