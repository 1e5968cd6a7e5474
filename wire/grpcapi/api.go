package grpcapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"time"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/reflection"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	groups "github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi/envoyrls"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Options of the door. Topics, Hub, Lives and Context are required.
type Options struct {
	Topics *topic.Registry
	Hub    *pubsub.Hub
	// Lives counts the subscriptions and publish streams, and ends them when the
	// server drains.
	Lives *door.Lives
	// Context ends what is still open: the server's life.
	Context    context.Context   //nolint:containedctx // streams end with the server
	TLS        *tls.Config       // nil = plain text
	Identify   door.Identifier   // nil = door.Open
	Admission  door.Admission    // nil = door.AdmitAll
	Schemas    *schema.Registry  // of the topics; nil = one that holds none
	Queues     *queue.Registry   // nil = the service is not served
	Groups     *groups.Groups    // consumer groups; nil = the service is not served
	Throttle   *policy.Registry  // limits to check; nil = none
	RateLimits *envoyrls.Service // for Envoys; nil = the service is not served
	Observe    Observer          // nil = nobody
	Log        *slog.Logger      // nil = slog.Default
	Now        func() time.Time
	Limits     Limits
}

// Limits of calls and connections. Zero fields are the defaults.
type Limits struct {
	Message int    // bytes of a message that a client sends; default 8 MiB
	Streams uint32 // calls at a time on one connection; default 1000
	Lives   int    // subscriptions and publish streams at a time, with those of other doors; default 100,000
	Window  int    // requests under way on one publish stream, of up to 64 KiB each; default 256
}

func (l Limits) withDefaults() Limits {
	if l.Message <= 0 {
		l.Message = 8 << 20
	}
	if l.Streams == 0 {
		l.Streams = 1000
	}
	if l.Lives <= 0 {
		l.Lives = 100_000
	}
	if l.Window <= 0 {
		l.Window = 256
	}
	return l
}

// Observer is told of every finished call, for metrics. route is a name of the
// route table and code a gRPC code such as "OK" or "NotFound".
type Observer interface {
	Call(route, code string, took time.Duration)
}

// Timing and sizes of connections.
const (
	handshakeTimeout = 10 * time.Second
	maxHeader        = 64 << 10
	// streamBuffer is what a client may send on a call before it is read (RFC 9113
	// §5.2). At the protocol's own 64 KiB a batch of that size waits for a round
	// trip; left alone, grpc would raise it to 16 MiB by its own measurements.
	streamBuffer = 1 << 20
	// A connection on which nothing comes is asked whether it lives.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
	minPing     = 10 * time.Second // clients that ping more often are cut
)

// API is the door.
type API struct {
	opt    Options
	routes map[string]*door.Route // by full method
	server *grpc.Server
	health *health.Server
	// buffers are for messages that are written by hand, and given back when sent.
	buffers mem.BufferPool
	life    context.Context //nolint:containedctx // ends the calls that would never end
	end     context.CancelFunc
}

