package grpcapi

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
	"github.com/parleyhq/parley/wire/httpapi"
)

func TestEveryCodeIsMapped(t *testing.T) {
	if len(grpcCodes) != len(parley.Codes()) {
		t.Errorf("%d codes are mapped, there are %d", len(grpcCodes), len(parley.Codes()))
	}
	for _, info := range parley.Codes() {
		code, ok := grpcCodes[info.Code]
		if !ok || code == codes.OK {
			t.Errorf("%s is mapped to %s", info.Name, code)
		}
		s := statusOf(&parley.Error{Code: info.Code, Field: "f", Detail: "what", Fix: "how"}, door.Trace{ID: [16]byte{1}})
		f := taken(t, s.Err())
		if f.code != Code(info.Code) || f.meta["type"] != door.ProblemType+info.Name {
			t.Errorf("%s: %+v", info.Name, f)
		}
		if named, ok := parley.CodeNamed(strings.ToLower(strings.ReplaceAll(f.reason, "_", "-"))); !ok || named != info.Code {
			t.Errorf("reason %q does not lead back to %s", f.reason, info.Name)
		}
		if info.Code == parley.Internal {
			if strings.Contains(f.text, "what") || f.meta["trace"] == "" {
				t.Errorf("an internal error says %q, trace %q", f.text, f.meta["trace"])
			}
		} else if f.text != "what; how" || f.field != "f" {
			t.Errorf("%s: %q, field %q", info.Name, f.text, f.field)
		}
	}
}

// twins are the RPCs that are not of the same name as an HTTP route, with the
// reason.
var twins = map[string]struct{ http, why string }{
	"publish-stream":       {"publish", "HTTP has a request for each publish; its connection is the stream"},
	"subscribe":            {"sse-many", "several topics and patterns as a stream: server-sent events in HTTP"},
	"queue-enqueue-stream": {"queue-enqueue", "HTTP has a request for each; its connection is the stream"},
	"queue-work":           {"queue-lease", "HTTP leases and settles by requests"},
	"group-consume":        {"group-events", "HTTP has a request for each look for events; its connection is the stream"},
	"topic-create":         {"topic-put", "PUT creates and changes; RPCs say which of the two they mean"},
}

