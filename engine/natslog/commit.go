package natslog

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

// batchesInFlight bounds the atomic batches that this process has in flight:
// JetStream allows 50 for each stream, and other nodes want some too.
const batchesInFlight = 12

// Headers of JetStream, and one of ours.
const (
	headerID      = "Nats-Msg-Id"
	headerExpect  = "Nats-Expected-Last-Subject-Sequence"
	headerAbout   = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerRollup  = "Nats-Rollup"
	headerBatch   = "Nats-Batch-Id"
	headerNumber  = "Nats-Batch-Sequence"
	headerCommit  = "Nats-Batch-Commit"
	headerAttempt = "Parley-Attempt" // tells our own message from another of the same id
)

// commit is messages to store together, and what is known of their fate.
type commit struct {
	messages []message
	key      string // message id of Once; "" = none
	id       string // message id of the last message, once there is one
	attempt  string
	doubt    bool // a try was sent whose answer did not come
}

// bare says whether nothing tells a repeated try from a second commit.
func (c *commit) bare() bool {
	return len(c.messages) == 1 && !c.messages[0].compare && c.key == ""
}

// commit stores the messages and gives the sequence of the last. errCompare: a
// comparison did not hold. After any error but Unknown nothing was stored.
//
// Every commit that compares anything, or is more than one message, has a message
// id, so that a try whose answer was lost can be made again: JetStream looks at
// the id first (in an atomic batch on every kind of stream, in a plain publish
// not before the comparison where the stream has one replica).
func (h *home) commit(ctx context.Context, c *commit) (last uint64, repeat bool, err error) {
	if c.bare() {
		last, err = h.publishOnce(ctx, c.messages[0].stream, c.messages[0].batch)
		return last, false, err
	}
	if c.id = c.key; c.id == "" {
		c.id = newID()
	}
	c.attempt = newID()
	begun := time.Now()
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		ack, again, err := h.attempt(ctx, c)
		switch {
		case !again && err == nil:
			return h.settled(ctx, c, ack)
		case !again:
			return 0, false, err
		case ctx.Err() != nil:
			return 0, false, c.given(ctx.Err())
		case time.Since(begun) > patience:
			return 0, false, c.given(unavailable(err))
		}
		if !pause(ctx, wait) {
			return 0, false, c.given(ctx.Err())
		}
	}
}

// given is the error of a commit that is given up.
func (c *commit) given(err error) error {
	if c.doubt {
		return unknown(err)
	}
	return err
}

func unknown(cause error) error {
	return &parley.Error{Code: parley.Unknown, Detail: "the NATS servers got the write and did not say what became of it", Fix: "send it again with the same idempotency key", Err: cause}
}

// attempt tries once. again: nothing is decided.
func (h *home) attempt(ctx context.Context, c *commit) (ack pubAck, again bool, err error) {
	batch := len(c.messages) > 1 || c.messages[0].compare && (c.key != "" || c.doubt)
	if batch {
		select {
		case h.l.gate <- struct{}{}:
			defer func() { <-h.l.gate }()
		case <-ctx.Done():
			return ack, true, ctx.Err()
		}
	}
	ack, err = h.send(ctx, c, batch)
	switch {
	case errors.Is(err, errNobody):
		return ack, true, err
	case err != nil: // late, or the context ended
		c.doubt = true
		return ack, true, err
	case ack.Error == nil:
		return ack, false, nil
	}
	switch ack.Error.ErrCode {
	case codeDuplicate:
		// It was stored before; as a plain publish the same id tells where.
		ack, err = h.send(ctx, &commit{messages: []message{{stream: c.messages[len(c.messages)-1].stream, batch: c.messages[len(c.messages)-1].batch}}, id: c.id, attempt: c.attempt}, false)
		if err != nil || ack.Error != nil {
			c.doubt = true
			return ack, true, err
		}
		return ack, false, nil
	case codeWrongLast:
		return ack, false, errCompare
	case codeWrongLastBusy, codeDuplicateBusy, codeIncomplete, codeManyBatches, codeNotLeader:
		return ack, true, ack.Error
	}
	return ack, false, h.refused(ack.Error)
}

