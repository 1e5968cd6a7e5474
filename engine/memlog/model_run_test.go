package memlog

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// pair is the log and its model. Its exported methods are the steps that
// TestModel takes.
type pair struct {
	model *model
	log   *Log
}

// TestModel does whatever comes to mind, to the log and to the model, and both
// must give the same answers.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{streams: make(map[parley.Stream]*modelStream), now: time.UnixMilli(1_700_000_000_000)}
		p := &pair{m, New(Options{Epoch: 1, Now: func() time.Time { return m.now }})}
		t.Repeat(rapid.StateMachineActions(p))
	})
}

func (p *pair) stream(t *rapid.T) (parley.Stream, *modelStream) {
	s := rapid.SampledFrom(modelStreams).Draw(t, "stream")
	st := p.model.get(s)
	return s, &st
}

// position draws places around all that may matter in a stream.
func (p *pair) position(t *rapid.T, st *modelStream, name string) parley.Position {
	return parley.Position(rapid.Int64Range(0, int64(st.next)+3).Draw(t, name))
}

// alter changes a stream of the model, if it is there.
func (p *pair) alter(s parley.Stream, f func(st *modelStream)) {
	if st := p.model.streams[s]; st != nil {
		f(st)
	}
}

func (p *pair) Append(t *rapid.T) {
	writes := make([]parley.Write, rapid.SampledFrom([]int{1, 1, 1, 2, 3, 12}).Draw(t, "writes"))
	for i := range writes {
		s, _ := p.stream(t)
		writes[i] = drawWrite(t, p.model, s)
		if i > 0 {
			writes[i].Once = parley.Key{}
		}
	}
	want, code := p.model.append(writes)
	got, err := p.log.Append(t.Context(), writes...)
	if want == nil && parley.CodeOf(err) != code || want != nil && (err != nil || !slices.Equal(got, want)) {
		t.Fatalf("answers %v, %v; want %v, %v", got, err, want, code)
	}
}

// AppendMore makes appending as likely as all that takes away.
func (p *pair) AppendMore(t *rapid.T) { p.Append(t); p.Append(t); p.Append(t) }

func (p *pair) Trim(t *rapid.T) {
	s, st := p.stream(t)
	upTo := p.position(t, st, "up to")
	p.alter(s, func(st *modelStream) { st.trim(upTo) })
	if err := p.log.Trim(t.Context(), s, upTo); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) Remove(t *rapid.T) {
	s, _ := p.stream(t)
	p.alter(s, func(*modelStream) { p.model.lives++; delete(p.model.streams, s) })
	if err := p.log.Remove(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) Rewrite(t *rapid.T) {
	s, st := p.stream(t)
	from, to, odd := p.position(t, st, "from"), p.position(t, st, "to"), rapid.Bool().Draw(t, "odd")
	keep := func(b parley.Batch) (parley.Batch, error) {
		return b.Keep(func(r parley.Record) bool { return (r.Position%2 == 1) == odd })
	}
	p.alter(s, func(st *modelStream) { st.rewrite(from, to, keep) })
	if err := p.log.Rewrite(t.Context(), s, from, to, keep); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) Later(t *rapid.T) {
	p.model.now = p.model.now.Add(time.Duration(rapid.Int64Range(0, int64(parley.OnceWindow)).Draw(t, "nanoseconds")))
}

// Check looks at everything, after each step.
func (p *pair) Check(t *rapid.T) {
	p.checkAll(t)
	s, st := p.stream(t)
	p.checkRead(t, st, parley.Place{Stream: s, At: p.position(t, st, "read at")}, rapid.IntRange(0, 5000).Draw(t, "maxBytes"))
	at, n := p.position(t, st, "back from"), rapid.IntRange(-1, 10).Draw(t, "by")
	if got, err := p.log.Back(t.Context(), parley.Place{Stream: s, At: at}, n); err != nil || got != st.back(at, n) {
		t.Fatalf("Back from %d by %d: %d, %v; want %d", at, n, got, err, st.back(at, n))
	}
	when := p.model.now.Add(time.Duration(rapid.IntRange(-5_000_000, 5_000_000).Draw(t, "microseconds off")) * time.Microsecond)
	if got, err := p.log.At(t.Context(), s, when); err != nil || got != st.at(when) {
		t.Fatalf("At %s: %d, %v; want %d", when, got, err, st.at(when))
	}
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

// checkRead reads once, and again from there, until caught up.
func (p *pair) checkRead(t *rapid.T, st *modelStream, at parley.Place, maxBytes int) {
	start := at.At
	var got []parley.Batch
	for {
		run, err := p.log.Read(t.Context(), at, maxBytes)
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

// checkAll compares what is cheap to compare.
func (p *pair) checkAll(t *rapid.T) {
	var bytes int64
	var names []parley.Stream
	for _, s := range modelStreams {
		st := p.model.get(s)
		want := st.stats()
		bytes += want.Bytes
		if want.Newest != 0 {
			names = append(names, s)
		}
		if got, err := p.log.Stat(t.Context(), s); err != nil || got != want {
			t.Fatalf("Stat of %s: %+v, %v; want %+v", s.Name, got, err, want)
		}
		if end, err := p.log.End(t.Context(), s); err != nil || end != want.End {
			t.Fatalf("End of %s: %d, %v; want %d", s.Name, end, err, want.End)
		}
	}
	if got, err := p.log.Streams(t.Context(), ""); err != nil || !slices.Equal(got, names) {
		t.Fatalf("streams %v, %v; want %v", got, err, names)
	}
	if p.log.bytes != bytes || len(p.log.streams) != len(names) {
		t.Fatalf("the log counts %d bytes in %d streams; there are %d in %d", p.log.bytes, len(p.log.streams), bytes, len(names))
	}
	if err := p.log.sound(); err != nil {
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
