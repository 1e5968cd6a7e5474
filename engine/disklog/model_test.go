package disklog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/vfs"
)

// machine runs a disklog and a memlog side by side: the same calls must have the
// same answers, across restarts and power cuts.
type machine struct {
	t     *testing.T
	disk  *vfs.Mem
	log   *Log
	stop  func()
	model *memlog.Log
	n     int
	names []parley.Stream
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, disk: vfs.NewMem(), model: memlog.New(memlog.Options{})}
	for _, s := range []string{"a", "b", "$c"} {
		m.names = append(m.names, name(s))
	}
	m.start()
	return m
}

func (m *machine) start() {
	l, err := Open(m.disk, tiny())
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	m.log = l
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	}
}

func (m *machine) batch(r *rapid.T) parley.Batch {
	m.n++
	var b parley.Builder
	at := time.UnixMilli(1_700_000_000_000 + rapid.Int64Range(0, 50).Draw(r, "time"))
	for i := range rapid.IntRange(1, 3).Draw(r, "events") {
		size := rapid.SampledFrom([]int{0, 50, 5000, 20000}).Draw(r, "size")
		if err := b.AddRecord(at, nil, []byte(fmt.Sprint(m.n, ".", i, strings.Repeat("m", size)))); err != nil {
			r.Fatal(err)
		}
	}
	made, err := b.Batch()
	if err != nil {
		r.Fatal(err)
	}
	return made.Clone()
}

func (m *machine) stream(r *rapid.T) parley.Stream {
	return rapid.SampledFrom(m.names).Draw(r, "stream")
}

func (m *machine) write(r *rapid.T) parley.Write {
	w := parley.Write{Stream: m.stream(r)}
	switch rapid.IntRange(0, 4).Draw(r, "expect") {
	case 0:
		w.Expect = parley.Empty
	case 1:
		st, _ := m.model.Stat(context.Background(), w.Stream)
		w.Expect = st.Newest
	case 2:
		w.Expect = parley.Position(rapid.IntRange(1, 9).Draw(r, "at"))
	}
	if rapid.IntRange(0, 4).Draw(r, "guard") > 0 {
		w.Batch = m.batch(r)
	}
	return w
}

// same compares two answers.
func same[T any](r *rapid.T, what string, got, want T, gotErr, wantErr error) {
	if (gotErr == nil) != (wantErr == nil) || gotErr != nil && parley.CodeOf(gotErr) != parley.CodeOf(wantErr) {
		r.Fatalf("%s: %v, the model says %v", what, gotErr, wantErr)
	}
	if gotErr == nil && fmt.Sprint(got) != fmt.Sprint(want) {
		r.Fatalf("%s: %v, the model says %v", what, got, want)
	}
}

func (m *machine) append(r *rapid.T) {
	writes := make([]parley.Write, rapid.IntRange(1, 3).Draw(r, "writes"))
	for i := range writes {
		writes[i] = m.write(r)
	}
	if len(writes) == 1 && !writes[0].Batch.IsZero() && rapid.Bool().Draw(r, "keyed") {
		writes[0].Once = parley.Key{byte(rapid.IntRange(1, 6).Draw(r, "key"))}
	}
	got, err := m.log.Append(context.Background(), writes...)
	want, werr := m.model.Append(context.Background(), writes...)
	same(r, "Append", got, want, err, werr)
}

func (m *machine) remove(r *rapid.T) {
	s := m.stream(r)
	err, werr := m.log.Remove(context.Background(), s), m.model.Remove(context.Background(), s)
	same(r, "Remove", 0, 0, err, werr)
}

// trim trims the log, then the model to where the log really got: it may keep
// more.
func (m *machine) trim(r *rapid.T) {
	ctx, s := context.Background(), m.stream(r)
	end, _ := m.model.End(ctx, s)
	upTo := parley.Position(rapid.Int64Range(0, int64(end)+2).Draw(r, "up to"))
	before, _ := m.log.Stat(ctx, s)
	if err := m.log.Trim(ctx, s, upTo); err != nil {
		r.Fatal(err)
	}
	after, err := m.log.Stat(ctx, s)
	stays := before.Newest
	if run, err := m.model.Read(ctx, parley.Place{Stream: s, At: max(upTo, before.Earliest)}, 1); err == nil && !run.Empty() {
		for b := range run.Batches() {
			stays = min(stays, b.Base())
		}
	}
	if err != nil || after.Earliest > stays {
		r.Fatalf("Trim to %d left %d, the batch at %d was to stay; %v", upTo, after.Earliest, stays, err)
	}
	if after.Earliest > before.Earliest {
		if err := m.model.Trim(ctx, s, after.Earliest); err != nil {
			r.Fatal(err)
		}
	}
}

