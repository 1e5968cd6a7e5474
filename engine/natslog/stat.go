package natslog

import (
	"context"
	"sort"
	"time"

	"github.com/parleyhq/parley"
)

// note is what the index keeps of one batch.
type note struct {
	seq    uint64
	millis int64 // latest time of a record
	size   int32
	span   int32
	events int32
}

func (n note) base() parley.Position { return baseOf(n.seq) }

// index is what this node knows of all batches of a stream that are left. It is
// made by reading the stream once, when somebody first asks, and kept up by the
// tail. It is guarded by Log.mu.
type index struct {
	notes []note
	made  chan struct{} // closed when it is whole
	err   error
}

// add takes a batch in that the tail brings.
func (x *index) add(it item) {
	if n := len(x.notes); n == 0 || x.notes[n-1].seq < it.seq {
		x.notes = append(x.notes, noteOf(it))
	}
}

func noteOf(it item) note {
	b := it.batch
	return note{seq: it.seq, millis: b.MaxTime().UnixMilli(), size: int32(b.Size()), span: int32(b.Span()), events: int32(b.Len())}
}

// trim forgets what was trimmed away.
func (x *index) trim(low parley.Position) {
	n := sort.Search(len(x.notes), func(i int) bool { return x.notes[i].base() >= low })
	x.notes = x.notes[n:]
}

// indexed gives a stream with its index, as it is in the whole cluster now.
func (l *Log) indexed(ctx context.Context, s parley.Stream) (*home, *stream, error) {
	for {
		h, st, err := l.current(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		l.mu.Lock()
		x, mine := st.index, false
		if x == nil {
			x, mine = &index{made: make(chan struct{})}, true
			st.index = x
		}
		l.mu.Unlock()
		if mine {
			h.survey(ctx, st, x)
		}
		select {
		case <-x.made:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		l.mu.Lock()
		whole := st.index == x && x.err == nil
		l.mu.Unlock()
		if whole {
			return h, st, nil
		}
		if mine && x.err != nil {
			return nil, nil, x.err
		}
	}
}

// survey reads all that is there and puts it before what the tail brought
// meanwhile.
func (h *home) survey(ctx context.Context, st *stream, x *index) {
	var notes []note
	h.l.mu.Lock()
	at := st.low
	h.l.mu.Unlock()
	var err error
	for from := at; ; {
		var items []item
		if items, err = h.fetch(ctx, st.name, from, 1<<20); err != nil || len(items) == 0 {
			break
		}
		for _, it := range items {
			if n := len(notes); n == 0 || notes[n-1].seq < it.seq {
				notes = append(notes, noteOf(it))
			}
		}
		next := items[len(items)-1].next()
		if next <= from {
			break
		}
		from = next
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	defer close(x.made)
	if x.err = err; err != nil {
		if st.index == x {
			st.index = nil
		}
		return
	}
	for _, n := range x.notes {
		if k := len(notes); k == 0 || notes[k-1].seq < n.seq {
			notes = append(notes, n)
		}
	}
	x.notes = notes
}

// Stat implements parley.Statter. The first time that it, Back or At is called for
// a stream on a node, the stream is read once.
func (l *Log) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	h, st, err := l.indexed(ctx, s)
	if err != nil {
		return parley.Stats{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := st.left()
	if len(notes) == 0 {
		return parley.Stats{}, nil
	}
	last := notes[len(notes)-1]
	out := parley.Stats{
		Earliest: notes[0].base(), Low: st.low, End: last.base() + parley.Position(last.span), Newest: last.base(),
		Oldest: time.UnixMilli(notes[0].millis).UTC(), Epoch: h.epoch(st),
	}
	for _, n := range notes {
		out.Bytes += int64(n.size)
		out.Events += int64(n.events)
	}
	return out, nil
}

// left gives the notes of the batches that are left. Log.mu is held.
func (st *stream) left() []note {
	if st.index == nil || !st.written() {
		return nil
	}
	st.index.trim(max(st.low, baseOf(st.life)))
	return st.index.notes
}

// Back implements parley.Backer.
func (l *Log) Back(ctx context.Context, at parley.Place, n int) (parley.Position, error) {
	if err := checkPlace(at); err != nil {
		return 0, err
	}
	if n < 1 {
		return at.At, ctx.Err()
	}
	_, st, err := l.indexed(ctx, at.Stream)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := st.left()
	if len(notes) == 0 {
		return 0, nil
	}
	below := sort.Search(len(notes), func(i int) bool { return notes[i].base() >= at.At })
	return notes[max(below-n, 0)].base(), nil
}

// At implements parley.Timer.
func (l *Log) At(ctx context.Context, s parley.Stream, t time.Time) (parley.Position, error) {
	_, st, err := l.indexed(ctx, s)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range st.left() {
		if n.millis >= t.UnixMilli() {
			return n.base(), nil
		}
	}
	return st.end, nil
}
