package natslog

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

// Trim implements parley.Log. It drops the batches whose message lies wholly below
// the message of upTo.
func (l *Log) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return err
	}
	h, err := l.home(s)
	if err != nil || upTo <= 0 {
		return err
	}
	st, err := h.known(ctx, s)
	if err != nil {
		return err
	}
	l.mu.Lock()
	keep := min(seqOf(upTo), st.newest) // the newest batch known here, or an older one, stays
	nothing := keep == 0 || upTo <= st.low
	l.mu.Unlock()
	if nothing || keep == 1 {
		return nil
	}
	dropped, ok, err := h.lastBelow(ctx, s, keep)
	if err != nil || !ok {
		return err
	}
	changed, err := h.remark(ctx, st, func(m mark) (mark, bool) {
		if dropped.seq < m.Life || dropped.next() <= m.Low {
			return m, false
		}
		return mark{Life: m.Life, Low: dropped.next()}, true
	})
	if err != nil || !changed {
		return err
	}
	return h.purge(ctx, s, dropped.seq+1)
}

// lastBelow gives the newest batch of a stream below a sequence, as far as the
// replica that answers has it.
func (h *home) lastBelow(ctx context.Context, s parley.Stream, seq uint64) (it item, ok bool, err error) {
	err = repeat(ctx, func(ctx context.Context) (bool, error) {
		items, _, err := h.get(ctx, getRequest{Multi: []string{h.events(s)}, UpTo: seq - 1})
		if err != nil {
			return apiCode(err) == 0 && parley.CodeOf(err) != parley.Damaged, h.failed(err)
		}
		if ok = len(items) > 0; ok {
			it = items[0]
		}
		return false, nil
	})
	return it, ok, err
}

// Remove implements parley.Remover. Positions go on rising in the stream's next
// life. A mark stays behind, some hundred bytes for each stream that was removed.
// Whoever says where streams live may have forgotten it: the memory home is looked
// at in any case.
func (l *Log) Remove(ctx context.Context, s parley.Stream) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return err
	}
	h, err := l.home(s)
	if err != nil {
		return err
	}
	if memory := l.homes[len(l.homes)-1]; memory != h {
		left, err := memory.last(ctx, memory.events(s))
		if err != nil {
			return err
		}
		if left.Seq != 0 {
			if err := memory.remove(ctx, s); err != nil {
				return err
			}
		}
	}
	return h.remove(ctx, s)
}

func (h *home) remove(ctx context.Context, s parley.Stream) error {
	l := h.l
	st, err := h.current(ctx, s)
	if err != nil {
		return err
	}
	l.mu.Lock()
	written := st.written()
	l.mu.Unlock()
	if !written {
		return nil
	}
	if _, err := h.remark(ctx, st, func(mark) (mark, bool) { return mark{Removed: true}, true }); err != nil {
		return err
	}
	l.mu.Lock()
	life := st.life
	l.mu.Unlock()
	if err := h.purge(ctx, s, life); err != nil {
		return err
	}
	return h.clear(ctx, h.tally(s), life)
}

// remark replaces a stream's mark, which comes before the purge that it is about:
// whoever misses a batch knows why. change says what it is to be, or that it is
// well as it is.
func (h *home) remark(ctx context.Context, st *stream, change func(mark) (mark, bool)) (changed bool, err error) {
	subject := h.mark(st.name)
	err = repeat(ctx, func(ctx context.Context) (bool, error) {
		was, err := h.last(ctx, subject)
		if err != nil {
			return false, err
		}
		old, _ := parseMark(was.Seq, was.Data)
		now, wanted := change(old)
		if !wanted {
			return false, nil
		}
		data, err := json.Marshal(now)
		if err != nil {
			return false, err
		}
		seq, err := h.put(ctx, subject, was.Seq, data)
		if err != nil {
			return apiCode(err) == 0 || apiCode(err) == codeWrongLast || apiCode(err) == codeWrongLastBusy, h.failed(err)
		}
		if mk, ok := parseMark(seq, data); ok {
			h.l.mu.Lock()
			h.marked(st, mk)
			h.l.mu.Unlock()
		}
		changed = true
		return false, nil
	})
	return changed, err
}

// put replaces the one message of a subject by compare-and-append. When the answer
// is lost, the caller reads again and finds its own message, or another's.
func (h *home) put(ctx context.Context, subject string, was uint64, data []byte) (uint64, error) {
	id, reply, c := h.l.x.begin(try, nil)
	m := nats.Msg{Subject: subject, Reply: reply, Data: data, Header: nats.Header{headerRollup: []string{"sub"}, headerExpect: []string{decimal(was)}}}
	if err := h.l.nc.PublishMsg(&m); err != nil {
		h.l.x.drop(id, c)
		return 0, errNobody
	}
	got, _, err := h.l.x.wait(ctx, id, c)
	if err != nil {
		return 0, err
	}
	ack, err := parseAck(got.Data)
	if err == nil && ack.Error != nil {
		err = ack.Error
	}
	return ack.Seq, err
}

// purge drops the batches of a stream below a sequence.
func (h *home) purge(ctx context.Context, s parley.Stream, below uint64) error {
	return h.clear(ctx, h.events(s), below)
}

func (h *home) clear(ctx context.Context, subject string, below uint64) error {
	return h.failed(h.l.x.api(ctx, "STREAM.PURGE."+h.stream, map[string]any{"filter": subject, "seq": below}, nil))
}

// Streams implements parley.Lister.
func (l *Log) Streams(ctx context.Context, namespace string) ([]parley.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.list(ctx, namespace)
}
