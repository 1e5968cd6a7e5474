// Package overgrpc is the Go SDK's gRPC transport: publishing, work queues, and
// subscriptions that move to and from the other transports with the same cursor. It is apart
// from package client so that only those who use it link gRPC.
//
//	g, err := overgrpc.Dial("127.0.0.1:7276", overgrpc.Options{})
//	c, err := client.New("http://127.0.0.1:7275", client.Options{GRPC: g})
//	for got, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{"orders"}, Over: client.GRPC}) { … }
package overgrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Options of a transport. The zero value works.
type Options struct {
	// Token is sent as a bearer token with every call.
	Token string
	// TLS encrypts; nil is plain text.
	TLS *tls.Config
	// MaxMessage bounds an answer; default 64 MiB.
	MaxMessage int
	// Dial connects; nil is a TCP connection to the target. With it the target is
	// only a name.
	Dial func(ctx context.Context, target string) (net.Conn, error)
}

// Transport is one connection to a server, shared by all calls. It connects when
// it is first used, and again when the connection is lost.
type Transport struct {
	conn      *grpc.ClientConn
	publish   parleyv1.PublishClient
	subscribe parleyv1.SubscribeClient
	queues    parleyv1.QueuesClient
	groups    parleyv1.GroupsClient
	target    string
	token     string
	codec     codec
}

// window is what a server may send on a call before it is read (RFC 9113 §5.2): at the
// protocol's own 64 KiB, jobs of that size together wait for a round trip.
const window = 1 << 20

// bufferSize is what one system call reads or writes: a transport has one connection,
// and what goes over it may be many jobs at a time.
const bufferSize = 128 << 10

// Dial makes a transport to HOST:PORT. Nothing is sent yet.
func Dial(target string, o Options) (*Transport, error) {
	creds := insecure.NewCredentials()
	if o.TLS != nil {
		creds = credentials.NewTLS(o.TLS)
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 64 << 20
	}
	name, own := target, newCodec()
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(o.MaxMessage), grpc.ForceCodecV2(own)),
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
		grpc.WithReadBufferSize(bufferSize),
		grpc.WithWriteBufferSize(bufferSize),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 40 * time.Second, Timeout: 10 * time.Second}),
	}
	if o.Dial != nil {
		target = "passthrough:///" + target
		options = append(options, grpc.WithContextDialer(o.Dial))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, parley.BadField("target", err.Error(), "write it like 127.0.0.1:7276")
	}
	return &Transport{target: name, conn: conn, publish: parleyv1.NewPublishClient(conn), subscribe: parleyv1.NewSubscribeClient(conn), queues: parleyv1.NewQueuesClient(conn), groups: parleyv1.NewGroupsClient(conn), token: o.Token, codec: own}, nil
}

// Close ends all calls.
func (t *Transport) Close() error { return t.conn.Close() }

func (t *Transport) context(ctx context.Context) context.Context {
	if t.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+t.token)
}

// Publish publishes events to a topic and returns when they are durable, as
// client.Client.Publish does, but for its repeats: after Unknown or Unavailable the
// caller decides. One event that comes with its own id is published once, however
// often it is sent within the server's window.
func (t *Transport) Publish(ctx context.Context, topic string, events ...parley.Event) ([]client.Placed, error) {
	req := &parleyv1.PublishRequest{Topic: topic}
	for i := range events {
		req.Events = append(req.Events, toProto(&events[i]))
	}
	res, err := t.publish.Publish(t.context(ctx), req)
	if err != nil {
		return nil, fromStatus(t.target, err)
	}
	placed := make([]client.Placed, len(res.GetEvents()))
	for i, p := range res.GetEvents() {
		placed[i] = client.Placed{Topic: p.GetTopic(), Partition: int(p.GetPartition()), Position: parley.Position(p.GetPosition()), ID: p.GetId()}
	}
	return placed, nil
}

// Receive implements client.Receiver: one stream, until it ends.
func (t *Transport) Receive(ctx context.Context, s client.Subscription, from string, give func(client.Received) error) error {
	ctx, cancel := context.WithCancel(t.context(ctx))
	defer cancel() // ends the stream when the loop is left
	req, err := request(s, from)
	if err != nil {
		return err
	}
	stream, err := t.subscribe.Subscribe(ctx, req)
	if err != nil {
		return fromStatus(t.target, err)
	}
	var places client.Places
	for first := true; ; first = false {
		m, err := stream.Recv()
		if err != nil {
			return fromStatus(t.target, err)
		}
		if first {
			places.Open(m.GetCursor(), int(m.GetStreams()), s.Topics)
		}
		if err := deliver(m, &places, give); err != nil {
			return err
		}
	}
}

