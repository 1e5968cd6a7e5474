package interop

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/parleyhq/parley/test/rig"
)

// reflected is a gRPC client that knows nothing but an address: it asks the server
// what its services are, and speaks JSON to its caller.
type reflected struct {
	conn *grpc.ClientConn
}

func dialReflected(s *rig.Server) (*reflected, error) {
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	return &reflected{conn}, err
}

// method finds a method of a service.
func (c *reflected) method(ctx context.Context, service, method string) (protoreflect.MethodDescriptor, error) {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service}})
	if err != nil {
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	_ = stream.CloseSend() // the stream has done what it is for
	set := &descriptorpb.FileDescriptorSet{}
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, file); err != nil {
			return nil, err
		}
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		return nil, err
	}
	return found.(protoreflect.MethodDescriptor), nil
}

// stream sends one request and hands each answer to take, until that says that it
// is enough.
func (c *reflected) stream(ctx context.Context, service, method string, request any, take func(answer []byte) (enough bool, err error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m, err := c.method(ctx, service, method)
	if err != nil {
		return fmt.Errorf("reflection: %w", err)
	}
	in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(body, in); err != nil {
		return err
	}
	call, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+service+"/"+method)
	if err != nil {
		return err
	}
	if err := call.SendMsg(in); err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	for {
		if err := call.RecvMsg(out); err != nil {
			return err
		}
		answer, err := protojson.Marshal(out)
		if err != nil {
			return err
		}
		if enough, err := take(answer); err != nil || enough {
			return err
		}
	}
}

// readGRPC reads by the Subscribe service.
func readGRPC(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error) {
	c, err := dialReflected(s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	request := map[string]any{"topics": []string{topic}, "cursor": after}
	if after == "earliest" {
		request = map[string]any{"topics": []string{topic}, "edge": "EDGE_EARLIEST"}
	}
	var all []received
	err = c.stream(ctx, "parley.v1.Subscribe", "Subscribe", request, func(answer []byte) (bool, error) {
		var message struct {
			Notices []json.RawMessage
			Batches []struct {
				Events []struct {
					Cursor string
					Event  struct{ Data []byte }
				}
			}
		}
		if err := json.Unmarshal(answer, &message); err != nil {
			return false, err
		}
		if len(message.Notices) > 0 {
			return false, fmt.Errorf("the server says %s", message.Notices)
		}
		for _, batch := range message.Batches {
			for _, e := range batch.Events {
				all = append(all, received{string(e.Event.Data), e.Cursor})
			}
		}
		return len(all) >= count, nil
	})
	return all, err
}
