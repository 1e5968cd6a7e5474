package server

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// Throttle is what concerns limits of how often.
type Throttle struct {
	Limits  map[string]policy.Definition
	Trusted []string // addresses and networks
	Envoy   []string // files
	Shared  string   // "", "log", or the URL of a store
	Outage  string
	Timeout time.Duration
}

func throttleFields() []Field {
	limits := Field{
		Path: "throttle.limits", Type: "limits by name",
		Doc:     "How often something may happen. Each limit has a `limit` such as `100/1m burst=20`, and if wanted `algorithm`, `key` (what is counted by: ip, token, topic, path, route, everyone, header:NAME, joined by +), `on` (what it is applied to: publish, subscribe, poll, enqueue, work, consume or request, each with a pattern of topics or queues if wanted, as in `publish:orders.>`), `mode` (enforce or shadow), `action` (reject or shape) and `max_wait`. Further ones can be put by the API, which cannot change these. See docs/pattern/throttle.md.",
		Example: "{per-ip: {limit: \"100/1m burst=20\", key: ip, on: [publish, poll]}, streams: {limit: \"concurrency 20\", on: [subscribe]}}",
	}
	limits.set = setLimits
	return append([]Field{
		limits,
		list(Field{
			Path: "throttle.trusted", Type: "list of addresses and networks", Example: "[\"10.0.0.0/8\", \"192.0.2.7\"]",
			Doc: "Proxies whose `X-Forwarded-For` is believed when a limit counts by ip. Without any the header means nothing.",
		}, func(c *Config) *[]string { return &c.Throttle.Trusted }, func(text string) error {
			if _, err := httpthrottle.ParseTrusted(text); err != nil {
				return parley.BadField("", strconv.Quote(text)+" is neither an address nor a network", "write it like 192.0.2.7 or 10.0.0.0/8")
			}
			return nil
		}),
	}, append(envoyFields(), sharedFields()...)...)
}

func setLimits(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return invalid("", "is not a list of limits", "write NAME: {limit: 100/1m}")
	}
	all := map[string]policy.Definition{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		def, err := limitOf(value)
		if err == nil {
			def, err = def.Check()
		}
		if _, twice := all[name.Value]; err == nil && twice {
			err = invalid("", "comes twice", "remove one of them")
		}
		if err != nil {
			return at(name, below(name.Value, err))
		}
		if err := policy.CheckName(name.Value); err != nil {
			return at(name, below("", err))
		}
		all[name.Value] = def
	}
	c.Throttle.Limits = all
	return nil
}

func limitOf(n *yaml.Node) (d policy.Definition, err error) {
	if n.Kind == yaml.ScalarNode { // a limit alone
		d.Limit, err = textOf(n)
		return d, err
	}
	if n.Kind != yaml.MappingNode {
		return d, invalid("", "is not a limit", "write {limit: 100/1m}")
	}
	members := map[string]*string{"limit": &d.Limit, "algorithm": &d.Algorithm, "key": &d.Key, "mode": &d.Mode, "action": &d.Action, "max_wait": &d.MaxWait}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch into := members[key.Value]; {
		case into != nil:
			*into, err = textOf(value)
		case key.Value == "on":
			d.On, err = texts(value)
		default:
			return d, at(key, unknownMember(key.Value, []string{"limit", "algorithm", "key", "on", "mode", "action", "max_wait"}))
		}
		if err != nil {
			return d, at(value, below(key.Value, err))
		}
	}
	return d, nil
}

// decided counts what a limit decided.
func (m *metrics) decided(limit string, o policy.Outcome) {
	m.limited.WithLabelValues(limit, string(o)).Inc()
}

// limits loads the limits of the configuration and those that were put. counts, if it
// is not nil, has to run for them.
func (s *Server) limits(ctx context.Context, log parley.Log, host shard.Host, topics *topic.Registry) (limits *policy.Registry, counts func(context.Context) error, err error) {
	trusted, err := httpthrottle.ParseTrusted(s.cfg.Throttle.Trusted...)
	if err != nil {
		return nil, nil, inside("throttle.trusted", err)
	}
	shared, counts, err := s.sharing(log, host)
	if err != nil {
		return nil, nil, err
	}
	limits, err = policy.New(log, policy.Options{
		Fixed: s.cfg.Throttle.Limits, Trusted: trusted, Logger: s.log, Sharing: shared,
		Observe: s.metrics.decided,
		Gone:    func(limit string) { s.metrics.limited.DeletePartialMatch(prometheus.Labels{"limit": limit}) },
	})
	if err != nil {
		return nil, nil, inside("throttle.limits", err)
	}
	if err := limits.Load(ctx); err != nil {
		return nil, nil, err
	}
	_, err = topics.Declare(ctx, policy.Stream)
	return limits, counts, err
}
