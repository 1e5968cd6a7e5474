package natslog

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/parleyhq/parley"
)

// home is one JetStream stream and what this node knows of the streams in it.
type home struct {
	l       *Log
	name    string
	stream  string // JetStream's name
	prefix  string // of its subjects, with a dot
	created uint32 // when JetStream made it: part of every epoch
	wanted  chan struct{}
	want    atomic.Bool // somebody reads: the tail is to run

	// Guarded by Log.mu:
	streams map[parley.Stream]*stream
	seen    uint64        // the tail has delivered everything up to this sequence
	up      bool          // the tail runs, and seen is true
	upped   chan struct{} // closed and replaced when up or a target is reached
	targets []target      // who waits for seen
	ring    ring          // what the tail delivered lately
	syncing *syncing      // the look at the leader that is under way
	next    *syncing      // … and the one after it
}

func newHome(l *Log, name string) *home {
	return &home{
		l: l, name: name, stream: l.opt.Prefix + "_" + name, prefix: l.opt.Prefix + "." + name + ".",
		wanted: make(chan struct{}), upped: make(chan struct{}), streams: make(map[parley.Stream]*stream),
	}
}

func (h *home) events(s parley.Stream) string {
	return h.prefix + kindEvents + "." + token(s.Namespace) + "." + token(s.Name)
}
func (h *home) mark(s parley.Stream) string  { return h.prefix + kindMark + "." + Tokens(s) }
func (h *home) tally(s parley.Stream) string { return h.prefix + kindTally + "." + Tokens(s) }
func (h *home) guards() string               { return h.prefix + kindGuard }

// home finds where a stream lives.
func (l *Log) home(s parley.Stream) (*home, error) {
	n := l.opt.Home(s)
	switch {
	case n == Memory:
		return l.homes[len(l.homes)-1], nil
	case n >= 0 && n < l.opt.Homes:
		return l.homes[n], nil
	}
	return nil, parley.Errorf(parley.Internal, "stream %s is to live in home %d of %d", s.Name, n, l.opt.Homes)
}

// stored is a message as JetStream's API gives it.
type stored struct {
	Seq  uint64 `json:"seq"`
	Data []byte `json:"data"`
}

// last asks the leader for the newest message of a subject; a zero sequence says
// that there is none.
func (h *home) last(ctx context.Context, subject string) (stored, error) {
	var got struct {
		Message stored `json:"message"`
	}
	err := h.l.x.api(ctx, "STREAM.MSG.GET."+h.stream, map[string]any{"last_by_subj": subject}, &got)
	if apiCode(err) == codeNoMessage {
		return stored{}, nil
	}
	return got.Message, h.failed(err)
}

// failed makes an error of a call for reading: whatever JetStream objects to, the
// log cannot be reached.
func (h *home) failed(err error) error {
	if apiCode(err) != 0 {
		return unavailable(err)
	}
	return err
}

// mark is what is remembered of a stream beside its batches: its life, which is
// the sequence of the mark that removed it last, and up to where it was trimmed.
type mark struct {
	Removed bool            `json:"removed,omitempty"` // by this mark
	Life    uint64          `json:"life,omitempty"`
	Low     parley.Position `json:"low,omitempty"`
}

// parseMark reads a mark; one that cannot be read is none of ours.
func parseMark(seq uint64, data []byte) (mark, bool) {
	var m mark
	if json.Unmarshal(data, &m) != nil || m.Low < 0 || m.Life > seq {
		return mark{}, false
	}
	if m.Removed {
		m = mark{Life: seq}
	}
	return m, true
}

// target is somebody who waits until the tail has come so far.
type target struct {
	seq uint64
	ch  chan struct{}
}

// reached wakes those whose target it is. Log.mu is held.
func (h *home) reached() {
	kept := h.targets[:0]
	for _, t := range h.targets {
		if t.seq <= h.seen {
			close(t.ch)
		} else {
			kept = append(kept, t)
		}
	}
	clear(h.targets[len(kept):])
	h.targets = kept
}

// demand makes the tail run from now on.
func (h *home) demand() {
	if h.want.CompareAndSwap(false, true) {
		close(h.wanted)
	}
}

// ready waits until the tail runs: from then on everything that is appended comes
// by.
func (h *home) ready(ctx context.Context) error {
	h.demand()
	for {
		h.l.mu.Lock()
		up, upped := h.up, h.upped
		h.l.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-upped:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.l.ended:
			return &parley.Error{Code: parley.Unavailable, Detail: "the log has ended"}
		}
	}
}

// await waits until the tail has delivered a sequence.
func (h *home) await(ctx context.Context, seq uint64) error {
	h.l.mu.Lock()
	if h.up && h.seen >= seq {
		h.l.mu.Unlock()
		return nil
	}
	t := target{seq, make(chan struct{})}
	h.targets = append(h.targets, t)
	h.l.mu.Unlock()
	select {
	case <-t.ch:
		return nil
	case <-ctx.Done():
		h.forget(t)
		return ctx.Err()
	case <-h.l.ended:
		h.forget(t)
		return &parley.Error{Code: parley.Unavailable, Detail: "the log has ended"}
	}
}

func (h *home) forget(t target) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	for i := range h.targets {
		if h.targets[i].ch == t.ch {
			h.targets = append(h.targets[:i], h.targets[i+1:]...)
			return
		}
	}
}

// syncing is one look at how far the leader is, shared by all who ask meanwhile.
type syncing struct {
	done chan struct{}
	seq  uint64
	err  error
}

// sync waits until the tail has delivered everything that was in the log when
// sync was called, whichever node put it there. A look that began before the call
// does not count, so at most one more is made for any number of callers.
func (h *home) sync(ctx context.Context) error {
	if err := h.ready(ctx); err != nil {
		return err
	}
	h.l.mu.Lock()
	var s *syncing
	if h.syncing == nil {
		s = &syncing{done: make(chan struct{})}
		h.syncing = s
		go h.look(context.WithoutCancel(ctx), s)
	} else {
		if h.next == nil {
			h.next = &syncing{done: make(chan struct{})}
		}
		s = h.next
	}
	h.l.mu.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.err != nil {
		return s.err
	}
	return h.await(ctx, s.seq)
}

// look asks the leader for the last sequence, and again for those who came
// meanwhile. It ends by itself.
func (h *home) look(parent context.Context, s *syncing) {
	for s != nil {
		ctx, cancel := context.WithTimeout(parent, patience)
		var info streamInfo
		s.err = h.failed(h.l.x.api(ctx, "STREAM.INFO."+h.stream, nil, &info))
		s.seq = info.State.LastSeq
		cancel()
		close(s.done)
		h.l.mu.Lock()
		s, h.next = h.next, nil
		h.syncing = s
		h.l.mu.Unlock()
	}
}