// Every RPC has an entry in the table, and every entry its HTTP route, which asks
// for the same scope.
func TestRPCsAndHTTPRoutes(t *testing.T) {
	r := newRig(t, nil)
	web, err := httpapi.New(httpapi.Options{Topics: r.topics, Hub: r.hub, Lives: r.lives, Context: t.Context(), Throttle: r.api.opt.Throttle, Schemas: r.api.opt.Schemas, Queues: r.queues, Groups: r.groups})
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]door.Route{}
	for _, route := range Routes() {
		table[route.Path] = route
		name := route.Name
		if twin, ok := twins[name]; ok {
			name = twin.http
		}
		i := slices.IndexFunc(web.Routes(), func(h door.Route) bool { return h.Name == name })
		if i < 0 {
			t.Errorf("%s: there is no HTTP route %s", route.Path, name)
			continue
		}
		if h := web.Routes()[i]; h.Verb != route.Verb || h.On != route.On {
			t.Errorf("%s asks for %s on %s, HTTP for %s on %s", route.Path, route.Verb, route.On, h.Verb, h.On)
		}
	}
	methods := 0
	for _, desc := range services {
		var names []string
		for _, m := range desc.Methods {
			names = append(names, m.MethodName)
		}
		for _, s := range desc.Streams {
			names = append(names, s.StreamName)
		}
		for _, name := range names {
			methods++
			if _, ok := table["/"+desc.ServiceName+"/"+name]; !ok {
				t.Errorf("%s/%s is not in the table", desc.ServiceName, name)
			}
		}
	}
	if methods != len(table) {
		t.Errorf("%d RPCs, %d entries", methods, len(table))
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// tokens makes an identifier and gives each name's secret.
func tokens(t *testing.T, anonymous []string, scopes map[string]string) (*door.Tokens, map[string]string) {
	t.Helper()
	secrets := map[string]string{}
	var list []door.Token
	for name, scope := range scopes {
		expires := time.Time{}
		if name == "brief" {
			expires = noon.Add(20 * time.Millisecond)
		}
		secret, token, err := door.MakeToken(name, []string{scope}, expires)
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = secret
		list = append(list, token)
	}
	ts, err := door.NewTokens(list, anonymous)
	if err != nil {
		t.Fatal(err)
	}
	return ts, secrets
}

func as(ctx context.Context, secret string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
}

func TestWhoMayDoWhat(t *testing.T) {
	ts, secret := tokens(t, nil, map[string]string{"writer": "publish:orders.>", "reader": "read:orders.>", "owner": "*"})
	r := newRig(t, func(o *Options) { o.Identify = ts })
	publish := func(ctx context.Context, topic string) error {
		_, err := r.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: topic, Events: []*parleyv1.Event{text("0")}})
		return err
	}
	ctx := t.Context()
	taken(t, publish(ctx, "orders.a")).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
	taken(t, publish(as(ctx, "parley_nonsense"), "orders.a")).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
	taken(t, publish(as(ctx, secret["reader"]), "orders.a")).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
	taken(t, publish(as(ctx, secret["writer"]), "other")).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
	if err := publish(as(ctx, secret["writer"]), "orders.a"); err != nil {
		t.Error(err)
	}
	_, err := r.publish.PublishAll(as(ctx, secret["writer"]), &parleyv1.PublishAllRequest{Topics: []*parleyv1.TopicEvents{
		{Topic: "orders.a", Events: []*parleyv1.Event{text("1")}}, {Topic: "other", Events: []*parleyv1.Event{text("2")}},
	}})
	taken(t, err).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
	for _, topics := range [][]string{{"orders.a", "other"}, {">"}, {"$topics"}} {
		stream, err := r.subscribe.Subscribe(as(ctx, secret["reader"]), earliest(topics...))
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		taken(t, err).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
	}
	if got := r.read(as(ctx, secret["reader"]), earliest("orders.*")).until(1); got[0] != "0" {
		t.Errorf("read %v", got)
	}
	_, err = r.manage.ListTopics(ctx, &parleyv1.ListTopicsRequest{})
	taken(t, err).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
	list, err := r.manage.ListTopics(as(ctx, secret["reader"]), &parleyv1.ListTopicsRequest{})
	if err != nil || len(list.GetTopics()) != 1 {
		t.Errorf("a reader sees %v, %v", list, err)
	}
	_, err = r.manage.DeleteTopic(as(ctx, secret["reader"]), &parleyv1.DeleteTopicRequest{Topic: "orders.a"})
	taken(t, err).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")

	s, err := r.publish.PublishStream(as(ctx, secret["writer"]))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&parleyv1.PublishStreamRequest{Request: 1, Publish: &parleyv1.PublishRequest{Topic: "other", Events: []*parleyv1.Event{text("0")}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); err != nil || m.GetFailure().GetReason() != "FORBIDDEN" {
		t.Errorf("on a stream: %v, %v", m, err)
	}
}

// Whoever may do nothing is refused before their message is read.
func TestStrangersAreNotReadFrom(t *testing.T) {
	ts, _ := tokens(t, nil, map[string]string{"owner": "*"})
	r := newRig(t, func(o *Options) { o.Identify, o.Limits.Message = ts, 1<<10 })
	_, err := r.publish.Publish(t.Context(), &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text(strings.Repeat("x", 1<<20))}})
	taken(t, err).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
}

