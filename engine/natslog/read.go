package natslog

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

// Read implements parley.Log. What the tail brought lately is answered from
// memory, everything else by a direct get of JetStream.
func (l *Log) Read(ctx context.Context, at parley.Place, maxBytes int) (parley.Run, error) {
	if err := ctx.Err(); err != nil {
		return parley.Run{}, err
	}
	if err := at.Check(); err != nil {
		return parley.Run{}, err
	}
	h, err := l.home(at.Stream)
	if err != nil {
		return parley.Run{}, err
	}
	for {
		st, err := h.known(ctx, at.Stream)
		if err != nil {
			return parley.Run{}, err
		}
		run, from, err := h.recent(st, at.At, maxBytes)
		switch {
		case err != nil || from == fromMemory:
			return run, err
		case from == fromTail: // it is in the log, and on its way here
			if err := h.arrive(ctx, st, at.At); err != nil {
				return parley.Run{}, err
			}
			continue
		}
		run, ok, err := h.stored(ctx, st, at.At, maxBytes)
		if ok || err != nil {
			return run, err
		}
	}
}

// Where a Read gets its answer.
type source int

const (
	fromMemory source = iota
	fromTail          // memory has it in a moment
	fromStore
)

// recent answers from memory, if it can.
func (h *home) recent(st *stream, at parley.Position, maxBytes int) (parley.Run, source, error) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	switch {
	case !st.loaded:
		return parley.Run{}, fromStore, nil
	case !st.written() || at >= st.end:
		return parley.NewRun(nil, at, at, nil), fromMemory, nil
	case at > 0 && at < st.low:
		if len(st.recent) > 0 && st.cover <= st.low {
			return parley.Run{}, fromMemory, trimmed(at, h.earliest(st))
		}
		return parley.Run{}, fromStore, nil
	case at < st.cover:
		return parley.Run{}, fromStore, nil
	}
	first := 0
	for n := len(st.recent); first < n; { // binary search
		if mid := (first + n) / 2; st.recent[mid].next() > at {
			n = mid
		} else {
			first = mid + 1
		}
	}
	if first == len(st.recent) {
		return parley.Run{}, fromTail, nil
	}
	return h.run(st, at, st.recent[first:], maxBytes), fromMemory, nil
}

// earliest gives the base of the first batch left in the ring. Log.mu is held, and
// the ring covers the stream from its low on.
func (h *home) earliest(st *stream) parley.Position {
	for _, it := range st.recent {
		if it.base() >= st.low {
			return it.base()
		}
	}
	return baseOf(st.newest)
}

// run makes a Run of batches: those that fit, at least one. Log.mu is held.
func (h *home) run(st *stream, at parley.Position, items []item, maxBytes int) parley.Run {
	n, size := 1, items[0].batch.Size()
	for n < len(items) && size+items[n].batch.Size() <= maxBytes {
		size += items[n].batch.Size()
		n++
	}
	buf := make([]byte, 0, size)
	for _, it := range items[:n] {
		begin := len(buf)
		buf = append(buf, it.batch.Bytes()...)
		parley.SetBase(buf[begin:], it.base(), h.epoch(st))
	}
	return parley.NewRun(buf, at, items[n-1].next(), nil)
}

