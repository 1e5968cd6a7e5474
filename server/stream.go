package server

import (
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/stream"
)

// Groups is what concerns consumer groups.
type Groups struct {
	Max       int
	Retention time.Duration // 0 = for ever
}

func groupFields() []Field {
	return []Field{
		scalar(Field{
			Path: "groups.max", Type: "number", Default: strconv.Itoa(stream.DefaultMaxGroups),
			Doc: "How many consumer groups there may be. Each takes about 40 kB of memory, also when nobody uses it.",
		}, func(c *Config) *int { return &c.Groups.Max }, parseCount(1, 100_000)),
		scalar(Field{
			Path: "groups.retention", Type: "duration or none", Default: "none",
			Doc: "How long a group is kept that has no members. Then it is deleted, with its places.",
		}, func(c *Config) *time.Duration { return &c.Groups.Retention }, parseRetention),
	}
}

func parseRetention(text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	return parseDuration(time.Minute, 1<<63-1)(text)
}

// groups loads which consumer groups there are.
func (s *Server) groups(ctx context.Context, log parley.Log, host shard.Host, hub *pubsub.Hub, p *parts, sealer *cursor.Sealer) error {
	groups, err := stream.New(log, host, p.topics, stream.Options{
		Sealer: sealer, Bell: hubBell{hub}, Retention: s.cfg.Groups.Retention, MaxGroups: s.cfg.Groups.Max, Logger: s.log,
	})
	if err != nil {
		return inside("groups", err)
	}
	if err := groups.Load(ctx); err != nil {
		return err
	}
	if _, err := p.topics.Declare(ctx, stream.Stream); err != nil {
		return err
	}
	s.metrics.registry.MustRegister(&groupGauges{groups: groups, life: p.life})
	p.groups = groups
	return nil
}

// hubBell has the hub wake the members of groups: it follows the log for all.
type hubBell struct{ hub *pubsub.Hub }

// Ring implements stream.Bell.
func (b hubBell) Ring(ctx context.Context, at []stream.Place, wake func()) (func(), error) {
	spots := make([]pubsub.Spot, len(at))
	for i, p := range at {
		spots[i] = pubsub.Spot{Topic: p.Topic, Partition: p.Partition, At: p.Position}
	}
	return b.hub.Ring(ctx, spots, bell(wake))
}

// bell is a pubsub.Waker.
type bell func()

// Wake implements pubsub.Waker.
func (b bell) Wake() { b() }
