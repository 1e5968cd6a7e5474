package queue

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"weak"

	"github.com/parleyhq/parley"
)

// reader reads the jobs stream. Jobs are leased some at a time, and mostly one after
// the other, while the log gives whole batches and checks whole blocks of a segment:
// so what was read last is kept, as long as the garbage collector leaves it. It may be
// used from any goroutine.
type reader struct {
	log    parley.Log
	stream parley.Stream
	last   atomic.Pointer[weak.Pointer[block]]
	next   atomic.Int64 // the place behind it
	size   atomic.Int64 // about the bytes of a job; 0 = not known yet
}

// block is what one Read gave, in memory of its own.
type block struct {
	from, next int64 // the places that it tells of
	records    []parley.Record
}

// How much one Read brings: about what is wanted, but where jobs are leased in order
// so much that it is worth it.
const (
	readAhead = 64 << 10
	readMost  = 256 << 10
	guess     = 4 << 10 // bytes of a job, before any was seen
)

// read gives the records at the places, which ascend, each with the index of its place.
// What is not there, or is damaged, is left out. They may be kept: but then the whole
// block is. Errors: those of Log.Read that may pass.
func (r *reader) read(ctx context.Context, places []int64, got func(int, parley.Record)) error {
	current := false
	for i := 0; i < len(places); {
		b, err := r.block(ctx, places[i:])
		switch code := parley.CodeOf(err); {
		case err != nil && (code == parley.Trimmed || code == parley.Damaged):
			i++
			continue
		case err != nil:
			return err
		}
		if b == nil && !current {
			// The owner's node may be ahead of this one. What the end says is here.
			if _, err := r.log.End(ctx, r.stream); err != nil {
				return err
			}
			current = true
			continue
		}
		if b == nil {
			i++
			continue
		}
		i += b.give(places[i:], func(k int, rec parley.Record) { got(i+k, rec) })
	}
	return nil
}

// give gives what it has of the places, the first of which it tells of, and their
// number.
func (b *block) give(places []int64, got func(int, parley.Record)) (n int) {
	at, _ := slices.BinarySearchFunc(b.records, places[0], func(rec parley.Record, place int64) int {
		return cmp.Compare(int64(rec.Position), place)
	})
	for ; n < len(places) && places[n] < b.next; n++ {
		for at < len(b.records) && int64(b.records[at].Position) < places[n] {
			at++
		}
		if at < len(b.records) && int64(b.records[at].Position) == places[n] {
			got(n, b.records[at])
		}
	}
	return n
}

// block gives the block that begins with the first of the places, or holds it; nil
// where the stream has nothing more.
func (r *reader) block(ctx context.Context, places []int64) (*block, error) {
	if last := r.last.Load(); last != nil {
		if b := last.Value(); b != nil && b.from <= places[0] && places[0] < b.next {
			return b, nil
		}
	}
	size := int(orElse(r.size.Load(), guess))
	want := min(len(places)*(size+size/4), readMost)
	if places[0] == r.next.Load() {
		want = max(want, readAhead)
	}
	run, err := r.log.Read(ctx, parley.Place{Stream: r.stream, At: parley.Position(places[0])}, want)
	if err != nil {
		return nil, err
	}
	defer run.Release()
	if run.Empty() {
		return nil, nil //nolint:nilnil // there is nothing
	}
	b := newBlock(run)
	b.from = places[0]
	r.next.Store(b.next)
	if n := len(b.records); n > 0 {
		r.size.Store(int64(len(run.Bytes())/n + 1))
	}
	if b.next > places[len(places)-1]+1 {
		kept := weak.Make(b)
		r.last.Store(&kept)
	}
	return b, nil
}

// newBlock copies a run. Where a batch is damaged, the places are empty.
func newBlock(run parley.Run) *block {
	text := append([]byte(nil), run.Bytes()...)
	own, n := parley.NewRun(text, run.From(), run.Next(), nil), 0
	for batch := range own.Batches() {
		n += batch.Len()
	}
	b := &block{next: int64(run.Next()), records: make([]parley.Record, 0, n)}
	for rec, err := range own.Records() {
		if err == nil {
			b.records = append(b.records, rec)
		}
	}
	return b
}
