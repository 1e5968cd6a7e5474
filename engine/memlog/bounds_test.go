package memlog

import (
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func stat(t testing.TB, l *Log, s parley.Stream) parley.Stats {
	t.Helper()
	st, err := l.Stat(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestStreamBytesDropsTheOldest(t *testing.T) {
	const bound = 10_000
	l := New(Options{StreamBytes: bound})
	size := int64(oneRecord(t, 100).Size())
	for i := range parley.Position(1000) {
		put(t, l, sA, 100)
		st := stat(t, l, sA)
		kept := min(int64(i)+1, bound/size)
		if st.Bytes != kept*size || st.Events != kept || st.Newest != i+1 || st.Earliest != i+2-parley.Position(kept) {
			t.Fatalf("after %d batches of %d bytes: %+v", i+1, size, st)
		}
	}
	held := 0
	for _, c := range l.streams[sA].chunks {
		held += cap(c.buf)
	}
	if held > bound*3/2 {
		t.Fatalf("%d bytes are held for a bound of %d", held, bound)
	}
	if _, err := l.Read(t.Context(), parley.Place{Stream: sA, At: 1}, 1); parley.CodeOf(err) != parley.Trimmed {
		t.Fatalf("below what was dropped: %v", err)
	}
	base := put(t, l, sA, 2*bound)
	if st := stat(t, l, sA); st.Events != 1 || st.Earliest != base {
		t.Fatalf("a batch larger than the bound must be all that is left: %+v", st)
	}
	put(t, l, sA, 1)
	if st := stat(t, l, sA); st.Events != 1 || st.Earliest != base+1 {
		t.Fatalf("the large batch must give way to the next: %+v", st)
	}
	if l.bytes != stat(t, l, sA).Bytes {
		t.Fatalf("the log counts %d bytes", l.bytes)
	}
}

func TestMaxBytesRefuses(t *testing.T) {
	size := int64(oneRecord(t, 100).Size())
	l := New(Options{MaxBytes: 10 * size})
	for range 5 {
		put(t, l, sA, 100)
		put(t, l, sB, 100)
	}
	w := parley.Write{Stream: sA, Batch: oneRecord(t, 100)}
	for range 3 {
		if _, err := l.Append(t.Context(), parley.Write{Stream: sB}, w); parley.CodeOf(err) != parley.Full {
			t.Fatalf("over the bound: %v", err)
		}
	}
	if got, err := l.Append(t.Context(), parley.Write{Stream: sB}); err != nil || got[0].Base != 5 {
		t.Fatalf("a guard needs no room: %v, %v", got, err)
	}
	if err := l.Trim(t.Context(), sA, 3); err != nil {
		t.Fatal(err)
	}
	put(t, l, sA, 100)
	put(t, l, sB, 100)
	if _, err := l.Append(t.Context(), w); parley.CodeOf(err) != parley.Full {
		t.Fatalf("over the bound again: %v", err)
	}
	if err := l.Remove(t.Context(), sB); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		put(t, l, sB, 100)
	}
	if l.bytes != 10*size {
		t.Fatalf("the log counts %d bytes, there are %d", l.bytes, 10*size)
	}
}

// With both bounds, a stream at its own drops instead of being refused.
func TestBothBounds(t *testing.T) {
	size := int64(oneRecord(t, 100).Size())
	l := New(Options{MaxBytes: 4 * size, StreamBytes: 2 * size})
	for range 10 {
		put(t, l, sA, 100)
		put(t, l, sB, 100)
	}
	w := parley.Write{Stream: parley.Stream{Name: "c"}, Batch: oneRecord(t, 100)}
	if _, err := l.Append(t.Context(), w); parley.CodeOf(err) != parley.Full {
		t.Fatalf("a third stream: %v", err)
	}
	if len(l.streams) != 2 {
		t.Fatalf("what was refused left %d streams", len(l.streams))
	}
}

func TestOnceWindow(t *testing.T) {
	now := time.UnixMilli(0)
	l := New(Options{Now: func() time.Time { return now }})
	w := parley.Write{Stream: sA, Once: parley.Key{1}, Batch: oneRecord(t, 1)}
	repeat := func() bool {
		got, err := l.Append(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return got[0].Repeat
	}
	if repeat() {
		t.Fatal("the first is a repeat")
	}
	now = now.Add(parley.OnceWindow)
	if !repeat() {
		t.Fatal("forgotten at the end of the window")
	}
	now = now.Add(1)
	if repeat() {
		t.Fatal("remembered beyond the window, and for ever")
	}
	now = now.Add(parley.OnceWindow + 1)
	stat(t, l, sA)
	if n := l.streams[sA].once.Len(); n != 0 {
		t.Fatalf("%d keys are left after the window", n)
	}
}

func TestEpochsOfTwoLogsDiffer(t *testing.T) {
	seen := make(map[uint32]bool)
	for range 4 {
		l := New(Options{})
		put(t, l, sA, 1)
		seen[stat(t, l, sA).Epoch] = true
	}
	if len(seen) < 2 || seen[0] {
		t.Fatalf("epochs %v", seen)
	}
}
