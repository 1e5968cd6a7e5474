package grpcapi

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// eventOf takes an event as a publisher sends it: incomplete, and not checked but
// for what an Event cannot hold. It takes the message's memory over.
func eventOf(e *parleyv1.Event) (parley.Event, error) {
	out := parley.Event{
		ID: e.GetId(), Source: e.GetSource(), Type: e.GetType(), Subject: e.GetSubject(),
		DataContentType: e.GetDatacontenttype(), DataSchema: e.GetDataschema(), Extensions: e.GetExtensions(), Data: e.GetData(),
	}
	if t := e.GetTime(); t != nil {
		if t.CheckValid() != nil {
			return out, parley.BadField("time", "is no time", "send seconds from the years 1 to 9999, and 0 to 999,999,999 nanoseconds")
		}
		out.Time = t.AsTime()
	}
	return out, nil
}

func eventsOf(list []*parleyv1.Event) ([]parley.Event, error) {
	events := make([]parley.Event, len(list))
	for i, e := range list {
		var err error
		if events[i], err = eventOf(e); err != nil {
			return nil, parley.AtIndex(err, i)
		}
	}
	return events, nil
}

// stored is an event on its way to subscribers: an element of EventBatch.events
// with its tag. It is written by hand, since the bytes of an event are needed
// inside of messages that differ.
var stored = &pubsub.Format{Name: "grpc", Append: appendStored}

// Field numbers of EventBatch and StoredEvent that are used more than once.
const (
	batchEvents = 4

	storedEvent    = 1
	storedPosition = 2
	storedCursor   = 3
)

func appendStored(dst []byte, v *pubsub.View) []byte {
	event := packed.EventSize(&v.Event)
	cursor := ""
	if !topic.IsEphemeral(v.Topic) { // what is not stored has no place
		cursor = v.Cursor()
	}
	size := packed.FieldSize(storedEvent, event) + protowire.SizeTag(storedPosition) + protowire.SizeVarint(uint64(v.Position)) + packed.TextSize(storedCursor, cursor)
	dst = packed.AppendHead(dst, batchEvents, size)
	dst = packed.AppendHead(dst, storedEvent, event)
	dst = packed.AppendEvent(dst, &v.Event)
	dst = protowire.AppendTag(dst, storedPosition, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(v.Position))
	return packed.AppendText(dst, storedCursor, cursor)
}
