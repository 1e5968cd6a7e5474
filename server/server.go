package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/internal/run"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi/envoyrls"
	"github.com/parleyhq/parley/wire/httpapi"
)

// Options are what a program gives a server besides its configuration. The zero
// value works.
type Options struct {
	// Version of the product, for metrics and the OpenAPI document.
	Version string
	// Log hears of what happens; nil is slog.Default.
	Log *slog.Logger
	// Console serves the paths that are not the API's; nil answers 404 there.
	Console http.Handler
	// Lab builds what serves /lab/ from the API's handler, for callers with the
	// scope admin; nil answers 404 there.
	Lab func(api http.Handler) http.Handler
	// HeapFloor is the size in bytes that the heap is made to have at least, in the
	// eyes of the garbage collector; 0 leaves it as it is. See [HeapFloor].
	HeapFloor int
	// Reload asks to read the files of pipes.dir again now; nil never does.
	Reload <-chan struct{}
	// Started is called once the server accepts requests.
	Started func(Addresses)
}

// HeapFloor is an Options.HeapFloor for a process that does nothing but serve. A
// server with little to remember has a heap of a few MB, which under load is collected
// a dozen times a second, each time at the expense of whoever waits for an answer. The
// floor is memory that nothing touches, so that it is never in the machine's; the
// process grows by about as much garbage. A program with a server in it decides for
// itself.
const HeapFloor = 32 << 20

// Addresses are where a running server is reached.
type Addresses struct {
	HTTP string // HOST:PORT
	GRPC string // HOST:PORT; "" = closed
	TLS  bool
}

// parts are the running pieces that doors stand on.
type parts struct {
	topics  *topic.Registry
	hub     *pubsub.Hub
	schemas *schema.Registry
	limits  *policy.Registry
	queues  *queue.Registry
	groups  *stream.Groups
	pipes   *declared.Registry
	files   *pipeFiles                  // nil = none
	counts  func(context.Context) error // of shared limits; nil = none
	copy    httpapi.Snapshot
	life    context.Context //nolint:containedctx // of the server, which connections share
}

// Server is a whole Parley in one process. New makes it and Run, called once,
// lets it live.
type Server struct {
	cfg      Config
	opt      Options
	log      *slog.Logger
	identify door.Identifier
	tls      *tls.Config
	metrics  *metrics
	envoy    *envoyrls.Service // nil = none is configured
	lives    *door.Lives
	ready    atomic.Bool
}

// New checks the configuration and builds what needs neither files nor network.
// Errors are Invalid and Forbidden, naming the field.
func New(cfg Config, opt Options) (*Server, error) {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, opt: opt, log: opt.Log, lives: door.NewLives(), metrics: newMetrics(opt.Version)}
	var err error
	if s.identify, err = cfg.identifier(); err != nil {
		return nil, err
	}
	if s.tls, err = cfg.TLS.config(); err != nil {
		return nil, err
	}
	if s.envoy, err = readDomains(cfg.Throttle.Envoy, s.metrics.decided); err != nil {
		return nil, err
	}
	RegisterCodecs()
	return s, nil
}

// Run serves until ctx ends, drains, and returns nil; or it returns the error
// that kept it from serving. The engine is there before everything else and
// leaves last.
func (s *Server) Run(ctx context.Context) error {
	floor := make([]byte, s.opt.HeapFloor)
	defer runtime.KeepAlive(floor)
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer listeners.close()
	st, err := openStorage(ctx, s.cfg, s.log)
	if err != nil {
		return err
	}
	var g run.Group
	if st.run != nil {
		g.Add("engine", st.run)
	}
	g.Add("server", func(ctx context.Context) error { return s.serve(ctx, st, listeners) })
	return g.Run(ctx)
}

// serve loads what the engine holds and runs everything above it.
func (s *Server) serve(ctx context.Context, st *storage, at *listeners) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // connections live until they are drained
	defer end()
	p, err := s.load(ctx, life, st)
	if err != nil {
		return err
	}
	home := door.Listen(at.http, s.tls, door.Limits{Connections: s.cfg.Limits.Connections, PerIP: s.cfg.Limits.PerIP})
	api, err := s.api(p, home)
	if err != nil {
		return err
	}
	s.gauges(p.topics, home)

	var g run.Group
	p.join(&g)
	g.Add("lives", s.lives.Run)
	if at.grpc != nil {
		rpc, err := s.rpc(p)
		if err != nil {
			return err
		}
		g.Add("grpc", func(ctx context.Context) error { return serveRPC(ctx, rpc, at.grpc) })
	}
	g.Add("listener", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = home.Close() })()
		return home.Run()
	})
	g.Add("http", func(ctx context.Context) error { return s.serveHTTP(ctx, home, s.handler(api), at) })
	return g.Run(ctx)
}

