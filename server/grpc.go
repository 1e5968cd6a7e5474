package server

import (
	"context"
	"net"
	"time"

	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi"
)

// off as the address of a door leaves it closed.
const off = "off"

func grpcFields() []Field {
	return []Field{
		scalar(Field{
			Path: "grpc", Type: "HOST:PORT or off", Default: "127.0.0.1:7276", Flag: "grpc",
			Doc: "Where gRPC is served, or `off`.",
		}, func(c *Config) *string { return &c.GRPC }, func(text string) (string, error) {
			if text == off {
				return text, nil
			}
			return parseAddress(text)
		}),
	}
}

// rpc builds the gRPC door.
func (s *Server) rpc(p *parts) (*grpcapi.API, error) {
	return grpcapi.New(grpcapi.Options{
		Topics: p.topics, Schemas: p.schemas, Queues: p.queues, Groups: p.groups, Hub: p.hub, Lives: s.lives, Context: p.life, TLS: s.tls,
		Identify: s.identify, Admission: door.Limited(p.limits), Throttle: p.limits, RateLimits: s.envoy, Observe: s.metrics, Log: s.log,
		Limits: grpcapi.Limits{Message: int(s.cfg.Limits.Body), Lives: s.cfg.Limits.Lives},
	})
}

// rpcGrace is how long calls under way may take when the server stops.
const rpcGrace = 5 * time.Second

// serveRPC serves until ctx ends, and then lets the calls under way finish.
func serveRPC(ctx context.Context, rpc *grpcapi.API, ln net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- rpc.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	hurry := time.AfterFunc(rpcGrace, rpc.Stop)
	defer hurry.Stop()
	rpc.GracefulStop()
	return <-failed
}
