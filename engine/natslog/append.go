package natslog

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/nats-io/nuid"

	"github.com/parleyhq/parley"
)

// Append implements parley.Log. A batch has to fit the servers' max_payload, less
// 2 KiB; a larger one is TooLarge. Without a key or a comparison, a lost answer is
// Unknown; with one, the write is sent again until its fate is known.
func (l *Log) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkWrites(writes, int(l.nc.MaxPayload())-headerRoom); err != nil || len(writes) == 0 {
		return nil, err
	}
	h, err := l.home(writes[0].Stream)
	if err != nil {
		return nil, err
	}
	for i := range writes[1:] {
		other, err := l.home(writes[i+1].Stream)
		if err != nil {
			return nil, err
		}
		if other != h {
			return nil, apart(writes[0].Stream, h, writes[i+1].Stream, other)
		}
	}
	if len(writes) == 1 && !writes[0].Batch.IsZero() {
		a, err := h.appendOne(ctx, &writes[0])
		if err != nil {
			return nil, err
		}
		return []parley.Appended{a}, nil
	}
	if len(writes) == 1 && writes[0].Expect == parley.Any {
		seq, err := h.newest(ctx, writes[0].Stream)
		if err != nil {
			return nil, err
		}
		return []parley.Appended{{Base: baseOf(seq)}}, nil
	}
	return h.appendMany(ctx, writes)
}

func apart(s parley.Stream, h *home, t parley.Stream, other *home) error {
	return &parley.Error{
		Code: parley.Apart, Detail: fmt.Sprintf("stream %s lives in home %s and %s in home %s; no commit spans both", s.Name, h.name, t.Name, other.name),
		Fix: "append to them one by one, or let them live in one home",
	}
}

// appendOne appends one batch.
func (h *home) appendOne(ctx context.Context, w *parley.Write) (parley.Appended, error) {
	if w.Expect == parley.Any && w.Once == (parley.Key{}) {
		seq, err := h.publishOnce(ctx, w.Stream, w.Batch)
		if err != nil {
			return parley.Appended{}, err
		}
		h.appended(w.Stream, seq, w.Batch.Span(), false)
		return parley.Appended{Base: baseOf(seq)}, nil
	}
	c := commit{messages: []message{{stream: w.Stream, batch: w.Batch}}}
	m := &c.messages[0]
	switch {
	case w.Expect == parley.Empty:
		m.compare, m.about = true, w.Stream
	case w.Expect > 0:
		if m.compare, m.expect, m.about = true, seqOf(w.Expect), w.Stream; indexOf(w.Expect) != 0 || m.expect == 0 {
			if w.Once == (parley.Key{}) {
				return parley.Appended{}, conflict(w.Stream, w.Expect, "no batch begins there")
			}
			m.expect = 1<<63 - 1 // never holds; the key still counts
		}
	}
	if w.Once != (parley.Key{}) {
		c.key = onceID(w)
	}
	for {
		seq, repeat, err := h.commit(ctx, &c)
		if err == nil {
			h.appended(w.Stream, seq, w.Batch.Span(), repeat)
			return parley.Appended{Base: baseOf(seq), Repeat: repeat}, nil
		}
		if err = h.decide(ctx, err, []parley.Write{*w}); err != nil {
			return parley.Appended{}, err
		}
	}
}

// onceID is a message id of stream and key.
func onceID(w *parley.Write) string {
	sum := sha256.New()
	sum.Write([]byte(w.Stream.Namespace + "\x00" + w.Stream.Name + "\x00"))
	sum.Write(w.Once[:])
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18])
}

