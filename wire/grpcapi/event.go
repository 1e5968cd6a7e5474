package grpcapi

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
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

// Field numbers of EventBatch, StoredEvent and Event that are used more than once.
const (
	batchEvents = 4

	storedEvent    = 1
	storedPosition = 2
	storedCursor   = 3

	eventTime       = 5
	eventExtensions = 8
	eventData       = 9
)

func appendStored(dst []byte, v *pubsub.View) []byte {
	event := eventSize(&v.Event)
	cursor := ""
	if !topic.IsEphemeral(v.Topic) { // what is not stored has no place
		cursor = v.Cursor()
	}
	size := fieldSize(storedEvent, event) + protowire.SizeTag(storedPosition) + protowire.SizeVarint(uint64(v.Position)) + textSize(storedCursor, cursor)
	dst = appendHead(dst, batchEvents, size)
	dst = appendHead(dst, storedEvent, event)
	dst = appendEvent(dst, &v.Event)
	dst = protowire.AppendTag(dst, storedPosition, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(v.Position))
	return appendText(dst, storedCursor, cursor)
}

// texts are the string fields of Event: their numbers are their index.
func texts(e *parley.Event) [8]string {
	return [8]string{1: e.ID, 2: e.Source, 3: e.Type, 4: e.Subject, 6: e.DataContentType, 7: e.DataSchema}
}

func eventSize(e *parley.Event) int {
	size := 0
	for number, text := range texts(e) {
		size += textSize(number, text)
	}
	if !e.Time.IsZero() {
		size += fieldSize(eventTime, timeSize(e.Time))
	}
	for name, value := range e.Extensions {
		if value != "" { // an absent one
			size += fieldSize(eventExtensions, textSize(1, name)+textSize(2, value))
		}
	}
	if e.Data != nil {
		size += fieldSize(eventData, len(e.Data))
	}
	return size
}

func appendEvent(dst []byte, e *parley.Event) []byte {
	for number, text := range texts(e) {
		dst = appendText(dst, number, text)
	}
	if !e.Time.IsZero() {
		dst = appendTime(appendHead(dst, eventTime, timeSize(e.Time)), e.Time)
	}
	for name, value := range e.Extensions {
		if value == "" {
			continue
		}
		dst = appendHead(dst, eventExtensions, textSize(1, name)+textSize(2, value))
		dst = appendText(appendText(dst, 1, name), 2, value)
	}
	if e.Data != nil {
		dst = append(appendHead(dst, eventData, len(e.Data)), e.Data...)
	}
	return dst
}

// timeSize and appendTime are google.protobuf.Timestamp.
func timeSize(t time.Time) int {
	return numberSize(1, t.Unix()) + numberSize(2, int64(t.Nanosecond()))
}

func appendTime(dst []byte, t time.Time) []byte {
	return appendNumber(appendNumber(dst, 1, t.Unix()), 2, int64(t.Nanosecond()))
}

// appendHead begins a field of size bytes.
func appendHead(dst []byte, number protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.BytesType), uint64(size))
}

func fieldSize(number protowire.Number, size int) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(size)
}

// Fields of proto3 without presence: the zero value is left out.

func textSize(number int, text string) int {
	if text == "" {
		return 0
	}
	return fieldSize(protowire.Number(number), len(text))
}

func appendText(dst []byte, number int, text string) []byte {
	if text == "" {
		return dst
	}
	return append(appendHead(dst, protowire.Number(number), len(text)), text...)
}

func numberSize(number protowire.Number, n int64) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(number) + protowire.SizeVarint(uint64(n))
}

func appendNumber(dst []byte, number protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), uint64(n))
}
