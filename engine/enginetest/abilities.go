package enginetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

var listerChecks = []check{
	{"Streams", "the streams that were appended to are listed, sorted by name; looking, waiting and failing make none", listerStreams},
}

var removerChecks = []check{
	{"LikeNeverWritten", "a removed stream is like one never written, and the others are untouched", removerForgets},
	{"Epoch", "a stream that is removed and written again has another epoch", removerEpoch},
	{"Wakes", "a Wait under way returns when one of its streams is removed", removerWakes},
	{"Runs", "a Run of a stream that is removed stays valid until its Release", removerRuns},
}

var statterChecks = []check{
	{"Stat", "Stats describe exactly what can be read, also after trimming; those of a stream never written are zero", statterStat},
}

var backerChecks = []check{
	{"Back", "Back gives the base of the n-th batch that begins below the place, or the earliest place left", backerBack},
	{"Trimmed", "Back gives the earliest place left where older batches were trimmed", backerTrimmed},
}

var timerChecks = []check{
	{"At", "At gives the base of the first batch left whose latest time is at or after t, or the end", timerAt},
	{"Disorder", "At holds also when clocks went backwards between batches", timerDisorder},
}

func listerStreams(e *env) {
	list := func(namespace string) (names []string) {
		all, err := e.log.(parley.Lister).Streams(e.ctx, namespace)
		if err != nil {
			e.Fatal(err)
		}
		for _, s := range all {
			names = append(names, s.Name)
		}
		return names
	}
	if got := list(""); len(got) != 0 {
		e.Fatalf("an empty log lists %q", got)
	}
	e.put(guard(sC, parley.Empty))
	e.refuse(parley.Conflict, "a comparison that does not hold", expecting(5, write(sD, "no")))
	e.end(sC)
	e.trim(sC, 5)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	e.waiting(ctx, place(sC, 0), place(sD, 0))
	e.put(write(sB, "b"), write(sA, "a"))
	first := e.add(sA, "a2")
	e.trim(sA, first)
	if got := list(""); !slices.Equal(got, []string{sA.Name, sB.Name}) {
		e.Fatalf("lists %q", got)
	}
	if got := list("elsewhere"); len(got) != 0 {
		e.Fatalf("another namespace lists %q", got)
	}
}

func (e *env) remove(s parley.Stream) {
	e.Helper()
	if err := e.log.(parley.Remover).Remove(e.ctx, s); err != nil {
		e.Fatalf("Remove of %q: %v", s.Name, err)
	}
}

func removerForgets(e *env) {
	e.remove(sA) // never written: nothing to do
	first := e.add(sA, "a1")
	e.add(sB, "b1")
	e.add(sA, "a2")
	e.trimAway(sA, first)
	e.remove(sA)
	e.remove(sA)
	if end := e.end(sA); end != 0 {
		e.Fatalf("the end of a removed stream is %d", end)
	}
	for _, at := range []parley.Position{0, first, 1 << 40} {
		if got, err := e.read(sA, at, 100); err != nil || len(got) != 0 {
			e.Fatalf("a removed stream reads at %d as %v, %v", at, got, err)
		}
	}
	if got := e.put(guard(sA, parley.Empty)); got[0] != 0 {
		e.Fatalf("a guard on a removed stream answers %v", got)
	}
	base := e.put(expecting(parley.Empty, write(sA, "new")))[0]
	if got := e.from(sA, base); len(got) != 1 {
		e.Fatalf("a stream written again holds %v", got)
	}
	e.wantValues(sA, "new")
	e.wantValues(sB, "b1")
}

func removerEpoch(e *env) {
	seen := make(map[uint32]bool)
	for i := range 5 {
		e.add(sA, fmt.Sprint(i))
		epoch := e.all(sA)[0].Epoch()
		if seen[epoch] {
			e.Fatalf("life %d of the stream has epoch %d again", i, epoch)
		}
		seen[epoch] = true
		e.remove(sA)
	}
}

func removerWakes(e *env) {
	// A Wait that begins after the removal waits for what is appended next, and
	// rightly so; which of the two was first cannot be seen from outside. So
	// one Wait of many has to be woken.
	for range 20 {
		e.add(sA, "1")
		ctx, cancel := context.WithTimeout(e.ctx, e.suite.Patience/100)
		done := e.waiting(ctx, place(sB, 1<<50), place(sA, 1<<50))
		for range 20 {
			e.add(sC, "time goes by")
		}
		e.remove(sA)
		err := <-done
		cancel()
		if err == nil {
			return
		}
		e.wantCode(err, parley.Timeout, "a Wait that came too late")
	}
	e.Fatal("no Wait returned when its stream was removed")
}

func removerRuns(e *env) {
	e.add(sA, "1")
	e.add(sA, "2")
	run, err := e.log.Read(e.ctx, place(sA, 0), 1<<20)
	if err != nil {
		e.Fatal(err)
	}
	before := string(run.Bytes())
	e.remove(sA)
	for i := range e.suite.Rounds {
		e.put(write(sA, fmt.Sprint("again ", i)), write(sB, fmt.Sprint("other ", i)))
	}
	if string(run.Bytes()) != before {
		e.Fatal("the run changed")
	}
	run.Release()
}