// New builds the door. Serve opens it.
func New(opt Options) (*API, error) {
	if opt.Topics == nil || opt.Hub == nil || opt.Lives == nil || opt.Context == nil {
		return nil, parley.BadField("grpcapi.Options", "Topics, Hub, Lives or Context is missing", "set all four")
	}
	if opt.Identify == nil {
		opt.Identify = door.Open{}
	}
	if opt.Admission == nil {
		opt.Admission = door.AdmitAll{}
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Throttle == nil {
		var err error
		if opt.Throttle, err = policy.New(nil, policy.Options{}); err != nil { // one that holds none, and is never loaded
			return nil, err
		}
	}
	if opt.Schemas == nil {
		opt.Schemas = schema.New(nil, schema.Options{}) // never written
	}
	opt.Limits = opt.Limits.withDefaults()
	a := &API{opt: opt, routes: map[string]*door.Route{}, health: health.NewServer(), buffers: packed.NewBuffers()}
	a.life, a.end = context.WithCancel(opt.Context)
	table := append(Routes(), envoyRoute)
	for i := range table {
		a.routes[table[i].Path] = &table[i]
	}
	a.server = a.build()
	return a, nil
}

func (a *API) build() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.StreamInterceptor(a.bounded),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto"), a.buffers}),
		grpc.MaxRecvMsgSize(a.opt.Limits.Message),
		grpc.MaxConcurrentStreams(a.opt.Limits.Streams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.InitialWindowSize(streamBuffer),
		grpc.InitialConnWindowSize(streamBuffer),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
	if a.opt.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(a.opt.TLS)))
	}
	s := grpc.NewServer(options...)
	all := services
	if a.opt.RateLimits != nil {
		all = append(slices.Clone(all), &rls.RateLimitService_ServiceDesc)
	}
	for _, desc := range all {
		if desc == &parleyv1.Queues_ServiceDesc && a.opt.Queues == nil || desc == &parleyv1.Groups_ServiceDesc && a.opt.Groups == nil {
			continue
		}
		s.RegisterService(a.guarded(desc), &service{api: a})
		a.health.SetServingStatus(desc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	grpc_health_v1.RegisterHealthServer(s, a.health)
	reflection.Register(s)
	return s
}

// services are ours, as generated.
var services = []*grpc.ServiceDesc{&parleyv1.Publish_ServiceDesc, &parleyv1.Subscribe_ServiceDesc, &parleyv1.Topics_ServiceDesc, &parleyv1.Schemas_ServiceDesc, &parleyv1.Throttle_ServiceDesc, &parleyv1.Queues_ServiceDesc, &parleyv1.Groups_ServiceDesc}

// service implements them. Embedding the Unsafe interfaces makes an RPC that is
// not implemented fail the build.
type service struct {
	parleyv1.UnsafePublishServer
	parleyv1.UnsafeSubscribeServer
	parleyv1.UnsafeTopicsServer
	parleyv1.UnsafeSchemasServer
	parleyv1.UnsafeThrottleServer
	parleyv1.UnsafeQueuesServer
	parleyv1.UnsafeGroupsServer
	rls.UnsafeRateLimitServiceServer
	api *API
}

// guarded lets every method of a service pass enter. The unary ones become
// streams of one message each way, which they are on the wire: so enter comes
// before the message is read and decoded.
func (a *API) guarded(desc *grpc.ServiceDesc) *grpc.ServiceDesc {
	out := *desc
	out.Methods, out.Streams = nil, nil
	add := func(s grpc.StreamDesc) {
		route, handle := a.routes["/"+desc.ServiceName+"/"+s.StreamName], s.Handler
		s.Handler = func(srv any, stream grpc.ServerStream) error { return a.enter(route, srv, stream, handle) }
		out.Streams = append(out.Streams, s)
	}
	for _, m := range desc.Methods {
		add(grpc.StreamDesc{StreamName: m.MethodName, Handler: func(srv any, s grpc.ServerStream) error {
			answer, err := m.Handler(srv, s.Context(), s.RecvMsg, nil)
			if err != nil {
				return err
			}
			return s.SendMsg(answer)
		}})
	}
	for _, s := range desc.Streams {
		add(s)
	}
	return &out
}

// bounded ends the streams of health and reflection with the door: they would
// hold up GracefulStop.
func (a *API) bounded(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if a.routes[info.FullMethod] != nil {
		return handle(srv, s) // of ours: see enter
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	return handle(srv, &scoped{s, ctx})
}

// Serve answers calls until the door is stopped or the listener fails. It may be
// called for several listeners.
func (a *API) Serve(ln net.Listener) error { return a.server.Serve(ln) }

// GracefulStop tells health checks that the server goes, takes no more
// connections and calls, and returns when those under way are done.
// Subscriptions and publish streams are ended by Lives.Drain.
func (a *API) GracefulStop() {
	a.health.Shutdown()
	a.end()
	a.server.GracefulStop()
}

// Stop ends everything at once.
func (a *API) Stop() {
	a.health.Shutdown()
	a.end()
	a.server.Stop()
}
