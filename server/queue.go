package server

import (
	"context"
	"encoding/json"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
)

// Queues is what concerns work queues.
type Queues struct {
	AutoCreate bool
	Max        int
	Settings   map[string]queue.Settings
}

func queueFields() []Field {
	settings := Field{
		Path: "queues.settings", Type: "settings by queue",
		Doc:     "Queues that are there from the start, with settings that the API cannot change: `max_attempts`, `visibility`, `retry`, `concurrency`, `rate`, `dead_letter`, `results`, `feed`. See docs/pattern/queue.md.",
		Example: "{emails: {max_attempts: 5, visibility: 1m, retry: {kind: exponential, delay: 2s, max: 10m}}, invoices: {}}",
	}
	settings.set = setQueues
	return []Field{
		scalar(Field{
			Path: "queues.auto_create", Type: "true or false", Default: "true",
			Doc: "Whether adding a job to a queue that is not there, or asking it for one, makes it.",
		}, func(c *Config) *bool { return &c.Queues.AutoCreate }, parseBool),
		scalar(Field{
			Path: "queues.max", Type: "number", Default: strconv.Itoa(queue.DefaultMaxQueues),
			Doc: "How many queues there may be. Each takes about 70 kB of memory, also when it is not used.",
		}, func(c *Config) *int { return &c.Queues.Max }, parseCount(1, 100_000)),
		settings,
	}
}

func setQueues(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return invalid("", "is not a list of queues", "write NAME: {max_attempts: 5}")
	}
	all := map[string]queue.Settings{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		s, err := settingsOf(value)
		if err == nil {
			s, err = s.Defaults()
		}
		if _, twice := all[name.Value]; err == nil && twice {
			err = invalid("", "comes twice", "remove one of them")
		}
		if err == nil {
			err = queue.CheckName(name.Value)
		}
		if err != nil {
			return at(name, below(name.Value, err))
		}
		all[name.Value] = s
	}
	c.Queues.Settings = all
	return nil
}

// settingsOf reads settings as the API takes them: their members have one meaning.
func settingsOf(n *yaml.Node) (s queue.Settings, err error) {
	if n.Kind != yaml.MappingNode && n.Tag != "!!null" {
		return s, invalid("", "are no settings", "write {max_attempts: 5}, or {} for the defaults")
	}
	var members map[string]any
	if err := n.Decode(&members); err != nil {
		return s, invalid("", err.Error(), "write {max_attempts: 5}")
	}
	text, err := json.Marshal(members)
	if err != nil {
		return s, invalid("", err.Error(), "write {max_attempts: 5}")
	}
	err = s.UnmarshalStrict(text)
	return s, err
}

// queues loads which queues there are.
func (s *Server) queues(ctx context.Context, log parley.Log, host shard.Host, topics *topic.Registry, hub *pubsub.Hub) (*queue.Registry, error) {
	queues, err := queue.NewRegistry(log, host, queue.RegistryOptions{
		AutoCreate: s.cfg.Queues.AutoCreate, MaxQueues: s.cfg.Queues.Max, Fixed: s.cfg.Queues.Settings, Topics: topics, Hub: hub, Logger: s.log,
	})
	if err != nil {
		return nil, inside("queues.settings", err)
	}
	if err := queues.Load(ctx); err != nil {
		return nil, err
	}
	s.metrics.registry.MustRegister(&queueGauges{queues: queues})
	return queues, nil
}