func TestATokenThatExpiresEndsItsSubscriptions(t *testing.T) {
	ts, secret := tokens(t, nil, map[string]string{"brief": "*"})
	r := newRig(t, func(o *Options) { // for the door it stays noon; the stream's own timer goes on
		o.Identify, o.Now = ts, func() time.Time { return noon }
	})
	rd := r.read(as(t.Context(), secret["brief"]), earliest("a"))
	f := taken(t, rd.end())
	f.want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
	if f.meta["cursor"] != rd.cursor {
		t.Errorf("cursor %q, the last message had %q", f.meta["cursor"], rd.cursor)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Message = 2 << 20 })
	ctx := t.Context()
	publish := func(in *parleyv1.PublishRequest) error {
		_, err := r.publish.Publish(ctx, in)
		return err
	}
	subscribe := func(in *parleyv1.SubscribeRequest) error {
		stream, err := r.subscribe.Subscribe(ctx, in)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	event := func(e *parleyv1.Event) error {
		return publish(&parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text("0"), e}})
	}
	topic := func(settings *parleyv1.Settings) error {
		_, err := r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "t", Settings: settings})
		return err
	}
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
		field  string
	}{
		"no topic":           {publish(&parleyv1.PublishRequest{Events: []*parleyv1.Event{text("0")}}), codes.InvalidArgument, "INVALID", "topic"},
		"no event":           {publish(&parleyv1.PublishRequest{Topic: "a"}), codes.InvalidArgument, "INVALID", "events"},
		"internal topic":     {publish(&parleyv1.PublishRequest{Topic: "$topics", Events: []*parleyv1.Event{text("0")}}), codes.PermissionDenied, "FORBIDDEN", "topic"},
		"time of an event":   {event(&parleyv1.Event{Time: &timestamppb.Timestamp{Nanos: -1}}), codes.InvalidArgument, "INVALID", "events[1].time"},
		"extension":          {event(&parleyv1.Event{Extensions: map[string]string{"Bad-Name": "x"}}), codes.InvalidArgument, "INVALID", "events[1].Bad-Name"},
		"large event":        {event(text(strings.Repeat("x", 3<<19))), codes.ResourceExhausted, "TOO_LARGE", "events[1].data"},
		"large message":      {event(text(strings.Repeat("x", 3<<20))), codes.ResourceExhausted, "", ""}, // told by grpc itself, with both sizes
		"no topics":          {subscribe(&parleyv1.SubscribeRequest{}), codes.InvalidArgument, "INVALID", "topic"},
		"pattern":            {subscribe(earliest("a.>.b")), codes.InvalidArgument, "INVALID", "topic"},
		"edge":               {subscribe(&parleyv1.SubscribeRequest{Topics: []string{"a"}, From: &parleyv1.SubscribeRequest_Edge{Edge: 9}}), codes.InvalidArgument, "INVALID", "edge"},
		"time to begin":      {subscribe(&parleyv1.SubscribeRequest{Topics: []string{"a"}, From: &parleyv1.SubscribeRequest_Time{Time: &timestamppb.Timestamp{Seconds: 1 << 50}}}), codes.InvalidArgument, "INVALID", "time"},
		"internal, not made": {subscribe(earliest("$nothing")), codes.NotFound, "NOT_FOUND", "topic"},
		"partitions":         {topic(&parleyv1.Settings{Partitions: -1}), codes.InvalidArgument, "INVALID", "partitions"},
		"durability":         {topic(&parleyv1.Settings{Durability: 9}), codes.InvalidArgument, "INVALID", "durability"},
		"max_age":            {topic(&parleyv1.Settings{AgeLimit: &parleyv1.Settings_MaxAge{MaxAge: durationpb.New(-1)}}), codes.InvalidArgument, "INVALID", "max_age"},
		"poll_hint":          {topic(&parleyv1.Settings{PollHint: &durationpb.Duration{Seconds: 1, Nanos: -1}}), codes.InvalidArgument, "INVALID", "poll_hint"},
	} {
		t.Run(name, func(t *testing.T) { taken(t, c.err).want(t, c.code, c.reason, c.field) })
	}
}

