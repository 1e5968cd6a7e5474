package disklog

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

const testGen = 7

// sampleGroup encodes a group as the writer does.
func sampleGroup(t testing.TB, off int64) []byte {
	t.Helper()
	st := &stream{number: 3, epoch: 9, name: name("orders/0")}
	g := &group{file: newWALFile(testGen, nil, 1<<20), off: off, millis: 1234, fate: &fate{seq: 5}}
	add := func(kind byte, flags byte, body []byte) {
		frame := append(make([]byte, frameHeader), body...)
		putFrame(frame, kind, flags, st.number)
		g.ops = append(g.ops, op{st: st, kind: kind, frame: frame})
		g.bytes += int64(len(frame))
	}
	b := batch(t, "one", "two")
	parley.SetBase(b.Bytes(), 17, 9)
	add(kindCreate, 0, appendCreate(nil, 9, st.name))
	add(kindCreate, 0, appendCreate(nil, 9, st.name))
	add(kindBatch, flagKey|flagOS, append([]byte("0123456789abcdef"), b.Bytes()...))
	add(kindTrim, 0, be.AppendUint64(nil, 4))
	add(kindRemove, 0, nil)
	return bytes.Join(g.seal(place{6, 99}, make([]byte, commitSize(len(g.ops)))), nil)
}

// TestGroup: what the writer encodes the scanner decodes.
func TestGroup(t *testing.T) {
	file := append(make([]byte, 50), sampleGroup(t, 50)...)
	c, ok := cutGroup(testGen, file, 50)
	if !ok || c.seq != 5 || c.start != 50 || c.synced != (place{6, 99}) || c.millis != 1234 || c.end != int64(len(file)) {
		t.Fatalf("%v %+v", ok, c)
	}
	frames, bad := c.frames(testGen, file)
	if len(bad) > 0 || len(frames) != 5 {
		t.Fatalf("%d frames, bad %v", len(frames), bad)
	}
	epoch, s, ok := parseCreate(frames[0].body)
	if !ok || epoch != 9 || s != name("orders/0") {
		t.Fatalf("create: %d %v %v", epoch, s, ok)
	}
	if f := frames[2]; f.batch.Base() != 17 || f.batch.Epoch() != 9 || string(f.key[:]) != "0123456789abcdef" || f.stream != 3 {
		t.Fatalf("batch: %+v", f)
	}
}

// TestFrameBits: no bit of a group may change, and none passes under the
// generation of another file.
func TestFrameBits(t *testing.T) {
	whole := sampleGroup(t, 0)
	intact := func(gen uint64, b []byte) bool {
		c, ok := cutGroup(gen, b, 0)
		if !ok {
			return false
		}
		_, bad := c.frames(gen, b)
		return len(bad) == 0
	}
	if !intact(testGen, whole) {
		t.Fatal("a sound group is refused")
	}
	if intact(testGen+1, whole) {
		t.Fatal("a group passes in a file of another generation")
	}
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if intact(testGen, b) {
			t.Fatalf("bit %d of %d changed, and the group passes", bit, len(b)*8)
		}
	}
	// A frame alone: the commit frame's list is not all that protects it.
	c, _ := cutGroup(testGen, whole, 0)
	for i, l := range c.list {
		for bit := range 8 * l.size {
			b := bytes.Clone(whole[l.off : l.off+l.size])
			b[bit/8] ^= 1 << (bit % 8)
			if _, err := parseFrame(testGen, b); err == nil {
				t.Fatalf("frame %d: bit %d changed, and it passes", i, bit)
			}
		}
	}
}

// TestScan: a group that fails its check is cut when it is the last and nothing
// says that it was flushed, and is damage when a later group says so.
func TestScan(t *testing.T) {
	first := sampleGroup(t, 0)
	note := func(synced int64) []byte { // an empty group behind it
		g := &group{file: newWALFile(testGen, nil, 1<<20), off: int64(len(first)), fate: &fate{seq: 6}}
		return bytes.Join(g.seal(place{testGen, synced}, make([]byte, commitSize(0))), nil)
	}
	c, _ := cutGroup(testGen, first, 0)
	hurt := bytes.Clone(first)
	hurt[c.list[2].off+frameHeader+keyBytes+parley.BatchHeader] ^= 1 // in the batch
	type outcome struct {
		groups, bad, lost int
		torn              bool
	}
	for what, at := range map[string]struct {
		file []byte
		want outcome
	}{
		"sound":                     {first, outcome{groups: 1}},
		"sound, free space":         {append(bytes.Clone(first), make([]byte, 100)...), outcome{groups: 1}},
		"torn":                      {hurt, outcome{torn: true}},
		"torn, and one behind":      {append(bytes.Clone(hurt), note(0)...), outcome{torn: true}},
		"cut short":                 {first[:len(first)-1], outcome{torn: true}},
		"damaged":                   {append(bytes.Clone(hurt), note(int64(len(first)))...), outcome{groups: 2, bad: 1}},
		"damaged commit frame":      {append(flipped(first, c.end-1), note(int64(len(first)))...), outcome{groups: 1, lost: 1}},
		"two groups, nothing wrong": {append(bytes.Clone(first), note(0)...), outcome{groups: 2}},
	} {
		var got outcome
		s := scan{
			gens: []uint64{testGen}, seq: 4, load: func(uint64) ([]byte, error) { return at.file, nil },
			group: func(_ uint64, _ *commit, _ []frame, bad []int) { got.groups++; got.bad += len(bad) },
			lost:  func(place, []byte, string) { got.lost++ },
		}
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		if got.torn = s.torn; got != at.want {
			t.Errorf("%s: %+v, want %+v", what, got, at.want)
		}
	}
}

