package overgrpc

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of messages
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/parleyhq/parley/wire/grpcapi/packed"
)

// written is a message that was written by hand.
type written struct{ parts mem.BufferSlice }

// readable is a message that is read by hand, if it is one of most.
type readable interface {
	// read reads it, and may keep b; false: it is for message.
	read(b []byte) bool
	// message is what the generated code reads it into.
	message() proto.Message
}

// codec is the protobuf codec that knows these two.
type codec struct {
	encoding.CodecV2
	buffers mem.BufferPool
}

func newCodec() codec { return codec{encoding.GetCodecV2("proto"), packed.NewBuffers()} }

// write makes a message of size bytes, which add appends.
func (c codec) write(size int, add func([]byte) []byte) *written {
	buf := c.buffers.Get(size)
	*buf = add((*buf)[:0])
	return &written{mem.BufferSlice{mem.NewBuffer(buf, c.buffers)}}
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*written); ok {
		return m.parts, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(readable); ok {
		b := data.Materialize()
		if m.read(b) {
			return nil
		}
		return proto.Unmarshal(b, m.message())
	}
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buf := data.MaterializeToBuffer(c.buffers)
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m) // copies what it keeps
}
