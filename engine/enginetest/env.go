package enginetest

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/parleyhq/parley"
)

// sA to sD are the streams of most cases.
var (
	sA = parley.Stream{Name: "a/0"}
	sB = parley.Stream{Name: "b/0"}
	sC = parley.Stream{Name: "c/0"}
	sD = parley.Stream{Name: "d/0"}
)

var epochTime = time.UnixMilli(1_700_000_000_000).UTC()

// batchOf makes a batch of records with these values.
func batchOf(values ...string) parley.Batch { return batchAt(epochTime, values...) }

func batchAt(at time.Time, values ...string) parley.Batch {
	var b parley.Builder
	for _, v := range values {
		if err := b.AddRecord(at, nil, []byte(v)); err != nil {
			panic(err) // the suite's own values fit
		}
	}
	batch, err := b.Batch()
	if err != nil {
		panic(err)
	}
	return batch
}

// write is a Write without comparison.
func write(s parley.Stream, values ...string) parley.Write {
	return parley.Write{Stream: s, Batch: batchOf(values...)}
}

// guard is a comparison alone.
func guard(s parley.Stream, expect parley.Position) parley.Write {
	return parley.Write{Stream: s, Expect: expect}
}

// expecting adds a comparison to a write.
func expecting(expect parley.Position, w parley.Write) parley.Write {
	w.Expect = expect
	return w
}

// try appends and answers as the log does, but checks the answers' number.
func (e *env) try(writes ...parley.Write) ([]parley.Appended, error) {
	got, err := e.log.Append(e.ctx, writes...)
	if err == nil && len(got) != len(writes) {
		err = fmt.Errorf("%d writes, %d answers", len(writes), len(got))
	}
	return got, err
}

// put appends and must succeed; it gives the base positions.
func (e *env) put(writes ...parley.Write) []parley.Position {
	e.Helper()
	got, err := e.try(writes...)
	if err != nil {
		e.Fatalf("Append: %v", err)
	}
	bases := make([]parley.Position, len(got))
	for i, a := range got {
		if a.Repeat {
			e.Fatalf("answer %d is a repeat; no key was given", i)
		}
		bases[i] = a.Base
	}
	return bases
}

// add appends one batch and gives its base position.
func (e *env) add(s parley.Stream, values ...string) parley.Position {
	e.Helper()
	return e.put(write(s, values...))[0]
}

// refuse appends and must be refused with a code.
func (e *env) refuse(code parley.Code, what string, writes ...parley.Write) {
	e.Helper()
	got, err := e.log.Append(e.ctx, writes...)
	e.wantCode(err, code, fmt.Sprintf("%s (answers %v)", what, got))
}

func (e *env) wantCode(err error, code parley.Code, what string) {
	e.Helper()
	if err == nil || parley.CodeOf(err) != code {
		e.Fatalf("%s: error %v, want one of code %q", what, err, code)
	}
}

// stored is a batch as it was read, copied out of its Run.
type stored struct {
	parley.Batch
	values []string
}

func (s stored) String() string { return fmt.Sprintf("%d:%q", s.Base(), s.values) }

// open decodes and copies a batch.
func open(b parley.Batch) (stored, error) {
	if err := b.Check(); err != nil {
		return stored{}, err
	}
	s := stored{Batch: b.Clone()}
	for r, err := range s.Records() {
		if err != nil {
			return stored{}, err
		}
		s.values = append(s.values, string(r.Value))
	}
	return s, nil
}

