package grpcapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
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

// codec is the protobuf codec that knows these two.
type codec struct{ encoding.CodecV2 }

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
		m.err = c.CodecV2.Unmarshal(data, m.into)
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