func flipped(b []byte, at int64) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func sampleSegment(t testing.TB) (*segment, []byte) {
	t.Helper()
	var file []byte
	w := builder{segment: segment{id: 1, stream: 3}, emit: func(b []byte) error { file = append(file, b...); return nil }}
	at := parley.Position(1)
	for i := range 10 {
		b := batch(t, strings.Repeat("v", 100*i), "w")
		parley.SetBase(b.Bytes(), at, 1)
		at = b.Next()
		if err := w.add(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(); err != nil || w.marks < 2 {
		t.Fatal(w.marks, err)
	}
	return &w.segment, file
}

// TestSegmentBits: with any bit of a segment's file changed, reading it gives
// what was written, or an error.
func TestSegmentBits(t *testing.T) {
	s, whole := sampleSegment(t)
	disk := vfs.NewMem()
	if err := disk.MkdirAll("seg"); err != nil {
		t.Fatal(err)
	}
	if err := vfs.ReplaceFile(disk, segmentName(1), whole); err != nil {
		t.Fatal(err)
	}
	for bit := range int64(8 * len(whole)) {
		if err := disk.FlipBit(segmentName(1), bit); err != nil {
			t.Fatal(err)
		}
		f, marks, err := openSegment(disk, s)
		if err == nil {
			var got []byte
			h := handle{seg: s, f: f, marks: marks}
			for i := range marks {
				b, rerr := readExactly(f, int64(marks[i].off), h.blockEnd(i)-int64(marks[i].off))
				if rerr == nil {
					rerr = checkBlock(marks[i], b)
				}
				if rerr != nil {
					err = rerr
				}
				got = append(got, b...)
			}
			if err == nil && !bytes.Equal(got, whole[:s.size]) {
				t.Fatalf("bit %d changed, and nothing was said", bit)
			}
			_ = f.Close()
		}
		if err := disk.FlipBit(segmentName(1), bit); err != nil {
			t.Fatal(err)
		}
	}
}

func sampleMeta() *meta {
	return &meta{
		seq: 1, epoch: 2, number: 3, segment: 4, group: 5, first: 6, generation: 7, clean: true, boot: "boot",
		sealed: []place{{6, 100}}, keys: []keyFile{{5, 77}}, epochs: []newEpoch{{9, 10}},
		streams: []metaStream{{
			number: 3, name: parley.Stream{Namespace: "n", Name: "a/0"}, epoch: 2, atOS: true, newest: 8, next: 9, low: 4, damaged: "why",
			segs: []*segment{{id: 1, stream: 3, base: 4, next: 9, size: 100, events: 5, until: 6, oldest: 2, heads: 3, marks: 1}},
		}},
	}
}

func TestMeta(t *testing.T) {
	b := sampleMeta().encode()
	got, err := decodeMeta(b)
	if err != nil || !reflect.DeepEqual(got, sampleMeta()) {
		t.Fatalf("%+v, %v", got, err)
	}
	for bit := range 8 * len(b) {
		bad := bytes.Clone(b)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeMeta(bad); err == nil {
			t.Fatalf("bit %d changed, and it passes", bit)
		}
	}
}

func TestMergeRange(t *testing.T) {
	for _, c := range []struct {
		sizes []int64
		from  int
		ok    bool
	}{
		{nil, 0, false},
		{[]int64{1, 1, 1}, 0, false},
		{[]int64{1, 1, 1, 1, 1, 1, 1, 1}, 0, true},
		{[]int64{90, 1, 1, 1, 1, 1, 1, 1, 1}, 1, true},
		{[]int64{50, 50, 1, 1, 1, 1, 1, 1, 1, 1}, 2, true},
		{[]int64{1, 1, 1, 1, 1, 1, 1, 40}, 1, false},
	} {
		if from, ok := mergeRange(c.sizes, 45); ok != c.ok || ok && from != c.from {
			t.Errorf("%v: from %d, %v", c.sizes, from, ok)
		}
	}
}

func FuzzLog(f *testing.F) {
	f.Add(sampleGroup(f, 0))
	f.Add(append(sampleGroup(f, 0), "PLF\x05torn"...))
	f.Add([]byte("PLF\x01\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fold := newFold(&meta{})
		s := scan{gens: []uint64{testGen}, seq: 4, load: func(uint64) ([]byte, error) { return b, nil }, group: fold.group, lost: fold.lostAll}
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		if s.end.off > int64(len(b)) {
			t.Fatalf("ends at %d of %d", s.end.off, len(b))
		}
	})
}

func FuzzSegment(f *testing.F) {
	s, whole := sampleSegment(f)
	f.Add(whole[s.size:])
	f.Add([]byte("PLSEG"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if marks, err := s.parseIndex(b); err == nil && !slices.IsSortedFunc(marks, func(a, b mark) int { return int(a.off) - int(b.off) }) {
			t.Fatal("not in order")
		}
		_, _ = s.rebuild(b)
		_ = checkBlock(mark{}, b)
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(sampleMeta().encode())
	f.Add([]byte(metaMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := be.AppendUint32(b, checksum(b)) // let it past the CRC
		for _, b := range [][]byte{b, sealed} {
			if m, err := decodeMeta(b); err == nil {
				again, err := decodeMeta(m.encode())
				if err != nil || !reflect.DeepEqual(m, again) {
					t.Fatalf("%v", err)
				}
			}
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(encodeKeys([]keyed{{1, parley.Key{2}, 3, 4}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if keys, err := decodeKeys(b); err == nil && !bytes.Equal(encodeKeys(keys), b) {
			t.Fatal("another encoding passes")
		}
	})
}