// unpack copies the batches out of a Run, checks the Run and releases it.
func unpack(run parley.Run, at parley.Position, maxBytes int) ([]stored, error) {
	defer run.Release()
	var got []stored
	next := at
	for b := range run.Batches() {
		s, err := open(b)
		if err != nil {
			return nil, err
		}
		if s.Base() < 1 || s.Last() < at || len(got) > 0 && s.Base() < next {
			return nil, fmt.Errorf("read at %d: a batch of %d to %d after %v", at, s.Base(), s.Last(), got)
		}
		next = s.Next()
		got = append(got, s)
	}
	size := 0
	for _, s := range got {
		size += s.Size()
	}
	switch {
	case size != len(run.Bytes()):
		return nil, fmt.Errorf("read at %d: %d bytes of which %d are whole batches", at, len(run.Bytes()), size)
	case len(got) > 1 && size > maxBytes:
		return nil, fmt.Errorf("read at %d: %d batches of %d bytes, at most %d were asked for", at, len(got), size, maxBytes)
	case run.From() != at || run.Next() != next:
		return nil, fmt.Errorf("read at %d: the run says from %d and next %d; it ends before %d", at, run.From(), run.Next(), next)
	}
	return got, nil
}

// read reads once.
func (e *env) read(s parley.Stream, at parley.Position, maxBytes int) ([]stored, error) {
	run, err := e.log.Read(e.ctx, parley.Place{Stream: s, At: at}, maxBytes)
	if err != nil {
		return nil, err
	}
	return unpack(run, at, maxBytes)
}

// from reads all from a position on, and must succeed.
func (e *env) from(s parley.Stream, at parley.Position) []stored {
	e.Helper()
	var all []stored
	for {
		got, err := e.read(s, at, 1<<20)
		if err != nil {
			e.Fatalf("Read of %q at %d: %v", s.Name, at, err)
		}
		if len(got) == 0 {
			return all
		}
		all = append(all, got...)
		at = got[len(got)-1].Next()
	}
}

// all reads a whole stream.
func (e *env) all(s parley.Stream) []stored { e.Helper(); return e.from(s, 0) }

// values gives the values of all events of a stream.
func (e *env) values(s parley.Stream) []string {
	e.Helper()
	return valuesOf(e.all(s))
}

func valuesOf(batches []stored) (vs []string) {
	for _, b := range batches {
		vs = append(vs, b.values...)
	}
	return vs
}

func (e *env) wantValues(s parley.Stream, want ...string) {
	e.Helper()
	if got := e.values(s); !slices.Equal(got, want) {
		e.Fatalf("stream %q holds %q, want %q", s.Name, got, want)
	}
}

func (e *env) end(s parley.Stream) parley.Position {
	e.Helper()
	end, err := e.log.End(e.ctx, s)
	if err != nil {
		e.Fatalf("End of %q: %v", s.Name, err)
	}
	return end
}

func (e *env) trim(s parley.Stream, upTo parley.Position) {
	e.Helper()
	if err := e.log.Trim(e.ctx, s, upTo); err != nil {
		e.Fatalf("Trim of %q to %d: %v", s.Name, upTo, err)
	}
}

// sameBatch compares a batch as it was appended with how it was read: all but
// base position and epoch.
func sameBatch(appended, read parley.Batch) bool {
	a, r := appended.Bytes(), read.Bytes()
	return len(a) == len(r) && bytes.Equal(a[8:12], r[8:12]) && bytes.Equal(a[16:], r[16:])
}

// settle appends filler to a stream until done answers true, at most so much as
// the engine's grain allows.
func (e *env) settle(s parley.Stream, what string, done func() bool) {
	e.Helper()
	filler := string(bytes.Repeat([]byte("filler! "), 8<<10))
	for n := 0; !done(); n += len(filler) {
		if n > e.suite.Grain {
			e.Fatalf("%s: not after %d bytes more", what, n)
		}
		e.add(s, filler)
	}
}

// trimAway trims a stream until the place is Trimmed, and gives the earliest
// position left.
func (e *env) trimAway(s parley.Stream, at parley.Position) (earliest parley.Position) {
	e.Helper()
	e.settle(s, "Trim drops what lies below the newest batch", func() bool {
		e.trim(s, e.end(s))
		_, err := e.read(s, at, 1)
		if err == nil {
			return false
		}
		e.wantCode(err, parley.Trimmed, "Read below what is left")
		earliest = earliestOf(err)
		return true
	})
	return earliest
}