// load makes the parts of a server over an engine, and reads what they keep in it.
func (s *Server) load(ctx, life context.Context, st *storage) (*parts, error) {
	log := metered{st.log, s.metrics}
	schemas := schema.New(log, schema.Options{Logger: s.log})
	topics := topic.New(log, topic.Options{AutoCreate: s.cfg.Topics.AutoCreate, Defaults: s.cfg.Topics.Defaults, Check: schemas.Check, Logger: s.log})
	st.know(topics)
	keys, err := cursor.LoadKeys(ctx, log)
	if err != nil {
		return nil, err
	}
	if err := topics.Load(ctx); err != nil {
		return nil, err
	}
	if err := loadSchemas(ctx, schemas, topics); err != nil {
		return nil, err
	}
	sealer := cursor.NewSealer(keys...)
	p := &parts{topics: topics, schemas: schemas, hub: pubsub.NewHub(log, topics, sealer, pubsub.Options{}), copy: st.copy, life: life}
	if p.limits, p.counts, err = s.limits(ctx, log, st.host, topics); err != nil {
		return nil, err
	}
	if p.queues, err = s.queues(ctx, log, st.host, topics, p.hub); err != nil {
		return nil, err
	}
	if err := s.groups(ctx, log, st.host, p.hub, p, sealer); err != nil {
		return nil, err
	}
	if p.pipes, p.files, err = s.pipes(ctx, log, st.host, topics, p.hub); err != nil {
		return nil, err
	}
	if _, many := st.host.(*shard.Node); many {
		topics.AskHolders(allHolds(p.queues.Holds, p.pipes.Holds)) // a place is known where the machine is owned
	}
	return p, nil
}

// join has the parts run with the server.
func (p *parts) join(g *run.Group) {
	g.Add("hub", p.hub.Run)
	g.Add("topics", p.topics.Run)
	if p.counts != nil {
		g.Add("counts", p.counts)
	}
	g.Add("schemas", p.schemas.Run)
	g.Add("limits", p.limits.Run)
	g.Add("queues", p.queues.Run)
	g.Add("groups", p.groups.Run)
	g.Add("pipes", p.pipes.Run)
	if p.files != nil {
		g.Add("pipe files", p.files.run)
	}
}

func (s *Server) api(p *parts, home *door.Listener) (*httpapi.API, error) {
	return httpapi.New(httpapi.Options{
		Topics: p.topics, Schemas: p.schemas, Hub: p.hub, Lives: s.lives, Context: p.life, Home: home,
		Identify: s.identify, Admission: door.Limited(p.limits), Throttle: p.limits, Queues: p.queues, Groups: p.groups, Pipes: p.pipes, Observe: s.metrics, Log: s.log,
		Limits:   httpapi.Limits{Body: s.cfg.Limits.Body, Lives: s.cfg.Limits.Lives},
		Access:   s.access(),
		Snapshot: p.copy,
		Aliases:  s.cfg.Routes,
		Version:  s.opt.Version,
	})
}

func (s *Server) gauges(topics *topic.Registry, home *door.Listener) {
	s.metrics.gauge("parley_live_connections", "Streams, sockets and held requests that are open.", func() float64 { return float64(s.lives.Count()) })
	s.metrics.gauge("parley_open_connections", "Connections of the HTTP door.", func() float64 { return float64(home.Open()) })
	s.metrics.gauge("parley_topics", "Topics, the server's own included.", func() float64 { return float64(len(topics.List())) })
}

// listeners are the sockets, opened before anything is read, so that a port that
// is taken is told at once.
type listeners struct{ http, grpc net.Listener }

func (s *Server) listen(ctx context.Context) (*listeners, error) {
	var l listeners
	var err error
	if l.http, err = open(ctx, "listen", s.cfg.Listen); err != nil {
		return nil, err
	}
	if s.cfg.GRPC == off {
		return &l, nil
	}
	if l.grpc, err = open(ctx, "grpc", s.cfg.GRPC); err != nil {
		l.close()
		return nil, err
	}
	return &l, nil
}

func open(ctx context.Context, field, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &parley.Error{Code: parley.Unavailable, Field: field, Detail: err.Error(), Fix: "stop what listens there, or choose another address; port 0 takes a free one", Err: err}
	}
	return ln, nil
}

// close closes what nobody has taken over; closing twice does no harm.
func (l *listeners) close() {
	_ = l.http.Close()
	if l.grpc != nil {
		_ = l.grpc.Close()
	}
}

func (l *listeners) addresses(tls bool) Addresses {
	a := Addresses{HTTP: l.http.Addr().String(), TLS: tls}
	if l.grpc != nil {
		a.GRPC = l.grpc.Addr().String()
	}
	return a
}