// appendMany appends several writes, guards among them, as one atomic batch.
func (h *home) appendMany(ctx context.Context, writes []parley.Write) ([]parley.Appended, error) {
	for {
		newest, err := h.guesses(ctx, writes)
		if err != nil {
			return nil, err
		}
		p, err := plans(writes, func(s parley.Stream) uint64 { return newest[s] })
		if err != nil {
			return nil, err
		}
		c := commit{messages: p.messages}
		last, _, err := h.commit(ctx, &c)
		if err != nil {
			if err = h.decide(ctx, err, writes); err != nil {
				return nil, err
			}
			continue
		}
		first := last - uint64(len(p.messages)) + 1
		out := make([]parley.Appended, len(writes))
		for i, a := range p.answers {
			if out[i].Base = a.base; a.message >= 0 {
				out[i].Base = baseOf(first + uint64(a.message))
			}
		}
		for i, m := range p.messages {
			if !m.batch.IsZero() {
				h.appended(m.stream, first+uint64(i), m.batch.Span(), false)
			}
		}
		return out, nil
	}
}

// guesses asks for the newest batch of every stream whose guard does not name it.
// The commit compares with it, so that a guess that is wrong fails.
func (h *home) guesses(ctx context.Context, writes []parley.Write) (map[parley.Stream]uint64, error) {
	newest := make(map[parley.Stream]uint64)
	for i := range writes {
		w := &writes[i]
		if _, known := newest[w.Stream]; known || !w.Batch.IsZero() || w.Expect != parley.Any {
			continue
		}
		seq, err := h.newest(ctx, w.Stream)
		if err != nil {
			return nil, err
		}
		newest[w.Stream] = seq
	}
	return newest, nil
}

// errCompare says that a comparison did not hold, or could not be made because
// something else was on its way to the same stream.
var errCompare = &parley.Error{Code: parley.Conflict, Detail: "a comparison does not hold"}

// decide finds out what a failed comparison means: nil is to try again.
func (h *home) decide(ctx context.Context, err error, writes []parley.Write) error {
	if err != errCompare { //nolint:errorlint // our own value, never wrapped
		return err
	}
	written := make(map[parley.Stream]bool)
	for i := range writes {
		w := &writes[i]
		if w.Expect != parley.Any && !written[w.Stream] {
			seq, err := h.newest(ctx, w.Stream)
			if err != nil {
				return err
			}
			if w.Expect == parley.Empty && seq != 0 || w.Expect > 0 && baseOf(seq) != w.Expect {
				return conflict(w.Stream, w.Expect, fmt.Sprintf("the newest batch is at %d", baseOf(seq)))
			}
		}
		written[w.Stream] = written[w.Stream] || !w.Batch.IsZero()
	}
	if !pause(ctx, firstPause) {
		return ctx.Err()
	}
	return nil
}

// newest asks the leader for the sequence of a stream's newest batch, 0 when
// there is none. What is left of a stream that was removed is cleared away.
func (h *home) newest(ctx context.Context, s parley.Stream) (uint64, error) {
	m, err := h.last(ctx, h.events(s))
	if err != nil || m.Seq == 0 {
		return 0, err
	}
	b, err := batchOf(m.Data)
	if err != nil {
		return 0, damaged(s, m.Seq, err)
	}
	h.l.mu.Lock()
	st := h.streams[s]
	known := st != nil && st.loaded
	var life uint64
	if known {
		life = st.life
	}
	h.l.mu.Unlock()
	if !known {
		was, err := h.last(ctx, h.mark(s))
		if err != nil {
			return 0, err
		}
		if mk, ok := parseMark(was.Seq, was.Data); ok && was.Seq > 0 {
			life = mk.Life
		}
	}
	if m.Seq < life {
		return 0, h.purge(ctx, s, life)
	}
	h.appended(s, m.Seq, b.Span(), false)
	return m.Seq, nil
}

// appended makes what is certainly in the log visible to readers here: they wait
// for the tail to bring it.
func (h *home) appended(s parley.Stream, seq uint64, span int, repeat bool) {
	if repeat || !h.want.Load() {
		return // nobody reads: when the tail begins, it is there
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.find(s).saw(seq, span)
}

// newID makes an id that nobody else has.
func newID() string { return nuid.Next() }
