package natslog

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// TestIndexCounts holds the index against a list of notes.
func TestIndexCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := index{size: rapid.IntRange(2, 5).Draw(t, "size")}
		var all, left []note
		var low parley.Position
		open := func(b block) (notes []note, err error) {
			for _, n := range left { // what is trimmed cannot be read
				if n.seq >= b.first && n.seq <= b.last {
					notes = append(notes, n)
				}
			}
			return notes, nil
		}
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"Add": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "batches") {
					seq += uint64(rapid.IntRange(1, 3).Draw(t, "gap"))
					n := note{seq: seq, millis: rapid.Int64Range(0, 50).Draw(t, "millis"), size: 100, span: 1, events: int32(rapid.IntRange(1, 3).Draw(t, "events"))}
					all, left = append(all, n), append(left, n)
					x.add(n)
					x.add(n) // once is enough
				}
			},
			"Trim": func(t *rapid.T) {
				if len(left) < 2 {
					return
				}
				low = left[rapid.IntRange(0, len(left)-2).Draw(t, "dropped")].base() + 1
				left = since(left, low)
				for {
					b, whole := x.trim(low)
					if whole {
						break
					}
					notes, _ := open(b)
					x.open(b, notes)
				}
			},
			"Saved": func(t *rapid.T) {
				life, blocks, ok := decodeBlocks(x.encode(7, rapid.SampledFrom([]int{1 << 20, 40}).Draw(t, "bytes")))
				if !ok || life != 7 {
					t.Fatalf("life %d, %v", life, ok)
				}
				restored := index{size: x.size, blocks: blocks}
				for _, n := range left {
					restored.add(n)
				}
				x = restored
			},
			"": func(t *rapid.T) {
				earliest, oldest, events, bytes := x.sums()
				var wantEvents int64
				for _, n := range left {
					wantEvents += int64(n.events)
				}
				if events != wantEvents || bytes != int64(100*len(left)) || len(left) > 0 && (earliest != left[0].base() || oldest != left[0].millis) {
					t.Fatalf("%d events, %d bytes, from %d; want %d events of %d batches", events, bytes, earliest, wantEvents, len(left))
				}
				if len(left) == 0 {
					return
				}
				at, n := parley.Position(rapid.Int64Range(0, int64(baseOf(seq+1))).Draw(t, "at")), rapid.IntRange(1, 20).Draw(t, "n")
				below := left[:len(left)-len(since(left, at))]
				want := left[max(len(below)-n, 0)].base()
				if got, err := x.back(at, n, open); err != nil || got != want {
					t.Fatalf("%d back from %d: %d, %v; want %d", n, at, got, err, want)
				}
				ms, first := rapid.Int64Range(0, 52).Draw(t, "ms"), parley.Position(0)
				if i := slices.IndexFunc(left, func(n note) bool { return n.millis >= ms }); i >= 0 {
					first = left[i].base()
				}
				if got, err := x.at(ms, open); err != nil || got != first {
					t.Fatalf("at %d: %d, %v; want %d", ms, got, err, first)
				}
			},
		})
	})
}

func FuzzDecodeBlocks(f *testing.F) {
	x := index{size: 2}
	for i := range 20 {
		x.add(note{seq: uint64(2*i + 1), millis: int64(i), size: 9, span: 1, events: 1})
	}
	f.Add(x.encode(5, 1<<20))
	f.Add(x.encode(0, 10))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		life, blocks, ok := decodeBlocks(b)
		if !ok {
			return
		}
		x := index{blocks: blocks}
		again, same, ok := decodeBlocks(x.encode(life, 1<<30))
		if !ok || again != life || !slices.Equal(blocks, same) {
			t.Errorf("%v became %v, %v", blocks, same, ok)
		}
	})
}
