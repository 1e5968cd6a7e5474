package patterntest_test

import (
	"context"
	"iter"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// overGRPC is wire/grpcapi, spoken to with the generated client.
type overGRPC struct {
	*wires
	publish   parleyv1.PublishClient
	subscribe parleyv1.SubscribeClient
	throttle  parleyv1.ThrottleClient
}

var _ interface {
	patterntest.Door
	patterntest.Publisher
} = overGRPC{}

func openGRPC(w *patterntest.World) patterntest.Door {
	wire := serveGRPC(w)
	conn, err := grpc.NewClient("passthrough:///parley", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(wire.dial))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return overGRPC{wire, parleyv1.NewPublishClient(conn), parleyv1.NewSubscribeClient(conn), parleyv1.NewThrottleClient(conn)}
}

// serveGRPC serves a world by wire/grpcapi.
func serveGRPC(w *patterntest.World) *wires {
	lives := door.NewLives()
	api, err := grpcapi.New(grpcapi.Options{Topics: w.Topics, Hub: w.Hub, Lives: lives, Context: w.Life, Admission: door.Limited(w.Limits), Throttle: w.Limits})
	if err != nil {
		w.Fatal(err)
	}
	wire := newWires()
	w.Background("lives", lives.Run)
	w.Background("grpc", func(context.Context) error { _ = api.Serve(wire); return nil }) // ends by Stop
	w.Cleanup(api.Stop)
	return wire
}

func (g overGRPC) Ways(pattern string) []patterntest.Way {
	if pattern == "pubsub" {
		return []patterntest.Way{{Name: "grpc", Subscriber: g, Many: true}}
	}
	return nil
}

func (g overGRPC) Publish(ctx context.Context, key, name string, events ...parley.Event) (patterntest.Receipt, error) {
	return placed(g.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: name, Events: protos(events), IdempotencyKey: key}))
}

func (g overGRPC) PublishAll(ctx context.Context, key string, topics ...topic.TopicEvents) (patterntest.Receipt, error) {
	in := &parleyv1.PublishAllRequest{IdempotencyKey: key}
	for _, t := range topics {
		in.Topics = append(in.Topics, &parleyv1.TopicEvents{Topic: t.Topic, Events: protos(t.Events)})
	}
	return placed(g.publish.PublishAll(ctx, in))
}

func placed(res *parleyv1.PublishResponse, err error) (patterntest.Receipt, error) {
	out := patterntest.Receipt{Replayed: res.GetReplayed()}
	for _, p := range res.GetEvents() {
		out.Placed = append(out.Placed, topic.Placed{Topic: p.GetTopic(), Partition: int(p.GetPartition()), Position: parley.Position(p.GetPosition()), ID: p.GetId()})
	}
	return out, failure(err)
}

func protos(events []parley.Event) (out []*parleyv1.Event) {
	for _, e := range events {
		p := &parleyv1.Event{
			Id: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Extensions: e.Extensions,
			Datacontenttype: e.DataContentType, Dataschema: e.DataSchema, Data: e.Data,
		}
		if !e.Time.IsZero() {
			p.Time = timestamppb.New(e.Time)
		}
		out = append(out, p)
	}
	return out
}

func event(p *parleyv1.Event) parley.Event {
	e := parley.Event{
		ID: p.GetId(), Source: p.GetSource(), Type: p.GetType(), Subject: p.GetSubject(), Extensions: p.GetExtensions(),
		DataContentType: p.GetDatacontenttype(), DataSchema: p.GetDataschema(), Data: p.GetData(),
	}
	if p.GetTime() != nil {
		e.Time = p.GetTime().AsTime()
	}
	return e
}

// failure reads the code out of google.rpc.ErrorInfo. What has none did not come
// from the server: the connection was lost, or left.
func failure(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	if s.Code() == codes.Canceled {
		return context.Canceled
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			name := strings.ReplaceAll(strings.ToLower(info.GetReason()), "_", "-")
			if code, known := parley.CodeNamed(name); known {
				return &parley.Error{Code: code, Detail: s.Message(), RetryAfter: retryAfter(s)}
			}
		}
	}
	if s.Code() == codes.Unavailable {
		return parley.Errorf(parley.Unavailable, "%w", err)
	}
	return parley.Errorf(parley.Internal, "%w", err)
}

func (g overGRPC) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return func(yield func(patterntest.Received, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		in := &parleyv1.SubscribeRequest{Topics: q.Topics, Ephemeral: q.Ephemeral}
		begin(in, q.From)
		stream, err := g.subscribe.Subscribe(ctx, in)
		var at places
		for err == nil {
			var m *parleyv1.SubscribeResponse
			if m, err = stream.Recv(); err == nil && !give(m, &at, yield) {
				return
			}
		}
		yield(patterntest.Received{}, failure(err))
	}
}

func begin(in *parleyv1.SubscribeRequest, place string) {
	switch {
	case place == "latest":
		in.From = &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_LATEST}
	case place == "earliest":
		in.From = &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_EARLIEST}
	case strings.HasPrefix(place, "@"):
		at, _ := time.Parse(time.RFC3339Nano, place[1:])
		in.From = &parleyv1.SubscribeRequest_Time{Time: timestamppb.New(at)}
	default:
		in.From = &parleyv1.SubscribeRequest_Cursor{Cursor: place}
	}
}

var noticeNames = map[parleyv1.NoticeKind]string{
	parleyv1.NoticeKind_NOTICE_KIND_GAP: "gap", parleyv1.NoticeKind_NOTICE_KIND_RESET: "reset", parleyv1.NoticeKind_NOTICE_KIND_AHEAD: "ahead",
}

// give hands a message on; the first is where the reader is.
func give(m *parleyv1.SubscribeResponse, at *places, yield func(patterntest.Received, error) bool) bool {
	first := at.newest == nil
	if first && !yield(at.open(m.GetCursor()), nil) {
		return false
	}
	for _, n := range m.GetNotices() {
		if !yield(patterntest.Received{Notice: noticeNames[n.GetKind()]}, nil) {
			return false
		}
	}
	for _, batch := range m.GetBatches() {
		for _, e := range batch.GetEvents() {
			got := patterntest.Received{Event: event(e.GetEvent()), Cursor: at.behind(batch.GetTopic(), int(batch.GetPartition()), e.GetCursor())}
			if !yield(got, nil) {
				return false
			}
		}
	}
	return true
}
