package enginetest

import (
	"fmt"

	"github.com/parleyhq/parley"
)

var appendChecks = []check{
	{"Append/Visible", "when Append returns, what it wrote is visible to every reader at the position it answered", appendVisible},
	{"Append/Positions", "positions are at least 1 and only increase along a stream; each event of a batch has one", appendPositions},
	{"Append/Nothing", "an Append without writes does nothing", appendNothing},
	{"Append/Several", "all writes of an Append are appended, and the answers are in their order", appendSeveral},
	{"Append/SameStream", "two writes to one stream are applied in order, each comparison seeing the one before", appendSameStream},
	{"Append/OwnCopy", "an engine sets base position and epoch in a copy of its own: the writer's bytes are neither changed nor kept", appendOwnCopy},
	{"Append/MaxWrites", "one Append may have MaxAppendWrites writes", appendMaxWrites},
	{"Append/Guard", "a write without batch appends nothing and answers the base of the stream's newest batch, 0 when there is none", appendGuard},
}

func appendVisible(e *env) {
	for i := range e.suite.Rounds {
		want := fmt.Sprint("event ", i)
		base := e.add(sA, want)
		e.together(2, func(int) error {
			got, err := e.read(sA, base, 1)
			if err != nil || len(got) != 1 || got[0].Base() != base || got[0].values[0] != want {
				return fmt.Errorf("append %d answered %d; a read there gives %v, %w", i, base, got, err)
			}
			return nil
		})
	}
}

func appendPositions(e *env) {
	last := parley.Position(0)
	for n := 1; n <= 5; n++ {
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprintf("%d of %d", i, n)
		}
		base := e.add(sA, values...)
		if base <= last || base < 1 {
			e.Fatalf("a batch went to %d, after %d", base, last)
		}
		last = base + parley.Position(n) - 1
		b := e.from(sA, base)[0]
		if b.Base() != base || b.Last() != last {
			e.Fatalf("a batch of %d events at %d reads as %d to %d", n, base, b.Base(), b.Last())
		}
	}
	for r, err := range e.all(sA)[4].Records() {
		if err != nil || r.Position > last || r.Position <= last-5 {
			e.Fatalf("record at %d, error %v", r.Position, err)
		}
	}
}

func appendNothing(e *env) {
	if got, err := e.log.Append(e.ctx); err != nil || len(got) != 0 {
		e.Fatalf("answers %v, error %v", got, err)
	}
}

func appendSeveral(e *env) {
	bases := e.put(write(sB, "b1", "b2"), write(sA, "a1"), write(sC, "c1"))
	for i, s := range []parley.Stream{sB, sA, sC} {
		if got := e.all(s); len(got) != 1 || got[0].Base() != bases[i] {
			e.Fatalf("write %d was answered with %d; stream %q holds %v", i, bases[i], s.Name, got)
		}
	}
	e.wantValues(sA, "a1")
	e.wantValues(sB, "b1", "b2")
	e.wantValues(sC, "c1")
}

func appendSameStream(e *env) {
	bases := e.put(expecting(parley.Empty, write(sA, "1")), write(sB, "x"), write(sA, "2"), guard(sA, parley.Any))
	if bases[0] >= bases[2] || bases[2] != bases[3] {
		e.Fatalf("answers %v: the second write must be above the first, and the guard sees the second", bases)
	}
	e.wantValues(sA, "1", "2")
	newest := bases[2]
	e.refuse(parley.Conflict, "a comparison with what the write before replaced", write(sA, "3"), expecting(newest, write(sA, "4")))
	e.refuse(parley.Conflict, "a guard on what the write before replaced", expecting(newest, write(sA, "3")), guard(sA, newest))
	e.refuse(parley.Conflict, "Empty twice", expecting(parley.Empty, write(sC, "5")), expecting(parley.Empty, write(sC, "6")))
	e.wantValues(sA, "1", "2")
	e.wantValues(sC)
	e.put(guard(sA, newest), expecting(newest, write(sA, "3")), write(sA, "4"))
	e.wantValues(sA, "1", "2", "3", "4")
}

func appendOwnCopy(e *env) {
	for _, size := range []int{10, 300 << 10} {
		s := parley.Stream{Name: fmt.Sprint("size/", size)}
		b := batchOf("first", string(make([]byte, size)))
		parley.SetBase(b.Bytes(), 777, 99)
		before := b.Clone()
		e.put(parley.Write{Stream: s, Batch: b})
		e.put(parley.Write{Stream: s, Batch: b})
		if string(b.Bytes()) != string(before.Bytes()) {
			e.Fatalf("Append changed the writer's batch of %d bytes", b.Size())
		}
		clear(b.Bytes())
		got := e.all(s)
		if len(got) != 2 || !sameBatch(before, got[0].Batch) || !sameBatch(before, got[1].Batch) {
			e.Fatalf("a batch changed with the writer's buffer of %d bytes", before.Size())
		}
	}
}

func appendMaxWrites(e *env) {
	writes := make([]parley.Write, parley.MaxAppendWrites)
	for i := range writes {
		writes[i] = write(parley.Stream{Name: fmt.Sprintf("many/%d", i%100)}, fmt.Sprint(i))
	}
	e.put(writes...)
	for i := range 100 {
		got := e.values(parley.Stream{Name: fmt.Sprintf("many/%d", i)})
		if len(got) != parley.MaxAppendWrites/100 || got[0] != fmt.Sprint(i) || got[1] != fmt.Sprint(i+100) {
			e.Fatalf("stream %d holds %q", i, got)
		}
	}
}

func appendGuard(e *env) {
	if got := e.put(guard(sA, parley.Any), guard(sA, parley.Empty)); got[0] != 0 || got[1] != 0 {
		e.Fatalf("guards on a stream never written answer %v", got)
	}
	if end := e.end(sA); end != 0 {
		e.Fatalf("a guard moved the end to %d", end)
	}
	base := e.add(sA, "one", "two")
	end := e.end(sA)
	got := e.put(guard(sA, parley.Any), guard(sA, base), guard(sB, parley.Empty))
	if got[0] != base || got[1] != base || got[2] != 0 {
		e.Fatalf("guards answer %v, the newest batch is at %d", got, base)
	}
	if e.end(sA) != end {
		e.Fatalf("a guard moved the end from %d to %d", end, e.end(sA))
	}
	e.put(guard(sA, base), write(sB, "guarded"))
	e.wantValues(sA, "one", "two")
	e.wantValues(sB, "guarded")
}
