package memlog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"pgregory.net/rapid"
)

// model is the contract without any thought of speed: lists, walked from the
// front. Two things are its own to know: positions are dense from 1, and the
// engine drops and rewrites exactly what it may.
type model struct {
	streams map[parley.Stream]*modelStream
	now     time.Time
	lives   uint32
}

type modelStream struct {
	epoch   uint32
	batches []parley.Batch // with base and epoch set
	next    parley.Position
	newest  parley.Position
	low     parley.Position
	keys    []modelKey
}

type modelKey struct {
	key  parley.Key
	base parley.Position
	at   time.Time
}

func (m *model) get(s parley.Stream) modelStream {
	if st := m.streams[s]; st != nil {
		return *st
	}
	return modelStream{next: 1}
}

func (m *model) append(writes []parley.Write) ([]parley.Appended, parley.Code) {
	const ok = parley.Code(255)
	if w := writes[0]; w.Once != (parley.Key{}) {
		if len(writes) > 1 || w.Batch.IsZero() {
			return nil, parley.Invalid
		}
		st := m.get(w.Stream)
		for _, k := range st.keys {
			if k.key == w.Once && m.now.Sub(k.at) <= parley.OnceWindow {
				return []parley.Appended{{Base: k.base, Repeat: true}}, ok
			}
		}
	}
	after := maps.Clone(m.streams) // applied as a whole, or not at all
	out := make([]parley.Appended, len(writes))
	for i, w := range writes {
		st := modelStream{next: 1}
		if old := after[w.Stream]; old != nil {
			st = *old
		}
		if w.Expect == parley.Empty && st.newest != 0 || w.Expect > 0 && w.Expect != st.newest {
			return nil, parley.Conflict
		}
		if out[i].Base = st.newest; w.Batch.IsZero() {
			continue
		}
		if st.newest == 0 {
			st.epoch = 1 + m.lives
		}
		b := w.Batch.Clone()
		parley.SetBase(b.Bytes(), st.next, st.epoch)
		st.batches = append(slices.Clone(st.batches), b)
		st.newest, st.next = st.next, b.Next()
		out[i].Base = st.newest
		if w.Once != (parley.Key{}) {
			st.keys = append(slices.Clone(st.keys), modelKey{w.Once, st.newest, m.now})
		}
		after[w.Stream] = &st
	}
	m.streams = after
	return out, ok
}

// readable gives the batches from a position on.
func (st *modelStream) readable(at parley.Position) (all []parley.Batch) {
	for _, b := range st.batches {
		if b.Next() > at {
			all = append(all, b)
		}
	}
	return all
}

func (st *modelStream) trim(upTo parley.Position) {
	for len(st.batches) > 1 && st.batches[0].Next() <= upTo {
		st.low = st.batches[0].Next()
		st.batches = st.batches[1:]
	}
}

func (st *modelStream) rewrite(from, to parley.Position, keep func(parley.Batch) (parley.Batch, error)) {
	var left []parley.Batch
	for _, b := range st.batches {
		if b.Base() >= from && b.Next() <= to && b.Base() != st.newest {
			b, _ = keep(b)
		}
		if b.Len() > 0 {
			left = append(left, b)
		}
	}
	st.batches = left
}

func (st *modelStream) stats() (s parley.Stats) {
	if st.newest == 0 {
		return s
	}
	first := st.batches[0]
	s = parley.Stats{Earliest: first.Base(), End: st.next, Newest: st.newest, Oldest: first.MaxTime(), Epoch: st.epoch}
	for _, b := range st.batches {
		s.Bytes += int64(b.Size())
		s.Events += int64(b.Len())
	}
	return s
}

func (st *modelStream) back(at parley.Position, n int) parley.Position {
	var below []parley.Position
	for _, b := range st.batches {
		if b.Base() < at {
			below = append(below, b.Base())
		}
	}
	switch {
	case n < 1:
		return at
	case n <= len(below):
		return below[len(below)-n]
	}
	return st.stats().Earliest
}

func (st *modelStream) at(t time.Time) parley.Position {
	for _, b := range st.batches {
		if !b.MaxTime().Before(t.Truncate(time.Millisecond)) {
			return b.Base()
		}
	}
	return st.stats().End
}

