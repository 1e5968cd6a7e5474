package natslog

import (
	"cmp"
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/watch"
)

// stream is what this node knows of one stream: all that the tail delivered,
// and, once loaded, all that was there before. Everything is guarded by Log.mu.
type stream struct {
	name   parley.Stream
	loaded bool          // newest, life and low are the truth as of the tail
	load   chan struct{} // closed when the load under way has ended

	newest uint64          // sequence of the newest batch; 0 = none
	end    parley.Position // after it; 0 = none
	life   uint64          // see mark
	low    parley.Position
	acked  uint64 // sequence of the newest batch that this node appended

	cover   parley.Position // from here on the ring has everything
	recent  []item          // the stream's part of the ring
	watches watch.List[parley.Position]
	index   *counted // nil until somebody asks for statistics
}

// item is one batch in the ring.
type item struct {
	seq   uint64
	batch parley.Batch // position and epoch not yet set
}

func (i item) base() parley.Position { return baseOf(i.seq) }
func (i item) next() parley.Position { return i.base() + parley.Position(i.batch.Span()) }

// find gives what is known of a stream, and begins to know it. Log.mu is held.
func (h *home) find(s parley.Stream) *stream {
	st := h.streams[s]
	if st == nil {
		st = &stream{name: s, cover: baseOf(h.ring.floor + 1)}
		h.streams[s] = st
	}
	return st
}

// written says whether the stream has a batch. Log.mu is held.
func (st *stream) written() bool { return st.newest != 0 }

// saw takes note of a batch, whoever tells of it. Log.mu is held.
func (st *stream) saw(seq uint64, span int) {
	if seq > st.newest && seq > st.life {
		st.newest, st.end = seq, baseOf(seq)+parley.Position(span)
		st.watches.Wake(st.end)
	}
}

// marked takes note of a mark of a stream. Log.mu is held.
func (h *home) marked(st *stream, m mark) {
	st.low = max(st.low, m.Low)
	if m.Life <= st.life {
		return
	}
	st.life, st.low = m.Life, m.Low
	if st.newest < st.life {
		st.newest, st.end = 0, 0
	}
	if st.acked < st.life {
		st.acked = 0
	}
	for len(st.recent) > 0 && st.recent[0].seq < st.life {
		h.ring.bytes -= st.recent[0].batch.Size()
		st.recent = st.recent[1:]
	}
	st.index = nil
	st.watches.WakeAll()
}

// epoch is the stream's epoch.
func (h *home) epoch(st *stream) uint32 { return (h.created + uint32(st.life)) & (1<<31 - 1) }

// known gives a stream of which everything is known: what was there before the
// tail began is asked for once.
func (h *home) known(ctx context.Context, s parley.Stream) (*stream, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	for {
		h.l.mu.Lock()
		st := h.find(s)
		if st.loaded {
			h.l.mu.Unlock()
			return st, nil
		}
		if under := st.load; under != nil {
			h.l.mu.Unlock()
			select {
			case <-under:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		st.load = make(chan struct{})
		cover := st.cover
		h.l.mu.Unlock()
		if err := h.loadStream(ctx, st, cover); err != nil {
			return nil, err
		}
	}
}

// loadStream asks the leader for a stream's mark and newest batch. The tail runs
// already, so whatever comes later comes by it. cover is what it was when that
// began: if it still is, the ring has lost nothing since.
func (h *home) loadStream(ctx context.Context, st *stream, cover parley.Position) error {
	before, err := h.last(ctx, h.mark(st.name))
	var newest stored
	if err == nil {
		newest, err = h.last(ctx, h.events(st.name))
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	close(st.load)
	st.load = nil
	if err != nil {
		return err
	}
	return h.learn(st, cover, before, newest)
}

// learn takes in what the leader has said of a stream. Log.mu is held.
func (h *home) learn(st *stream, cover parley.Position, before, newest stored) error {
	if m, ok := parseMark(before.Seq, before.Data); ok && before.Seq > 0 {
		h.marked(st, m)
	}
	begin := parley.Position(1) // the ring has all there is, …
	if newest.Seq > st.life {
		b, err := batchOf(newest.Data)
		if err != nil {
			return damaged(st.name, newest.Seq, err)
		}
		begin = baseOf(newest.Seq) + parley.Position(b.Span()) // … or all after the newest
		st.saw(newest.Seq, b.Span())
	}
	if st.cover == cover && newest.Seq < seqOf(cover) {
		st.cover = begin
	}
	st.loaded = true
	return nil
}

// batchOf checks that a message is a batch.
func batchOf(data []byte) (parley.Batch, error) {
	b, rest, err := parley.CutBatch(data)
	if err == nil && len(rest) > 0 {
		err = parley.Errorf(parley.Damaged, "%d bytes after the batch", len(rest))
	}
	return b, err
}

func damaged(s parley.Stream, seq uint64, err error) error {
	return parley.Errorf(parley.Damaged, "message %d of stream %s is no batch: %w", seq, s.Name, err)
}

// ring is what the tail delivered lately, over all streams of a home, oldest
// first. It has everything above its floor.
type ring struct {
	order []*stream // whose the items are, in order, from head on
	head  int
	floor uint64
	bytes int
	limit int // bytes; 0 = ringBytes
}

const (
	ringBytes = 32 << 20
	ringItems = 1 << 16
)

// push takes a batch in and lets the oldest go. Log.mu is held.
func (r *ring) push(st *stream, it item) {
	st.recent = append(st.recent, it)
	r.order = append(r.order, st)
	r.bytes += it.batch.Size()
	for r.bytes > cmp.Or(r.limit, ringBytes) || len(r.order)-r.head > ringItems {
		r.pop()
	}
}

// pop lets the oldest go. A stream that was removed has fewer items than the order
// says; the others' places tell.
func (r *ring) pop() {
	st := r.order[r.head]
	r.order[r.head] = nil
	r.head++
	if r.head > len(r.order)/2 && r.head > 1024 {
		r.order = append([]*stream(nil), r.order[r.head:]...)
		r.head = 0
	}
	if len(st.recent) == 0 {
		return
	}
	it := st.recent[0]
	st.recent[0] = item{}
	if st.recent = st.recent[1:]; len(st.recent) == 0 {
		st.recent = nil
	}
	st.cover = max(st.cover, it.next())
	r.floor = max(r.floor, it.seq)
	r.bytes -= it.batch.Size()
}

// clear forgets everything up to a sequence.
func (r *ring) clear(floor uint64) { *r = ring{floor: floor, limit: r.limit} }
