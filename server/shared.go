package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/outage"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/pattern/throttle/sharded"
	"github.com/parleyhq/parley/pattern/throttle/valkey"
)

// countsStream holds what limits with long windows count for all nodes.
const countsStream = policy.Stream + ".counts"

// inLog as Throttle.Shared counts at the node that owns countsStream.
const inLog = "log"

func sharedFields() []Field {
	return []Field{
		scalar(Field{
			Path: "throttle.shared", Type: "log or URL", Example: "valkey://10.0.0.5:6379",
			Doc: "Where limits are counted that hold for all servers together. Left out, each server counts for itself. `log`: at one of the servers, which the log says (docs/operations/cluster.md). valkey://[USER:PASSWORD@]HOST:PORT[/DATABASE], or redis://, and valkeys:// or rediss:// with TLS, several hosts of one cluster with commas between them: in Valkey or Redis, for token-bucket, leaky-meter, gcra and fixed-window. Limits of concurrency are always each server's own.",
		}, func(c *Config) *string { return &c.Throttle.Shared }, parseShared),
		choice(Field{
			Path: "throttle.outage", OneOf: []string{string(outage.Local), string(outage.Closed), string(outage.Open)}, Default: string(outage.Local),
			Doc: "What is answered while the place of `throttle.shared` does not answer. `local`: each server counts for itself. `closed`: what a shared limit is about is refused, with 503. `open`: it is admitted.",
		}, func(c *Config) *string { return &c.Throttle.Outage }),
		scalar(Field{
			Path: "throttle.timeout", Type: "duration", Default: "100ms",
			Doc: "The longest that a request waits for the shared counts, of all its limits together, before `throttle.outage` answers; 1ms to 5s. After a failure they are left alone for 250ms, and then one request tries them again.",
		}, func(c *Config) *time.Duration { return &c.Throttle.Timeout }, parseDuration(time.Millisecond, 5*time.Second)),
	}
}

func parseShared(text string) (string, error) {
	if text == "" || text == inLog || valkey.CheckURL(text) == nil {
		return text, nil
	}
	return "", parley.BadField("", "is neither log nor the address of a store", "write log, or valkey://HOST:6379")
}

// sharing is where limits are counted, and what has to run for it; nil is nothing.
func (s *Server) sharing(log parley.Log, host shard.Host) (policy.Sharing, func(context.Context) error, error) {
	c := s.cfg.Throttle
	if c.Shared == "" {
		return policy.Sharing{}, nil, nil
	}
	out := policy.Sharing{Outage: outage.Policy(c.Outage), Timeout: c.Timeout, OnOutage: s.countsAway()}
	if c.Shared == inLog {
		stream := parley.Stream{Name: countsStream}
		out.Open = func(name string, limit throttle.Limit, revision int64) (policy.Counter, error) {
			return sharded.New(host, stream, name, limit, revision)
		}
		return out, s.without(func(ctx context.Context) error { return sharded.Serve(ctx, host, log, stream) }), nil
	}
	valkey.LogTo(s.log)
	store, err := valkey.Dial(c.Shared)
	if err != nil {
		return out, nil, inside("throttle.shared", err)
	}
	out.Open = func(name string, limit throttle.Limit, _ int64) (policy.Counter, error) {
		// The policy for outages, and when to try again, are those of all limits.
		return valkey.New(store, limit, valkey.Options{Name: name, Outage: valkey.Report, Timeout: c.Timeout, RetryEvery: 1})
	}
	return out, func(ctx context.Context) error {
		<-ctx.Done()
		return store.Close()
	}, nil
}

// without goes on without the counts when they cannot be served for good, since their
// stream is damaged: throttle.outage says how, and the rest of the server needs none.
func (s *Server) without(serve func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := serve(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("this server cannot count for limits that are shared", slog.String("stream", countsStream), slog.Any("error", err))
			<-ctx.Done()
		}
		return nil
	}
}

// countsAway logs and measures that the shared counts are away, and back.
func (s *Server) countsAway() func(error) {
	var away atomic.Bool
	s.metrics.gauge("parley_throttle_shared_away", "1 while the shared counts of limits do not answer and throttle.outage does.", func() float64 {
		if away.Load() {
			return 1
		}
		return 0
	})
	return func(err error) {
		away.Store(err != nil)
		if err == nil {
			s.log.Info("the shared counts of limits answer again")
			return
		}
		s.log.Warn("the shared counts of limits do not answer", slog.String("outage", s.cfg.Throttle.Outage), slog.Any("error", err))
	}
}