// drawBatch makes batches small and large enough to fill, and to have, chunks
// of their own.
func drawBatch(t *rapid.T, now time.Time) parley.Batch {
	var b parley.Builder
	at := now.Add(time.Duration(rapid.IntRange(-3000, 3000).Draw(t, "ms off")) * time.Millisecond)
	for range rapid.IntRange(1, 4).Draw(t, "records") {
		size := rapid.OneOf(rapid.IntRange(0, 50), rapid.IntRange(500, 1500), rapid.Just(copyFirst)).Draw(t, "size")
		if err := b.AddRecord(at, nil, bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, size)); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func drawWrite(t *rapid.T, m *model, s parley.Stream) parley.Write {
	st := m.get(s)
	w := parley.Write{Stream: s}
	w.Expect = rapid.SampledFrom([]parley.Position{parley.Any, parley.Any, parley.Any, parley.Empty, st.newest, st.next, 1, 2}).Draw(t, "expect")
	if rapid.IntRange(0, 5).Draw(t, "guard") > 0 {
		w.Batch = drawBatch(t, m.now)
	}
	if rapid.IntRange(0, 3).Draw(t, "keyed") == 0 {
		w.Once[0] = byte(rapid.IntRange(1, 5).Draw(t, "key"))
	}
	return w
}

var modelStreams = []parley.Stream{{Name: "a"}, {Name: "b"}, {Name: "c"}}

// TestModel does whatever comes to mind, to the log and to the model, and both
// must give the same answers.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{streams: make(map[parley.Stream]*modelStream), now: time.UnixMilli(1_700_000_000_000)}
		l := New(Options{Epoch: 1, Now: func() time.Time { return m.now }})
		stream := rapid.SampledFrom(modelStreams)
		// position draws places around all that may matter in a stream.
		position := func(t *rapid.T, s parley.Stream) parley.Position {
			return parley.Position(rapid.Int64Range(0, int64(m.get(s).next)+3).Draw(t, "position"))
		}
		alter := func(s parley.Stream, f func(st *modelStream)) {
			if st := m.streams[s]; st != nil {
				f(st)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				writes := make([]parley.Write, rapid.SampledFrom([]int{1, 1, 1, 2, 3, 12}).Draw(t, "writes"))
				for i := range writes {
					writes[i] = drawWrite(t, m, stream.Draw(t, "stream"))
					if i > 0 {
						writes[i].Once = parley.Key{}
					}
				}
				want, code := m.append(writes)
				got, err := l.Append(t.Context(), writes...)
				if want == nil && parley.CodeOf(err) != code || want != nil && (err != nil || !slices.Equal(got, want)) {
					t.Fatalf("answers %v, %v; want %v, %v", got, err, want, code)
				}
			},
			"trim": func(t *rapid.T) {
				s := stream.Draw(t, "stream")
				upTo := position(t, s)
				alter(s, func(st *modelStream) { st.trim(upTo) })
				if err := l.Trim(t.Context(), s, upTo); err != nil {
					t.Fatal(err)
				}
			},
			"remove": func(t *rapid.T) {
				s := stream.Draw(t, "stream")
				alter(s, func(*modelStream) { m.lives++; delete(m.streams, s) })
				if err := l.Remove(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			},
			"rewrite": func(t *rapid.T) {
				s := stream.Draw(t, "stream")
				from, to, odd := position(t, s), position(t, s), rapid.Bool().Draw(t, "odd")
				keep := func(b parley.Batch) (parley.Batch, error) {
					return b.Keep(func(r parley.Record) bool { return r.Position%2 == 1 == odd })
				}
				alter(s, func(st *modelStream) { st.rewrite(from, to, keep) })
				if err := l.Rewrite(t.Context(), s, from, to, keep); err != nil {
					t.Fatal(err)
				}
			},
			"later": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(parley.OnceWindow)).Draw(t, "nanoseconds")))
			},
			"look": func(t *rapid.T) {
				s := stream.Draw(t, "stream")
				st := m.get(s)
				checkRead(t, l, &st, parley.Place{Stream: s, At: position(t, s)}, rapid.IntRange(0, 5000).Draw(t, "maxBytes"))
				at, n := position(t, s), rapid.IntRange(-1, 10).Draw(t, "back")
				if got, err := l.Back(t.Context(), parley.Place{Stream: s, At: at}, n); err != nil || got != st.back(at, n) {
					t.Fatalf("Back from %d by %d: %d, %v; want %d", at, n, got, err, st.back(at, n))
				}
				when := m.now.Add(time.Duration(rapid.IntRange(-5_000_000, 5_000_000).Draw(t, "µs off")) * time.Microsecond)
				if got, err := l.At(t.Context(), s, when); err != nil || got != st.at(when) {
					t.Fatalf("At %s: %d, %v; want %d", when, got, err, st.at(when))
				}
			},
			"": func(t *rapid.T) { checkAll(t, l, m) },
		})
	})
}