// arrive waits for the tail to bring what this node knows to be in the log.
func (h *home) arrive(ctx context.Context, st *stream, at parley.Position) error {
	h.l.mu.Lock()
	seq := st.newest
	h.l.mu.Unlock()
	if seqOf(at) > seq {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := h.await(wait, seq); err != nil && ctx.Err() == nil {
		return unavailable(err)
	}
	return ctx.Err()
}

func trimmed(at, earliest parley.Position) error {
	err := parley.Errorf(parley.Trimmed, "position %d is below %d, the earliest one left", at, earliest)
	err.Fix, err.Earliest = "read on from the earliest one", earliest
	return err
}

// stored answers from JetStream. ok is false when it is worth to look at memory
// again.
func (h *home) stored(ctx context.Context, st *stream, at parley.Position, maxBytes int) (run parley.Run, ok bool, err error) {
	items, err := h.fetch(ctx, st.name, at, maxBytes)
	if err != nil {
		return parley.Run{}, false, err
	}
	if at > 0 && (len(items) == 0 || items[0].seq != seqOf(at)) {
		// The batch of the place is not there. If it was trimmed, the mark that
		// says so is older than what was read.
		if err := h.sync(ctx); err != nil {
			return parley.Run{}, false, err
		}
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if !st.loaded {
		return parley.Run{}, false, nil
	}
	from := max(at, st.low, baseOf(st.life))
	for len(items) > 0 && items[0].next() <= from {
		items = items[1:]
	}
	if len(items) == 0 {
		if !st.written() || at >= st.end {
			return parley.NewRun(nil, at, at, nil), true, nil
		}
		return parley.Run{}, false, nil // removed, trimmed or written meanwhile
	}
	if at > 0 && at < st.low {
		return parley.Run{}, true, trimmed(at, items[0].base())
	}
	return h.run(st, at, items, maxBytes), true, nil
}

// fetchBatch is how many messages one direct get gives at most.
const fetchBatch = 1000

// getRequest is a direct get of many messages.
type getRequest struct {
	Seq      uint64   `json:"seq,omitempty"`
	Next     string   `json:"next_by_subj,omitempty"`
	Batch    int      `json:"batch,omitempty"`
	MaxBytes int      `json:"max_bytes,omitempty"`
	Multi    []string `json:"multi_last,omitempty"`
	UpTo     uint64   `json:"up_to_seq,omitempty"`
}

// fetch reads batches from the one of the place on, with at least one that has
// something above it if there is any. The replica that answers may be behind: it
// is asked again until it has what is known to be there.
func (h *home) fetch(ctx context.Context, s parley.Stream, at parley.Position, maxBytes int) ([]item, error) {
	var all []item
	from := max(seqOf(at), 1)
	err := repeat(ctx, func(ctx context.Context) (bool, error) {
		got, more, err := h.get(ctx, getRequest{Seq: from, Next: h.events(s), Batch: fetchBatch, MaxBytes: min(max(maxBytes, 1), 16<<20)})
		if err != nil {
			return apiCode(err) == 0 && parley.CodeOf(err) != parley.Damaged, h.failed(err)
		}
		all = append(all, got...)
		if n := len(all); n > 0 {
			if from = all[n-1].seq + 1; all[n-1].next() > at {
				return false, nil
			}
		}
		if more {
			return true, nil
		}
		return h.behind(s, from, at), errBehind
	})
	if err == errBehind { //nolint:errorlint // our own value, never wrapped
		err = nil
	}
	return all, err
}

var errBehind = &parley.Error{Code: parley.Unavailable, Detail: "the replica that answers is behind"}

// behind says whether a batch that is known to be there was not given.
func (h *home) behind(s parley.Stream, from uint64, at parley.Position) bool {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	st := h.streams[s]
	return st != nil && st.loaded && st.newest >= from && st.end > at
}

// get makes one direct get. more: there is more than was given.
func (h *home) get(ctx context.Context, r getRequest) (items []item, more bool, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, false, err
	}
	first, msgs, err := h.l.x.ask(ctx, "$JS.API.DIRECT.GET."+h.stream, body, func(m *nats.Msg) bool { return status(m) != 0 })
	if err != nil {
		return nil, false, err
	}
	msgs = append([]*nats.Msg{first}, msgs...)
	end := msgs[len(msgs)-1]
	switch code := status(end); code {
	case 204, 404:
		more = number(end.Header, "Nats-Num-Pending") > 0
	default:
		return nil, false, &apiError{Code: code, Text: "direct get: " + end.Header.Get("Description")}
	}
	for _, m := range msgs[:len(msgs)-1] {
		seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 47)
		if err != nil {
			return nil, false, parley.Errorf(parley.Internal, "a direct get answers a message without sequence: %w", err)
		}
		b, err := batchOf(m.Data)
		if err != nil {
			return nil, false, damaged(parley.Stream{Name: m.Header.Get("Nats-Subject")}, seq, err)
		}
		items = append(items, item{seq, b})
	}
	return items, more, nil
}

// End implements parley.Log.
func (l *Log) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	h, st, err := l.current(ctx, s)
	if err != nil {
		return 0, err
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	return st.end, nil
}

// current gives a stream as it is in the whole cluster now.
func (l *Log) current(ctx context.Context, s parley.Stream) (*home, *stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	h, err := l.home(s)
	if err != nil {
		return nil, nil, err
	}
	st, err := h.current(ctx, s)
	return h, st, err
}

func (h *home) current(ctx context.Context, s parley.Stream) (*stream, error) {
	if err := h.sync(ctx); err != nil {
		return nil, err
	}
	return h.known(ctx, s)
}
