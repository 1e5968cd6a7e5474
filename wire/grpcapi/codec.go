package grpcapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// encoded is a message in its wire form, in parts: those that are shared with
// other readers are never copied or changed.
type encoded struct{ parts mem.BufferSlice }

// incoming is a message to be received. When its bytes are no such message, the
// call is told so: grpc, if its codec fails, ends the call with a code that blames
// the server.
type incoming struct {
	into any
	err  error
}

// handmade is a message that is read by hand, if it is one of most.
type handmade interface {
	// take reads it, and then has the buffer to free; false: it is for message.
	take(buf mem.Buffer) bool
	// message is what the generated code reads it into.
	message() proto.Message
}

// codec is the protobuf codec that knows these three. Messages that came in several
// frames are put together in buffers of its own.
type codec struct {
	encoding.CodecV2
	buffers mem.BufferPool
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*encoded); ok {
		return m.parts, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*incoming); ok {
		m.err = c.Unmarshal(data, m.into)
		return nil
	}
	m, ok := v.(proto.Message)
	hand, byHand := v.(handmade)
	if !ok && !byHand {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(c.buffers)
	if byHand {
		if hand.take(buf) {
			return nil
		}
		m = hand.message()
	}
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m) // copies what it keeps
}