// settled says whether the sequence is that of this commit or of an earlier one of
// the same key.
func (h *home) settled(ctx context.Context, c *commit, ack pubAck) (uint64, bool, error) {
	if !ack.Duplicate || c.key == "" || !c.doubt {
		return ack.Seq, ack.Duplicate && c.key != "", nil
	}
	var got struct {
		Message struct {
			Headers []byte `json:"hdrs"`
		} `json:"message"`
	}
	err := h.l.x.api(ctx, "STREAM.MSG.GET."+h.stream, map[string]any{"seq": ack.Seq}, &got)
	ours := err == nil && strings.Contains(string(got.Message.Headers), headerAttempt+": "+c.attempt)
	return ack.Seq, !ours, nil
}

// send sends a commit once and waits for the answer.
func (h *home) send(ctx context.Context, c *commit, batch bool) (pubAck, error) {
	id, reply, waiting := h.l.x.begin(try, nil)
	batchID, rolled := "", false
	if batch {
		batchID = newID()
	}
	for i := range c.messages {
		m := &c.messages[i]
		out := nats.Msg{Subject: h.events(m.stream), Data: m.batch.Bytes(), Header: nats.Header{}}
		if m.stream == (parley.Stream{}) {
			if out.Subject = h.guards(); !rolled {
				out.Header[headerRollup] = []string{"sub"} // only the newest are kept
				rolled = true
			}
		}
		if m.compare {
			out.Header[headerExpect] = []string{strconv.FormatUint(m.expect, 10)}
			if m.about != m.stream {
				out.Header[headerAbout] = []string{h.events(m.about)}
			}
		}
		if batch {
			out.Header[headerBatch] = []string{batchID}
			out.Header[headerNumber] = []string{strconv.Itoa(i + 1)}
		}
		if i == len(c.messages)-1 {
			out.Reply = reply
			out.Header[headerID], out.Header[headerAttempt] = []string{c.id}, []string{c.attempt}
			if batch {
				out.Header[headerCommit] = []string{"1"}
			}
		}
		if err := h.l.nc.PublishMsg(&out); err != nil {
			h.l.x.drop(id, waiting)
			return pubAck{}, errNobody // without its last message a batch is nothing
		}
	}
	m, _, err := h.l.x.wait(ctx, id, waiting)
	if err != nil {
		return pubAck{}, err
	}
	return parseAck(m.Data)
}

// publishOnce stores a batch that nothing tells from another like it: it is sent
// again only as long as it certainly went nowhere.
func (h *home) publishOnce(ctx context.Context, s parley.Stream, b parley.Batch) (uint64, error) {
	seq, again, err := h.publish(ctx, s, b)
	if !again {
		return seq, err
	}
	return h.publishLater(ctx, s, b)
}

func (h *home) publishLater(ctx context.Context, s parley.Stream, b parley.Batch) (seq uint64, err error) {
	err = repeat(ctx, func(ctx context.Context) (again bool, err error) {
		seq, again, err = h.publish(ctx, s, b)
		return again, err
	})
	return seq, err
}

// publish tries once; again says that nothing was stored.
func (h *home) publish(ctx context.Context, s parley.Stream, b parley.Batch) (seq uint64, again bool, err error) {
	id, reply, c := h.l.x.begin(ackWait, nil)
	if err := h.l.nc.PublishRequest(h.events(s), reply, b.Bytes()); err != nil {
		h.l.x.drop(id, c)
		return 0, true, err
	}
	got, _, err := h.l.x.wait(ctx, id, c)
	if err != nil {
		if errors.Is(err, errNobody) {
			return 0, true, err
		}
		return 0, false, unknown(err)
	}
	ack, err := parseAck(got.Data)
	switch {
	case err != nil:
		return 0, false, unknown(err)
	case ack.Error != nil && ack.Error.ErrCode == codeNotLeader:
		return 0, true, ack.Error
	case ack.Error != nil:
		return 0, false, h.refused(ack.Error)
	}
	return ack.Seq, false, nil
}

// refused makes our error of a refusal by JetStream; nothing was stored.
func (h *home) refused(e *apiError) error {
	switch e.ErrCode {
	case codeStoreFailed, codeResources, 10002, 10028, 10047: // bounds of stream, server and account
		return &parley.Error{Code: parley.Full, Detail: "the NATS servers have no room left: " + e.Text, Fix: "shorten the retention, or give JetStream more room", Err: e}
	case 10054, 10097: // message, or its headers
		return &parley.Error{Code: parley.TooLarge, Field: "batch", Detail: e.Text, Fix: "send less in one batch, or raise max_payload on the NATS servers", Err: e}
	}
	return unavailable(e)
}
