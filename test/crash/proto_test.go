package crash

import (
	"bytes"
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of parley/v1, written and read by hand from their .proto files.

// plain is a gRPC codec of messages that are bytes already.
type plain struct{}

func (plain) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (plain) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(b)
	return nil
}

func (plain) Name() string { return "proto" }

// call makes one unary call.
func call(ctx context.Context, conn *grpc.ClientConn, method string, request []byte) ([]byte, error) {
	var answer []byte
	err := conn.Invoke(ctx, "/parley.v1."+method, &request, &answer, grpc.ForceCodec(plain{}))
	return answer, err
}

func field(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func text(b []byte, number protowire.Number, value string) []byte {
	return field(b, number, []byte(value))
}

// protoEvent is an Event.
func protoEvent(e event, data string) []byte {
	b := text(nil, 1, e.id)
	b = text(b, 2, source)
	b = text(b, 3, kind)
	b = text(b, 6, "application/json")
	if e.key != "" {
		b = field(b, 8, text(text(nil, 1, "partitionkey"), 2, e.key))
	}
	return text(b, 9, data)
}

// protoPublish is a PublishRequest for one topic, or a PublishAllRequest.
func protoPublish(r *request) (method string, b []byte) {
	if !r.whole {
		b = text(nil, 1, r.events[0].topic)
		for i, e := range r.events {
			b = field(b, 2, protoEvent(e, r.data[i]))
		}
		if r.key != "" {
			b = text(b, 3, r.key)
		}
		return "Publish/Publish", b
	}
	for i := 0; i < len(r.events); {
		topic := r.events[i].topic
		group := text(nil, 1, topic)
		for ; i < len(r.events) && r.events[i].topic == topic; i++ {
			group = field(group, 2, protoEvent(r.events[i], r.data[i]))
		}
		b = field(b, 1, group)
	}
	return "Publish/PublishAll", text(b, 2, r.key)
}

var errProto = errors.New("an answer is not a message")

// walk hands the fields of a message to visit; numbers come as n, all else as b.
func walk(message []byte, visit func(number protowire.Number, n uint64, b []byte) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return errProto
		}
		message = message[size:]
		var n uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 {
			return errProto
		}
		message = message[size:]
		if err := visit(number, n, b); err != nil {
			return err
		}
	}
	return nil
}

// parsePublished reads a PublishResponse.
func parsePublished(message []byte) (a answer, err error) {
	err = walk(message, func(number protowire.Number, n uint64, b []byte) error {
		if number == 2 {
			a.replayed = n != 0
			return nil
		}
		var p place
		id := ""
		err := walk(b, func(number protowire.Number, n uint64, b []byte) error {
			switch number {
			case 1:
				p.topic = string(b)
			case 2:
				p.partition = int(n)
			case 3:
				p.position = int64(n)
			case 4:
				id = string(b)
			}
			return nil
		})
		a.places, a.ids = append(a.places, p), append(a.ids, id)
		return err
	})
	return a, err
}

// stored is an event as a reader gets it. position is 0 where it is not told.
type stored struct {
	place
	id, data, cursor string
}

// delivery is one message of a subscription.
type delivery struct {
	notices int
	events  []stored
	cursor  string
	streams int
}

// parseDelivery reads a SubscribeResponse.
func parseDelivery(message []byte) (d delivery, err error) {
	err = walk(message, func(number protowire.Number, n uint64, b []byte) error {
		switch number {
		case 1:
			d.notices++
		case 2:
			return d.batch(b)
		case 3:
			d.cursor = string(b)
		case 4:
			d.streams = int(n)
		}
		return nil
	})
	return d, err
}

func (d *delivery) batch(message []byte) error {
	var at place
	first := len(d.events)
	err := walk(message, func(number protowire.Number, n uint64, b []byte) error {
		switch number {
		case 1:
			at.topic = string(b)
		case 2:
			at.partition = int(n)
		case 4:
			e, err := parseStored(b)
			d.events = append(d.events, e)
			return err
		}
		return nil
	})
	for i := first; i < len(d.events); i++ {
		d.events[i].topic, d.events[i].partition = at.topic, at.partition
	}
	return err
}

func parseStored(message []byte) (e stored, err error) {
	err = walk(message, func(number protowire.Number, n uint64, b []byte) error {
		switch number {
		case 1:
			return walk(b, func(number protowire.Number, _ uint64, b []byte) error {
				switch number {
				case 1:
					e.id = string(b)
				case 9:
					e.data = string(b)
				}
				return nil
			})
		case 2:
			e.position = int64(n)
		case 3:
			e.cursor = string(b)
		}
		return nil
	})
	return e, err
}
