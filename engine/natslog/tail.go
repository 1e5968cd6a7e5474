package natslog

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

const (
	// heartbeat is how often the servers say that the tail is alive while nothing
	// comes; silence is when it is taken for dead and made anew.
	heartbeat = 500 * time.Millisecond
	silence   = 2 * time.Second
)

// follow keeps the tail of the home from when somebody wants it until ctx ends.
func (h *home) follow(ctx context.Context) error {
	select {
	case <-h.wanted:
	case <-ctx.Done():
		return nil
	}
	next := uint64(0) // unknown: what comes from now on
	for wait := firstPause; ctx.Err() == nil; wait = min(2*wait, lastPause) {
		begun := time.Now()
		err := h.tail(ctx, &next)
		if ctx.Err() != nil {
			break
		}
		if time.Since(begun) > silence {
			wait = firstPause
		}
		h.l.opt.Logger.Warn("the tail of the log is made anew", slog.String("stream", h.stream), slog.Any("error", err))
		pause(ctx, wait)
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.up = false
	return nil
}

// consumer is the request for a tail: everything from a sequence on, pushed, not
// acknowledged, forgotten by the server when we are gone.
type consumer struct {
	Stream string         `json:"stream_name"`
	Action string         `json:"action"`
	Config consumerConfig `json:"config"`
}

type consumerConfig struct {
	DeliverSubject    string        `json:"deliver_subject"`
	DeliverPolicy     string        `json:"deliver_policy"`
	OptStartSeq       uint64        `json:"opt_start_seq"`
	AckPolicy         string        `json:"ack_policy"`
	ReplayPolicy      string        `json:"replay_policy"`
	FlowControl       bool          `json:"flow_control"`
	IdleHeartbeat     time.Duration `json:"idle_heartbeat"`
	InactiveThreshold time.Duration `json:"inactive_threshold"`
	Replicas          int           `json:"num_replicas"`
	MemoryStorage     bool          `json:"mem_storage"`
}

var (
	errSilent = errors.New("neither events nor heartbeats came")
	errGap    = errors.New("something was lost on the way")
	errGone   = errors.New("the server ended it")
)

// tail runs one consumer until it fails. next is the sequence to begin with, 0
// for the first that is not there yet, and is kept up with what was delivered.
func (h *home) tail(ctx context.Context, next *uint64) error {
	if err := h.begin(ctx, next); err != nil {
		return err
	}
	inbox := h.l.nc.NewInbox()
	msgs := make(chan *nats.Msg, 1<<16) // flow control keeps less than that under way
	sub, err := h.l.nc.ChanSubscribe(inbox, msgs)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails only with the connection
	name := h.l.nc.NewInbox()[len("_INBOX."):]
	create := consumer{Stream: h.stream, Action: "create", Config: consumerConfig{
		DeliverSubject: inbox, DeliverPolicy: "by_start_sequence", OptStartSeq: *next, AckPolicy: "none", ReplayPolicy: "instant",
		FlowControl: true, IdleHeartbeat: heartbeat, InactiveThreshold: 10 * time.Second, Replicas: 1, MemoryStorage: true,
	}}
	if err := h.l.x.api(ctx, "CONSUMER.CREATE."+h.stream+"."+name, create, nil); err != nil {
		return err
	}
	defer h.discard(name)
	h.rise()
	return h.receive(ctx, msgs, next)
}

// begin finds where to begin, and forgets what is known when that leaves a gap.
func (h *home) begin(ctx context.Context, next *uint64) error {
	var info streamInfo
	if err := h.l.x.api(ctx, "STREAM.INFO."+h.stream, nil, &info); err != nil {
		return err
	}
	last := info.State.LastSeq
	if *next > last+1 {
		h.l.opt.Logger.Error("the NATS servers have lost events that were delivered", slog.String("stream", h.stream),
			slog.Uint64("delivered", *next-1), slog.Uint64("left", last))
	}
	if *next > 0 && *next <= last+1 {
		return nil
	}
	*next = last + 1
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.up, h.seen = false, last
	h.ring.clear(last)
	for _, st := range h.streams {
		st.loaded, st.recent, st.cover, st.index = false, nil, baseOf(last+1), nil
		st.watches.WakeAll() // they look again
	}
	return nil
}

// rise says that the tail runs.
func (h *home) rise() {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if !h.up {
		h.up = true
		close(h.upped)
		h.upped = make(chan struct{})
	}
	h.reached()
}

// discard removes a consumer; the server would do so after a while.
func (h *home) discard(name string) {
	_ = h.l.nc.Publish("$JS.API.CONSUMER.DELETE."+h.stream+"."+name, nil)
}

// receive takes in what the consumer sends.
func (h *home) receive(ctx context.Context, msgs <-chan *nats.Msg, next *uint64) error {
	alive := time.NewTimer(silence)
	defer alive.Stop()
	due := uint64(1) // the consumer's own count
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
			return errSilent
		case m, ok := <-msgs:
			if !ok {
				return errGone
			}
			alive.Reset(silence)
			if status(m) != 0 {
				if err := h.control(m, due); err != nil {
					return err
				}
				continue
			}
			count, seq, ok := sequences(m.Reply)
			if !ok || count != due {
				return errGap
			}
			due++
			h.deliver(m, seq)
			*next = seq + 1
		}
	}
}

// control answers what is no event: flow control wants an empty answer, and a
// heartbeat tells how far the consumer is.
func (h *home) control(m *nats.Msg, due uint64) error {
	switch {
	case status(m) != 100:
		return errGone
	case m.Reply != "":
		return h.l.nc.Publish(m.Reply, nil)
	case m.Header.Get("Nats-Consumer-Stalled") != "":
		return h.l.nc.Publish(m.Header.Get("Nats-Consumer-Stalled"), nil)
	case m.Header.Get("Nats-Last-Consumer") != "" && number(m.Header, "Nats-Last-Consumer") != due-1:
		return errGap
	}
	return nil
}

// deliver takes one message in.
func (h *home) deliver(m *nats.Msg, seq uint64) {
	kind, name, ok := parseSubject(strings.TrimPrefix(m.Subject, h.prefix))
	var b parley.Batch
	if ok && kind == kindEvents {
		var err error
		if b, err = batchOf(m.Data); err != nil {
			h.l.opt.Logger.Error("a message in the log is no batch", slog.String("stream", name.Name), slog.Uint64("sequence", seq), slog.Any("error", err))
			ok = false
		}
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.seen = seq
	if ok {
		switch kind {
		case kindEvents:
			h.arrived(h.find(name), item{seq, b})
		case kindMark:
			if mk, good := parseMark(seq, m.Data); good {
				h.marked(h.find(name), mk)
			}
		}
	}
	h.reached()
}

// arrived takes a batch in. Log.mu is held.
func (h *home) arrived(st *stream, it item) {
	if it.seq < st.life {
		return
	}
	h.ring.push(st, it)
	if st.index != nil {
		st.index.arrived(noteOf(it))
	}
	st.saw(it.seq, it.batch.Span())
}
