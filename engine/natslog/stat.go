package natslog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

// counted is a stream's index on this node, guarded by Log.mu. It is made when
// somebody first asks, from what was saved last (by any node) and what came since,
// and kept up by the tail.
type counted struct {
	index
	made chan struct{} // closed when it is whole
	late []note        // what the tail brought meanwhile
	err  error
}

// arrived takes a batch in that the tail brings.
func (c *counted) arrived(n note) {
	select {
	case <-c.made:
		c.add(n)
	default:
		c.late = append(c.late, n)
	}
}

// indexed gives a stream with its index, as it is in the whole cluster now, and
// holds Log.mu when it gives no error.
func (l *Log) indexed(ctx context.Context, s parley.Stream) (*home, *stream, error) {
	for {
		h, st, err := l.current(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		l.mu.Lock()
		c, mine := st.index, false
		if c == nil {
			c, mine = &counted{made: make(chan struct{})}, true
			st.index = c
		}
		l.mu.Unlock()
		if mine {
			h.survey(ctx, st, c)
		}
		select {
		case <-c.made:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		if mine && c.err != nil {
			return nil, nil, c.err
		}
		l.mu.Lock()
		if st.index != c || c.err != nil || !st.loaded {
			l.mu.Unlock()
			continue
		}
		partly, whole := c.trim(max(st.low, baseOf(st.life)))
		if whole {
			return h, st, nil
		}
		l.mu.Unlock()
		notes, err := h.notes(ctx, s, partly.first, partly.last)
		if err != nil {
			return nil, nil, err
		}
		l.mu.Lock()
		c.open(partly, notes)
		l.mu.Unlock()
	}
}

// survey makes a stream's index.
func (h *home) survey(ctx context.Context, st *stream, c *counted) {
	x, err := h.count(ctx, st)
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	defer close(c.made)
	if c.err = err; err != nil {
		if st.index == c {
			st.index = nil
		}
		return
	}
	c.index = x
	for _, n := range c.late {
		c.add(n)
	}
	c.late = nil
}

// count counts what is there: what was saved, and what came since.
func (h *home) count(ctx context.Context, st *stream) (x index, err error) {
	saved, err := h.last(ctx, h.tally(st.name))
	if err != nil {
		return x, err
	}
	h.l.mu.Lock()
	low, life := st.low, st.life
	h.l.mu.Unlock()
	if of, blocks, ok := decodeBlocks(saved.Data); ok && of == life && len(blocks) > 0 {
		x.blocks = blocks
		x.saved = blocks[len(blocks)-1].last
	}
	from := max(seqOf(low), life, x.saved+1)
	notes, err := h.notes(ctx, st.name, from, 1<<47)
	for _, n := range notes {
		x.add(n)
	}
	return x, err
}

// notes reads the batches of a range of sequences.
func (h *home) notes(ctx context.Context, s parley.Stream, from, to uint64) (notes []note, err error) {
	for {
		items, err := h.fetch(ctx, s, baseOf(from), 1<<20)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return notes, nil
		}
		for _, it := range items {
			if it.seq > to {
				return notes, nil
			}
			notes = append(notes, noteOf(it))
		}
		from = items[len(items)-1].seq + 1
	}
}

// save lets other nodes, and this one after a restart, begin where this one is. It
// may fail: then more is to be counted. Log.mu is held, and released.
func (h *home) save(ctx context.Context, st *stream) {
	c := st.index
	if !c.unsaved() {
		h.l.mu.Unlock()
		return
	}
	data := c.encode(st.life, int(h.l.nc.MaxPayload())/2)
	c.saved = c.blocks[len(c.blocks)-1].last
	h.l.mu.Unlock()
	m := nats.Msg{Subject: h.tally(st.name), Data: data, Header: nats.Header{headerRollup: []string{"sub"}}}
	id, reply, call := h.l.x.begin(try, nil)
	m.Reply = reply
	if h.l.nc.PublishMsg(&m) != nil {
		h.l.x.drop(id, call)
		return
	}
	_, _, _ = h.l.x.wait(ctx, id, call) // whether it was stored makes no difference
}

// Stat implements parley.Statter. The first time that it, Back or At is called for
// a stream on a node, what came since some node last saved its count is read: at
// most some thousand batches where statistics are asked for now and then.
func (l *Log) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	h, st, err := l.indexed(ctx, s)
	if err != nil {
		return parley.Stats{}, err
	}
	var out parley.Stats
	earliest, oldest, events, bytes := st.index.sums()
	if earliest != 0 && st.written() {
		out = parley.Stats{
			Earliest: earliest, Low: st.low, End: st.end, Newest: baseOf(st.newest),
			Bytes: bytes, Events: events, Oldest: time.UnixMilli(oldest).UTC(), Epoch: h.epoch(st),
		}
		if k := len(st.index.notes); k > 0 { // an append of this node may be ahead of the tail
			last := st.index.notes[k-1]
			out.Newest, out.End = last.base(), last.base()+parley.Position(last.span)
		}
	}
	h.save(ctx, st)
	return out, nil
}

// looked gives what a look into the index needs, which is done without the lock:
// what it points to does not change.
func (l *Log) looked(ctx context.Context, s parley.Stream) (x index, end parley.Position, open detail, err error) {
	h, st, err := l.indexed(ctx, s)
	if err != nil {
		return index{}, 0, nil, err
	}
	defer l.mu.Unlock()
	open = func(b block) ([]note, error) { return h.notes(ctx, s, b.first, b.last) }
	return st.index.index, st.end, open, nil
}

// Back implements parley.Backer.
func (l *Log) Back(ctx context.Context, at parley.Place, n int) (parley.Position, error) {
	if err := at.Check(); err != nil {
		return 0, err
	}
	if n < 1 {
		return at.At, ctx.Err()
	}
	x, _, open, err := l.looked(ctx, at.Stream)
	if err != nil {
		return 0, err
	}
	return x.back(at.At, n, open)
}

// At implements parley.Timer.
func (l *Log) At(ctx context.Context, s parley.Stream, t time.Time) (parley.Position, error) {
	x, end, open, err := l.looked(ctx, s)
	if err != nil {
		return 0, err
	}
	base, err := x.at(t.UnixMilli(), open)
	if base == 0 {
		base = end
	}
	return base, err
}
