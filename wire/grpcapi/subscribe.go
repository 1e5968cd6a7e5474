package grpcapi

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// messageBytes is about how much one message holds: well below the 4 MiB that
// clients take by default.
const messageBytes = 1 << 20

// Subscribe implements parleyv1.SubscribeServer. A slow client blocks its own
// SendMsg by HTTP/2's flow control; what it has not seen stays in the log.
func (s *service) Subscribe(in *parleyv1.SubscribeRequest, stream grpc.ServerStreamingServer[parleyv1.SubscribeResponse]) error {
	c := callOf(stream.Context())
	for _, name := range in.GetTopics() {
		if err := c.allow("read", name); err != nil {
			return err
		}
	}
	from, err := fromOf(in)
	if err != nil {
		return err
	}
	release, err := c.admit(stream.Context(), in.GetTopics()...)
	if err != nil {
		return err
	}
	defer release()
	live, done, err := c.live(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	sub, err := s.api.opt.Hub.Subscribe(live, pubsub.Request{Topics: in.GetTopics(), From: from, Ephemeral: in.GetEphemeral(), Strict: in.GetStrict()})
	if err != nil {
		return cause(live, err)
	}
	defer sub.Close()
	r := &reading{stream: stream, sub: sub}
	err = r.run(live)
	return &resumable{err: cause(live, err), cursor: r.cursor}
}

// cause is why a live context ended, if err says that it did.
func cause(live context.Context, err error) error {
	if live.Err() == nil {
		return err
	}
	return context.Cause(live)
}

func fromOf(in *parleyv1.SubscribeRequest) (pubsub.From, error) {
	switch from := in.GetFrom().(type) {
	case nil:
		return pubsub.Latest(), nil
	case *parleyv1.SubscribeRequest_Cursor:
		return pubsub.After(from.Cursor), nil
	case *parleyv1.SubscribeRequest_Time:
		if from.Time.CheckValid() != nil {
			return pubsub.From{}, parley.BadField("time", "is no time", "send seconds from the years 1 to 9999, and 0 to 999,999,999 nanoseconds")
		}
		return pubsub.At(from.Time.AsTime()), nil
	case *parleyv1.SubscribeRequest_Edge:
		switch from.Edge {
		case parleyv1.Edge_EDGE_UNSPECIFIED, parleyv1.Edge_EDGE_LATEST:
			return pubsub.Latest(), nil
		case parleyv1.Edge_EDGE_EARLIEST:
			return pubsub.Earliest(), nil
		}
	}
	return pubsub.From{}, parley.BadField("edge", "is none that is known here", "send EDGE_LATEST or EDGE_EARLIEST")
}

// reading is one subscription and the message that is being put together for it.
type reading struct {
	stream grpc.ServerStream
	sub    *pubsub.Subscription
	cursor string // of the last message that was sent
	// streams is told with the next message, if it is not 0.
	streams int
	events  []part
	size    int // of events
}

// part is events of one batch, encoded.
type part struct {
	item     *pubsub.Item
	fleeting bool
	shared   []byte
}

// run delivers until the subscription ends, and gives why it did.
func (r *reading) run(live context.Context) error {
	opening, err := r.sub.Fetch(live, 0) // no events: what became of the place
	if err != nil {
		return err
	}
	r.streams = r.sub.Streams()
	if err := r.send(opening.Notices, r.sub.Cursor()); err != nil {
		return err
	}
	for {
		d, err := r.sub.Next(live)
		if err != nil {
			return err
		}
		if err := r.deliver(&d); err != nil {
			return err
		}
	}
}

// deliver sends a delivery, in one message if it fits.
func (r *reading) deliver(d *pubsub.Delivery) error {
	notices := d.Notices
	for _, chunk := range d.Chunks {
		frame, views := chunk.Frame(stored), chunk.Views()
		if all := frame.From(chunk.First); r.size+len(all) <= messageBytes {
			r.add(chunk, all)
			d.Advance(&views[len(views)-1])
			continue
		}
		for i := range views {
			one := frame.Event(chunk.First + i)
			if r.size > 0 && r.size+len(one) > messageBytes {
				if err := r.send(notices, d.Cursor()); err != nil {
					return err
				}
				notices = nil
			}
			r.add(chunk, one)
			d.Advance(&views[i])
		}
	}
	return r.send(notices, r.sub.Cursor())
}

func (r *reading) add(c pubsub.Chunk, shared []byte) {
	r.events = append(r.events, part{c.Item, c.Fleeting, shared})
	r.size += len(shared)
}

// send sends what was added, behind the notices.
func (r *reading) send(notices []pubsub.Notice, cursor string) error {
	m := &encoded{assemble(notices, r.events, cursor, r.streams)}
	r.streams = 0
	clear(r.events) // or the buffers live until the next message
	r.events, r.size = r.events[:0], 0
	if err := r.stream.SendMsg(m); err != nil {
		return err
	}
	r.cursor = cursor
	return nil
}

// Field numbers of SubscribeResponse, EventBatch and Notice.
const (
	responseNotices = 1
	responseBatches = 2
	responseCursor  = 3
	responseStreams = 4

	batchTopic     = 1
	batchPartition = 2
	batchEphemeral = 3

	noticeKind      = 1
	noticeTopic     = 2
	noticePartition = 3
	noticeFrom      = 4
	noticeTo        = 5
)

// assemble makes a SubscribeResponse of shared bytes and of this reader's own,
// which are parts of one buffer.
func assemble(notices []pubsub.Notice, events []part, cursor string, streams int) mem.BufferSlice {
	own := make([]byte, 0, 64+64*len(notices)+len(cursor))
	for i := range notices {
		own = appendNotice(own, &notices[i])
	}
	type cut struct{ own, from, to int } // bytes of own up to here, then events[from:to]
	cuts := make([]cut, 0, len(events))
	for from := 0; from < len(events); {
		to, size := from, 0
		for ; to < len(events) && events[to].with(&events[from]); to++ {
			size += len(events[to].shared)
		}
		own = events[from].appendHead(own, size)
		cuts = append(cuts, cut{len(own), from, to})
		from = to
	}
	own = packed.AppendText(own, responseCursor, cursor)
	own = packed.AppendNumber(own, responseStreams, int64(streams))

	out := make(mem.BufferSlice, 0, len(events)+len(cuts)+1)
	at := 0
	for _, c := range cuts {
		out = append(out, mem.SliceBuffer(own[at:c.own]))
		for _, e := range events[c.from:c.to] {
			out = append(out, mem.SliceBuffer(e.shared))
		}
		at = c.own
	}
	return append(out, mem.SliceBuffer(own[at:]))
}

// with says whether two parts can be in one EventBatch.
func (p *part) with(q *part) bool {
	return p.item.Topic == q.item.Topic && p.item.Partition == q.item.Partition && p.fleeting == q.fleeting
}

// appendHead appends an EventBatch but for its events, which have size bytes.
func (p *part) appendHead(dst []byte, size int) []byte {
	fleeting := int64(0)
	if p.fleeting {
		fleeting = 1
	}
	size += packed.TextSize(batchTopic, p.item.Topic) + packed.NumberSize(batchPartition, int64(p.item.Partition)) + packed.NumberSize(batchEphemeral, fleeting)
	dst = packed.AppendHead(dst, responseBatches, size)
	dst = packed.AppendText(dst, batchTopic, p.item.Topic)
	dst = packed.AppendNumber(dst, batchPartition, int64(p.item.Partition))
	return packed.AppendNumber(dst, batchEphemeral, fleeting)
}

// noticeKinds are the kinds by those of pubsub.
var noticeKinds = map[pubsub.NoticeKind]parleyv1.NoticeKind{
	pubsub.Gap: parleyv1.NoticeKind_NOTICE_KIND_GAP, pubsub.Reset: parleyv1.NoticeKind_NOTICE_KIND_RESET, pubsub.Ahead: parleyv1.NoticeKind_NOTICE_KIND_AHEAD,
}

func appendNotice(dst []byte, n *pubsub.Notice) []byte {
	kind := int64(noticeKinds[n.Kind])
	size := packed.NumberSize(noticeKind, kind) + packed.TextSize(noticeTopic, n.Topic) + packed.NumberSize(noticePartition, int64(n.Partition)) +
		packed.NumberSize(noticeFrom, int64(n.From)) + packed.NumberSize(noticeTo, int64(n.To))
	dst = packed.AppendHead(dst, responseNotices, size)
	dst = packed.AppendNumber(dst, noticeKind, kind)
	dst = packed.AppendText(dst, noticeTopic, n.Topic)
	dst = packed.AppendNumber(dst, noticePartition, int64(n.Partition))
	dst = packed.AppendNumber(dst, noticeFrom, int64(n.From))
	return packed.AppendNumber(dst, noticeTo, int64(n.To))
}