// deliver hands on what one message holds.
func deliver(m *parleyv1.SubscribeResponse, places *client.Places, give func(client.Received) error) error {
	for _, n := range m.GetNotices() {
		if err := give(client.Received{Notice: noticeName(n.GetKind())}); err != nil {
			return err
		}
	}
	if len(m.GetBatches()) == 0 {
		return give(client.Received{Cursor: m.GetCursor()}) // a checkpoint
	}
	for _, b := range m.GetBatches() {
		for _, e := range b.GetEvents() {
			r := client.Received{Event: fromProto(e.GetEvent())}
			if e.GetCursor() != "" {
				r.Cursor = places.After(b.GetTopic(), int(b.GetPartition()), e.GetCursor())
			}
			if err := give(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func noticeName(k parleyv1.NoticeKind) string {
	switch k {
	case parleyv1.NoticeKind_NOTICE_KIND_GAP:
		return "gap"
	case parleyv1.NoticeKind_NOTICE_KIND_AHEAD:
		return "ahead"
	}
	return "reset"
}

func request(s client.Subscription, from string) (*parleyv1.SubscribeRequest, error) {
	req := &parleyv1.SubscribeRequest{Topics: s.Topics, Ephemeral: s.Ephemeral}
	switch {
	case from == "" || from == "latest":
		req.From = &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_LATEST}
	case from == "earliest":
		req.From = &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_EARLIEST}
	case from[0] == '@':
		at, err := time.Parse(time.RFC3339Nano, from[1:])
		if err != nil {
			return nil, parley.BadField("From", "not a time: "+from, "send @ and an RFC 3339 time")
		}
		req.From = &parleyv1.SubscribeRequest_Time{Time: timestamppb.New(at)}
	default:
		req.From = &parleyv1.SubscribeRequest_Cursor{Cursor: from}
	}
	return req, nil
}

func toProto(e *parley.Event) *parleyv1.Event {
	p := &parleyv1.Event{
		Id: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Datacontenttype: e.DataContentType, Dataschema: e.DataSchema, Extensions: e.Extensions, Data: e.Data,
	}
	if !e.Time.IsZero() {
		p.Time = timestamppb.New(e.Time)
	}
	return p
}

func fromProto(p *parleyv1.Event) parley.Event {
	e := parley.Event{
		ID: p.GetId(), Source: p.GetSource(), Type: p.GetType(), Subject: p.GetSubject(),
		DataContentType: p.GetDatacontenttype(), DataSchema: p.GetDataschema(), Extensions: p.GetExtensions(), Data: p.GetData(),
	}
	if p.GetTime() != nil {
		e.Time = p.GetTime().AsTime()
	}
	return e
}

// fromStatus reads the server's error: ErrorInfo has its code.
func fromStatus(target string, err error) error {
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return context.Canceled
	}
	st := status.Convert(err)
	e := &parley.Error{Code: parley.Internal, Detail: st.Message(), Err: err}
	if st.Code() == codes.Unavailable {
		if e.Code = parley.Unavailable; len(st.Details()) == 0 { // no server of ours has said so
			e = unreachable(target, st.Message())
		}
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if code, ok := codeNamed(d.GetReason()); ok {
				e.Code = code
			}
		case *errdetails.BadRequest:
			if v := d.GetFieldViolations(); len(v) > 0 {
				e.Field = v[0].GetField()
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

// unreachable is what gRPC tells only in words: why there is no connection.
func unreachable(target, message string) *parley.Error {
	e := client.Unreachable(target, errors.New(message))
	switch {
	case e.Code != parley.Unknown:
	case strings.Contains(message, "error reading server preface"):
		e.Detail, e.Fix = target+" does not answer in gRPC", "is it the server's gRPC address? With TLS there, the client needs TLS, too"
		e.Code = parley.Unavailable
	default:
		e.Code, e.Detail = parley.Unavailable, message
	}
	return e
}
