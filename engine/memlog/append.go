package memlog

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parleyhq/parley"
)

// copyFirst is the size from which a batch is copied before the lock is taken,
// into a chunk of its own.
const copyFirst = 64 << 10

// Append implements parley.Log. Beyond the contract's errors it answers Full
// when Options.MaxBytes would be passed.
func (l *Log) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := parley.CheckWrites(writes); err != nil {
		return nil, err
	}
	copies := copyLarge(writes)
	out := make([]parley.Appended, len(writes))

	l.mu.Lock()
	defer l.mu.Unlock()
	if len(writes) == 1 && writes[0].Once != (parley.Key{}) {
		if first, ok := l.repeated(&writes[0]); ok {
			out[0] = parley.Appended{Base: first, Repeat: true}
			return out, nil
		}
	}
	var few [8]*stream
	streams := few[:0]
	for i := range writes {
		streams = append(streams, l.stream(writes[i].Stream))
	}
	err := l.decide(writes, streams, out)
	if err == nil {
		for i := range writes {
			var own []byte
			if copies != nil {
				own = copies[i]
			}
			l.apply(&writes[i], own, streams[i], out[i].Base)
		}
	}
	for _, st := range streams {
		l.drop(st)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// repeated looks a Once key up.
func (l *Log) repeated(w *parley.Write) (parley.Position, bool) {
	st := l.written(w.Stream)
	if st == nil {
		return 0, false
	}
	l.forgetKeys(st)
	return st.once.Get(w.Once)
}

// decide makes all comparisons and gives each write its position, without
// changing anything that a reader could see.
func (l *Log) decide(writes []parley.Write, streams []*stream, out []parley.Appended) error {
	l.commit++
	var grow int64
	for i := range writes {
		w, st := &writes[i], streams[i]
		p := &st.plan
		if p.commit != l.commit {
			*p = plan{l.commit, st.newest, max(st.next, 1)}
		}
		if !holds(w.Expect, p.newest) {
			return conflict(w, p.newest)
		}
		if !w.Batch.IsZero() {
			p.newest = p.next
			p.next += parley.Position(w.Batch.Span())
			grow += l.growth(st, int64(w.Batch.Size()))
		}
		out[i].Base = p.newest
	}
	if l.maxBytes > 0 && grow > 0 && l.bytes+grow > l.maxBytes {
		return &parley.Error{
			Code: parley.Full, Detail: fmt.Sprintf("the log in memory may hold %d bytes and holds %d", l.maxBytes, l.bytes),
			Fix: "shorten the retention, or remove what is not needed",
		}
	}
	return nil
}

// growth is by how much a batch makes its stream larger once the oldest ones
// that StreamBytes does not allow are dropped.
func (l *Log) growth(st *stream, size int64) int64 {
	after := st.bytes + size
	if l.streamBytes > 0 {
		after = min(after, max(l.streamBytes, size))
	}
	return after - st.bytes
}

func holds(expect, newest parley.Position) bool {
	switch expect {
	case parley.Any:
		return true
	case parley.Empty:
		return newest == 0
	}
	return newest == expect
}

func conflict(w *parley.Write, newest parley.Position) error {
	what := fmt.Sprintf("the newest batch is at %d, not at %d", newest, w.Expect)
	if w.Expect == parley.Empty {
		what = fmt.Sprintf("the newest batch is at %d, none was expected", newest)
	}
	return &parley.Error{Code: parley.Conflict, Detail: "stream " + w.Stream.Name + ": " + what, Fix: "read what came in between and decide anew"}
}

// apply does what decide decided; it cannot fail. own is as in push.
func (l *Log) apply(w *parley.Write, own []byte, st *stream, base parley.Position) {
	if w.Batch.IsZero() {
		return
	}
	if st.newest == 0 {
		st.epoch = l.epoch
	}
	before := st.bytes
	st.push(w.Batch, own, base, l.chunkBytes)
	if l.streamBytes > 0 {
		st.shrink(l.streamBytes)
	}
	l.bytes += st.bytes - before
	l.forgetKeys(st)
	if w.Once != (parley.Key{}) {
		st.once.Add(w.Once, base, l.now().Sub(l.opened), window)
	}
	st.watches.Wake(st.next)
}

// copyLarge copies the large batches, each at its write's index; nil when there
// are none.
func copyLarge(writes []parley.Write) [][]byte {
	var copies [][]byte
	for i := range writes {
		if b := writes[i].Batch; b.Size() >= copyFirst {
			if copies == nil {
				copies = make([][]byte, len(writes))
			}
			copies[i] = bytes.Clone(b.Bytes())
		}
	}
	return copies
}
