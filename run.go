package parley

import "iter"

// Run is consecutive batches of one stream in one buffer, as Read returns them.
// The zero Run is empty.
type Run struct {
	buf  []byte
	from Position
	next Position
	free func()
}

// NewRun makes a Run of whole, checked batches; it is for engines. from is the
// position asked for, next the one after the last batch, free (may be nil) takes
// the buffer back.
func NewRun(buf []byte, from, next Position, free func()) Run {
	return Run{buf: buf, from: from, next: next, free: free}
}

// Empty says that the reader has caught up.
func (r Run) Empty() bool { return len(r.buf) == 0 }

// From is the position that was asked for: events of the first batch below it
// are not part of what the reader wanted.
func (r Run) From() Position { return r.from }

// Next is the position to read on from.
func (r Run) Next() Position {
	if r.Empty() {
		return r.from
	}
	return r.next
}

// Bytes is the batches, one after the other.
func (r Run) Bytes() []byte { return r.buf }

// Batches walks the batches.
func (r Run) Batches() iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		for rest := r.buf; len(rest) > 0; {
			b, after, err := CutBatch(rest)
			if err != nil || !yield(b) { // whole batches by contract
				return
			}
			rest = after
		}
	}
}

// Records walks the records from From on.
func (r Run) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for b := range r.Batches() {
			for rec, err := range b.Records() {
				if err == nil && rec.Position < r.from {
					continue
				}
				if !yield(rec, err) {
					return
				}
				if err != nil {
					break // the rest of a broken batch cannot be found; the next batch can
				}
			}
		}
	}
}

// Release gives the buffer back. Nothing that was decoded from the Run may be
// used afterwards; it must be called at most once.
func (r Run) Release() {
	if r.free != nil {
		r.free()
	}
}