// checkRead reads once, and again from there, until caught up.
func checkRead(t *rapid.T, l *Log, st *modelStream, at parley.Place, maxBytes int) {
	start := at.At
	var got []parley.Batch
	for {
		run, err := l.Read(t.Context(), at, maxBytes)
		if trimmed := at.At > 0 && at.At < st.low; trimmed || err != nil {
			if !trimmed || parley.CodeOf(err) != parley.Trimmed {
				t.Fatalf("read at %d: %v; trimmed below %d", at.At, err, st.low)
			}
			return
		}
		if run.Empty() {
			break
		}
		n := 0
		for b := range run.Batches() {
			got = append(got, b)
			n++
		}
		if n > 1 && len(run.Bytes()) > maxBytes {
			t.Fatalf("read at %d: %d batches, %d bytes of %d", at.At, n, len(run.Bytes()), maxBytes)
		}
		at.At = run.Next()
	}
	want := st.readable(start)
	if !slices.EqualFunc(got, want, func(a, b parley.Batch) bool { return bytes.Equal(a.Bytes(), b.Bytes()) }) {
		t.Fatalf("read from %d: %d batches, or others, instead of %d", start, len(got), len(want))
	}
}

// checkAll compares what is cheap to compare, after every step.
func checkAll(t *rapid.T, l *Log, m *model) {
	var bytes int64
	var names []parley.Stream
	for _, s := range modelStreams {
		st := m.get(s)
		want := st.stats()
		bytes += want.Bytes
		if want.Newest != 0 {
			names = append(names, s)
		}
		if got, err := l.Stat(t.Context(), s); err != nil || got != want {
			t.Fatalf("Stat of %s: %+v, %v; want %+v", s.Name, got, err, want)
		}
		if end, err := l.End(t.Context(), s); err != nil || end != want.End {
			t.Fatalf("End of %s: %d, %v; want %d", s.Name, end, err, want.End)
		}
	}
	if got, err := l.Streams(t.Context(), ""); err != nil || !slices.Equal(got, names) {
		t.Fatalf("streams %v, %v; want %v", got, err, names)
	}
	if l.bytes != bytes || len(l.streams) != len(names) {
		t.Fatalf("the log counts %d bytes in %d streams; there are %d in %d", l.bytes, len(l.streams), bytes, len(names))
	}
	if err := l.sound(); err != nil {
		t.Fatal(err)
	}
}

// sound checks what must always hold inside.
func (l *Log) sound() error {
	for s, st := range l.streams {
		if st.newest == 0 {
			continue
		}
		prev := mark{}
		for _, c := range st.chunks {
			if len(c.marks) == 0 {
				return fmt.Errorf("stream %s has a chunk without a batch", s.Name)
			}
			for i, m := range c.marks {
				if m.base < prev.next || i > 0 && m.off != prev.end || m.until < prev.until {
					return fmt.Errorf("stream %s: mark %+v after %+v", s.Name, m, prev)
				}
				prev = m
			}
		}
		if prev.base != st.newest || prev.next != st.next {
			return fmt.Errorf("stream %s: the last mark is %+v, the newest batch at %d", s.Name, prev, st.newest)
		}
	}
	return nil
}