// raw sends bytes that no generated code would.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (raw) Name() string                       { return "proto" }

func TestBytesThatAreNoMessage(t *testing.T) {
	r := newRig(t, nil)
	var out []byte
	err := r.conn.Invoke(t.Context(), "/parley.v1.Publish/Publish", []byte("\x0a\x02\xff\xff"), &out, grpc.ForceCodec(raw{})) // the simple codec is enough
	taken(t, err).want(t, codes.InvalidArgument, "INVALID", "message")
}

func TestTopics(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	made, err := r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "orders", Settings: &parleyv1.Settings{Partitions: 2, Durability: parleyv1.Durability_DURABILITY_OS, MaxEvent: 100}})
	if err != nil {
		t.Fatal(err)
	}
	if s := made.GetSettings(); s.GetPartitions() != 2 || s.GetDurability() != parleyv1.Durability_DURABILITY_OS || s.GetMaxAge().AsDuration() != 7*24*time.Hour || s.GetMaxBytes() != -1 || len(made.GetPartitions()) != 2 || made.GetCreated() == nil || made.GetWindow().GetKeys() == 0 {
		t.Fatalf("made %v", made)
	}
	if again, err := r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "orders", Settings: &parleyv1.Settings{Partitions: 2, Durability: parleyv1.Durability_DURABILITY_OS, MaxEvent: 100}}); err != nil || again.GetName() != "orders" {
		t.Fatalf("again: %v, %v", again, err)
	}
	_, err = r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "orders", Settings: &parleyv1.Settings{Partitions: 3}})
	if f := taken(t, err); f.code != codes.AlreadyExists || f.reason != "EXISTS" {
		t.Fatalf("with other settings: %+v", f)
	}
	changed, err := r.manage.UpdateTopic(ctx, &parleyv1.UpdateTopicRequest{Topic: "orders", Settings: &parleyv1.Settings{Partitions: 4, AgeLimit: &parleyv1.Settings_UnlimitedAge{UnlimitedAge: true}, PollHint: durationpb.New(5 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	if s := changed.GetSettings(); s.GetPartitions() != 4 || !s.GetUnlimitedAge() || s.GetMaxEvent() != 100 || s.GetPollHint().AsDuration() != 5*time.Second {
		t.Fatalf("changed to %v", s)
	}
	r.send("orders", "0", "1", "2")
	shown, err := r.manage.GetTopic(ctx, &parleyv1.GetTopicRequest{Topic: "orders"})
	if err != nil || shown.GetEvents() != 3 || shown.GetBytes() == 0 {
		t.Fatalf("shown %v, %v", shown, err)
	}
	r.send("a", "0")
	r.send("b", "0")
	first, err := r.manage.ListTopics(ctx, &parleyv1.ListTopicsRequest{Limit: 2})
	if err != nil || len(first.GetTopics()) != 2 || first.GetNext() != "b" || first.GetTopics()[0].GetPartitions() != nil {
		t.Fatalf("first page %v, %v", first, err)
	}
	rest, err := r.manage.ListTopics(ctx, &parleyv1.ListTopicsRequest{After: first.GetNext(), Limit: 2})
	if err != nil || len(rest.GetTopics()) != 1 || rest.GetTopics()[0].GetName() != "orders" || rest.GetNext() != "" {
		t.Fatalf("second page %v, %v", rest, err)
	}
	if _, err := r.manage.DeleteTopic(ctx, &parleyv1.DeleteTopicRequest{Topic: "orders"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.manage.GetTopic(ctx, &parleyv1.GetTopicRequest{Topic: "orders"})
	taken(t, err).want(t, codes.NotFound, "NOT_FOUND", "topic")
}

// full is an Admission that lets nobody in, and remembers what it was asked.
type full struct {
	mu   sync.Mutex
	seen []door.Request
	err  error
}

func (f *full) Admit(_ context.Context, r *door.Request) (func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, *r)
	if len(r.Header("x-panic")) > 0 {
		panic("a fault of ours")
	}
	return func() {}, f.err
}

// refuse has it say err from now on.
func (f *full) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func TestAdmission(t *testing.T) {
	f := &full{err: &parley.Error{Code: parley.Throttled, Detail: "too many", RetryAfter: 3 * time.Second}}
	r := newRig(t, func(o *Options) { o.Admission, o.Log = f, slog.New(slog.DiscardHandler) })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-tenant", "7")
	in := &parleyv1.PublishRequest{Topic: "a", Events: []*parleyv1.Event{text("0")}}
	_, err := r.publish.Publish(ctx, in)
	got := taken(t, err)
	if got.want(t, codes.ResourceExhausted, "THROTTLED", ""); !got.retry {
		t.Error("no word of when to come back")
	}
	asked := f.seen[0]
	if fmt.Sprint(asked.Topics) != "[a]" || asked.Route.Name != "publish" || asked.Path != "/parley.v1.Publish/Publish" || fmt.Sprint(asked.Header("X-Tenant")) != "[7]" || asked.Remote == "" {
		t.Errorf("asked for %+v", asked)
	}
	s, err := r.publish.PublishStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&parleyv1.PublishStreamRequest{Publish: in}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); err != nil || m.GetFailure().GetReason() != "THROTTLED" || m.GetFailure().GetRetryAfter().AsDuration() != 3*time.Second {
		t.Errorf("on a stream: %v, %v", m, err)
	}
	_, err = r.publish.Publish(metadata.AppendToOutgoingContext(ctx, "x-panic", "1"), in)
	got = taken(t, err)
	if got.want(t, codes.Internal, "INTERNAL", ""); strings.Contains(got.text, "fault") || got.meta["trace"] == "" {
		t.Errorf("a panic says %q, trace %q", got.text, got.meta["trace"])
	}
}

func TestStreamsAreCounted(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Lives = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.read(ctx, earliest("a"))
	stream, err := r.subscribe.Subscribe(t.Context(), earliest("a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	f := taken(t, err)
	if f.want(t, codes.Unavailable, "OVERLOADED", ""); !f.retry {
		t.Error("no word of when to come back")
	}
	if n := r.lives.Count(); n != 1 {
		t.Errorf("%d streams are open", n)
	}
}

func TestReflectionAndHealth(t *testing.T) {
	ts, _ := tokens(t, nil, map[string]string{"owner": "*"})
	r := newRig(t, func(o *Options) { o.Identify = ts })
	ref, err := grpc_reflection_v1.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ref.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	m, err := ref.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range m.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"parley.v1.Publish", "parley.v1.Subscribe", "parley.v1.Topics", "parley.v1.Throttle", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("reflection lists %v, not %s", names, want)
		}
	}
	if err := ref.CloseSend(); err != nil {
		t.Fatal(err)
	}
	h := grpc_health_v1.NewHealthClient(r.conn)
	if out, err := h.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "parley.v1.Publish"}); err != nil || out.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", out, err)
	}
}

// A watcher of health hears of the end, and does not hold it up; nor do
// subscriptions once they are drained.
func TestGracefulStop(t *testing.T) {
	r := newRig(t, nil)
	watch, err := grpc_health_v1.NewHealthClient(r.conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", m, err)
	}
	r.send("a", "0")
	rd := r.read(t.Context(), earliest("a"))
	stopped := make(chan struct{})
	go func() { r.api.GracefulStop(); close(stopped) }()
	for {
		m, err := watch.Recv()
		if err != nil {
			break
		}
		if m.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Fatalf("status %s", m.GetStatus())
		}
	}
	rd.until(1) // goes on until it is drained
	if err := r.lives.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	taken(t, rd.end()).want(t, codes.Unavailable, "UNAVAILABLE", "")
	<-stopped
}