func (m *machine) rewrite(r *rapid.T) {
	ctx, s := context.Background(), m.stream(r)
	end, _ := m.model.End(ctx, s)
	from := parley.Position(rapid.Int64Range(0, int64(end)).Draw(r, "from"))
	mod := parley.Position(rapid.Int64Range(1, 4).Draw(r, "mod"))
	keep := func(b parley.Batch) (parley.Batch, error) {
		return b.Keep(func(rec parley.Record) bool { return rec.Position%mod != 0 })
	}
	err, werr := m.log.Rewrite(ctx, s, from, end, keep), m.model.Rewrite(ctx, s, from, end, keep)
	same(r, "Rewrite", 0, 0, err, werr)
}

func (m *machine) settle(r *rapid.T) {
	if err := m.log.core.Load().settle(context.Background()); err != nil {
		r.Fatal(err)
	}
}

func (m *machine) restart(*rapid.T) {
	m.stop()
	m.start()
}

func (m *machine) powerCut(r *rapid.T) {
	disk := m.disk.CrashClone(rapid.SampledFrom([]int{0, 100}).Draw(r, "percent"), nil)
	m.stop()
	m.disk = disk
	m.start()
}

// check compares everything that can be asked.
func (m *machine) check(r *rapid.T) {
	ctx := context.Background()
	for _, s := range m.names {
		got, err := m.log.Stat(ctx, s)
		want, werr := m.model.Stat(ctx, s)
		// The log counts whole segments, and has its own epochs.
		got.Bytes, want.Bytes, got.Events, want.Events, got.Epoch, want.Epoch, got.Oldest, want.Oldest = 0, 0, 0, 0, 0, 0, time.Time{}, time.Time{}
		same(r, "Stat of "+s.Name, got, want, err, werr)
		m.compareReads(r, s)
		at := parley.Place{Stream: s, At: parley.Position(rapid.Int64Range(0, int64(want.End)+1).Draw(r, "place"))}
		n := rapid.IntRange(0, 6).Draw(r, "back")
		back, err := m.log.Back(ctx, at, n)
		wantBack, werr := m.model.Back(ctx, at, n)
		same(r, fmt.Sprintf("Back of %v by %d", at, n), back, wantBack, err, werr)
		t := time.UnixMilli(1_700_000_000_000 + rapid.Int64Range(0, 51).Draw(r, "since"))
		since, err := m.log.At(ctx, s, t)
		wantSince, werr := m.model.At(ctx, s, t)
		same(r, "At", since, wantSince, err, werr)
	}
	got, err := m.log.Streams(ctx, "")
	want, werr := m.model.Streams(ctx, "")
	same(r, "Streams", got, want, err, werr)
}

func (m *machine) compareReads(r *rapid.T, s parley.Stream) {
	size := rapid.SampledFrom([]int{1, 3000, 1 << 20}).Draw(r, "bytes")
	from := parley.Position(rapid.IntRange(0, 6).Draw(r, "read from"))
	got, err := readAll(m.log, s, from, size)
	want, werr := readAll(m.model, s, from, size)
	if parley.CodeOf(err) != parley.CodeOf(werr) || !slices.Equal(got, want) {
		r.Fatalf("read of %s from %d by %d: %.300q, %v; the model has %.300q, %v", s.Name, from, size, got, err, want, werr)
	}
}

// readAll gives the batches of a stream, but for their epochs.
func readAll(l parley.Log, s parley.Stream, at parley.Position, size int) (all []string, err error) {
	for {
		run, err := l.Read(context.Background(), parley.Place{Stream: s, At: at}, size)
		if err != nil || run.Empty() {
			return all, err
		}
		for b := range run.Batches() {
			all = append(all, fmt.Sprint(b.Base(), " ", string(b.Bytes()[16:])))
		}
		at = run.Next()
		run.Release()
	}
}

func TestModel(t *testing.T) {
	for range *rounds {
		rapid.Check(t, func(r *rapid.T) {
			m := newMachine(t)
			defer func() { m.stop() }()
			r.Repeat(map[string]func(*rapid.T){
				"append": m.append, "append again": m.append, "append once more": m.append, "trim": m.trim, "remove": m.remove,
				"rewrite": m.rewrite, "settle": m.settle, "restart": m.restart, "power cut": m.powerCut, "": m.check,
			})
		})
	}
}
