package grpcapi

import (
	"context"

	"google.golang.org/grpc"

	"github.com/parleyhq/parley"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// PublishStream implements parleyv1.PublishServer.
func (s *service) PublishStream(stream grpc.BidiStreamingServer[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]) error {
	ctx := stream.Context()
	return runPipeline(s, stream, kind[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]{
		size: func(m *parleyv1.PublishStreamRequest) int {
			size := len(m.GetPublish().GetRecordBatch())
			for _, e := range m.GetPublish().GetEvents() {
				size += len(e.GetData()) + 256 // attributes, about
			}
			return size
		},
		keys: publishKeys,
		do:   func(m *parleyv1.PublishStreamRequest) *parleyv1.PublishStreamResponse { return s.publishOne(ctx, m) },
	})
}

// publishKeys names the partition keys of a request.
func publishKeys(m *parleyv1.PublishStreamRequest, name func(...string)) {
	for _, e := range m.GetPublish().GetEvents() {
		if key := e.GetExtensions()[parley.PartitionKey]; key != "" {
			name(m.GetPublish().GetTopic(), key)
		}
	}
}

func (s *service) publishOne(ctx context.Context, m *parleyv1.PublishStreamRequest) *parleyv1.PublishStreamResponse {
	out := &parleyv1.PublishStreamResponse{Request: m.GetRequest()}
	var published *parleyv1.PublishResponse
	err := callOf(ctx).guard(func() (err error) {
		if m.GetPublish() == nil {
			return parley.BadField("publish", "is absent", "send what to publish")
		}
		published, err = s.publish(ctx, m.GetPublish())
		return err
	})
	if err != nil {
		s.api.failed(ctx, callOf(ctx), err)
		out.Result = &parleyv1.PublishStreamResponse_Failure{Failure: failureOf(err)}
		return out
	}
	out.Result = &parleyv1.PublishStreamResponse_Published{Published: published}
	return out
}