// stat gives Stats and holds them against what can be read.
func (e *env) stat(s parley.Stream) parley.Stats {
	e.Helper()
	got, err := e.log.(parley.Statter).Stat(e.ctx, s)
	if err != nil {
		e.Fatalf("Stat of %q: %v", s.Name, err)
	}
	all := e.all(s)
	if len(all) == 0 {
		if got != (parley.Stats{}) {
			e.Fatalf("nothing to read, but %+v", got)
		}
		return got
	}
	first, last := all[0], all[len(all)-1]
	want := parley.Stats{Earliest: first.Base(), End: last.Next(), Newest: last.Base(), Oldest: first.MaxTime(), Epoch: last.Epoch()}
	for _, b := range all {
		want.Bytes += int64(b.Size())
		want.Events += int64(b.Len())
	}
	got.Oldest = got.Oldest.UTC()
	e.low(s, got)
	want.Low = got.Low
	if got != want {
		e.Fatalf("Stat of %q: %+v, what can be read is %+v", s.Name, got, want)
	}
	return got
}

// low holds Stats.Low against what Read says around it.
func (e *env) low(s parley.Stream, got parley.Stats) {
	e.Helper()
	if got.Low < 0 || got.Low > got.Earliest {
		e.Fatalf("Stat of %q: what is below %d is gone, the earliest is at %d", s.Name, got.Low, got.Earliest)
	}
	if _, err := e.read(s, got.Low, 1); err != nil {
		e.Fatalf("nothing from %d on is gone, a read there says %v", got.Low, err)
	}
	if got.Low > 1 {
		_, err := e.read(s, got.Low-1, 1)
		e.wantCode(err, parley.Trimmed, fmt.Sprintf("a read below %d, where something is gone", got.Low))
	}
}

func statterStat(e *env) {
	e.stat(sA)
	e.put(guard(sA, parley.Empty))
	e.stat(sA)
	var first parley.Position
	for i := range 20 {
		values := make([]string, i%4+1)
		base := e.put(parley.Write{Stream: sA, Batch: batchAt(epochTime.Add(time.Duration(i)*time.Second), values...)})[0]
		if i == 0 {
			first = base
		}
		e.stat(sA)
	}
	e.trimAway(sA, first)
	if s := e.stat(sA); s.Earliest <= first || s.Low <= first {
		e.Fatalf("the earliest is %d, and %d the lowest place, after trimming what began at %d", s.Earliest, s.Low, first)
	}
}

func (e *env) back(at parley.Position, n int, want parley.Position) {
	e.Helper()
	got, err := e.log.(parley.Backer).Back(e.ctx, place(sA, at), n)
	if err != nil || got != want {
		e.Fatalf("Back from %d by %d: %d, %v; want %d", at, n, got, err, want)
	}
}

func backerBack(e *env) {
	e.back(0, 1, 0)
	e.back(17, 1, 0)
	var bases []parley.Position
	const n = 200
	for i := range n {
		bases = append(bases, e.add(sA, make([]string, i%3+1)...))
	}
	end := e.end(sA)
	for _, k := range []int{1, 2, 10, n - 1, n} {
		e.back(end, k, bases[n-k])
		e.back(end+1000, k, bases[n-k])
	}
	e.back(end, n+1, bases[0])
	e.back(end, 1<<30, bases[0])
	e.back(end, 0, end)
	e.back(end, -3, end)
	e.back(bases[100], 1, bases[99])
	e.back(bases[100]+1, 1, bases[100]) // inside it, if it has two
	e.back(bases[100], 101, bases[0])
	e.back(bases[0], 1, bases[0])
	e.back(0, 1, bases[0])
}

func backerTrimmed(e *env) {
	first := e.add(sA, "1")
	e.add(sA, "2")
	earliest := e.trimAway(sA, first)
	e.back(e.end(sA), 1<<20, earliest)
	e.back(first, 1, earliest)
}

func (e *env) at(t time.Time, want parley.Position) {
	e.Helper()
	got, err := e.log.(parley.Timer).At(e.ctx, sA, t)
	if err != nil || got != want {
		e.Fatalf("At %s: %d, %v; want %d", t, got, err, want)
	}
}

func timerAt(e *env) {
	e.at(epochTime, 0)
	var bases []parley.Position
	const n = 100
	for i := range n {
		b := batchAt(epochTime.Add(time.Duration(i/2)*time.Minute), "x", "y") // two batches at each time
		bases = append(bases, e.put(parley.Write{Stream: sA, Batch: b})[0])
	}
	e.at(time.UnixMilli(0), bases[0])
	e.at(epochTime, bases[0])
	e.at(epochTime.Add(time.Millisecond), bases[2])
	e.at(epochTime.Add(10*time.Minute), bases[20])
	e.at(epochTime.Add(10*time.Minute+999*time.Microsecond), bases[20])
	e.at(epochTime.Add(10*time.Minute+time.Millisecond), bases[22])
	e.at(epochTime.Add(49*time.Minute), bases[98])
	e.at(epochTime.Add(50*time.Minute), e.end(sA))
}

func timerDisorder(e *env) {
	var bases []parley.Position
	for _, minute := range []int{5, 1, 9, 2, 10} {
		bases = append(bases, e.put(parley.Write{Stream: sA, Batch: batchAt(epochTime.Add(time.Duration(minute)*time.Minute), "x")})[0])
	}
	for minute, want := range map[int]int{0: 0, 1: 0, 5: 0, 6: 2, 9: 2, 10: 4} {
		e.at(epochTime.Add(time.Duration(minute)*time.Minute), bases[want])
	}
	e.at(epochTime.Add(11*time.Minute), e.end(sA))

	e.trim(sA, bases[1]) // the engine may keep the first; it is not to count if it is gone
	left := e.all(sA)
	for minute := range 12 {
		t, want := epochTime.Add(time.Duration(minute)*time.Minute), e.end(sA)
		for _, b := range slices.Backward(left) {
			if !b.MaxTime().Before(t) {
				want = b.Base()
			}
		}
		e.at(t, want)
	}
}
