package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/wire/door"
)

// Config is everything that can be set. Default gives the defaults; Load reads
// it from a file, the environment and flags. The fields are described by Fields.
type Config struct {
	Data      string // a directory, or ":memory:"
	Engine    string // URL of an engine elsewhere; "" = Data
	NATS      NATS
	Listen    string
	GRPC      string // an address, or "off"
	TLS       TLS
	Routes    []Route
	Tokens    []door.Token
	Anonymous []string // scopes
	Topics    Topics
	Queues    Queues
	Groups    Groups
	Pipes     Pipes
	HTTP      HTTP
	Limits    Limits
	Throttle  Throttle
	Drain     time.Duration
	Log       Log
	Insecure  bool
}

// Topics is what concerns all topics.
type Topics struct {
	AutoCreate bool
	Defaults   topic.Settings
}

// Fields gives every setting, in the order in which people read them; those of one
// section are together.
func Fields() []Field {
	var all []Field
	for _, part := range [][]Field{
		engineFields(), listenFields(), grpcFields(), tlsFields(), natsFields(), accessFields(), routeFields(), topicFields(), queueFields(), groupFields(), pipeFields(), limitFields(), throttleFields(), logFields(),
	} {
		all = append(all, part...)
	}
	sections := map[string]int{}
	for _, f := range all {
		if s := f.section(); sections[s] == 0 {
			sections[s] = len(sections) + 1
		}
	}
	slices.SortStableFunc(all, func(a, b Field) int { return cmp.Compare(sections[a.section()], sections[b.section()]) })
	return all
}

// Default gives the configuration that nothing was said about.
func Default() Config {
	var c Config
	for _, f := range Fields() {
		if f.Default == "" {
			continue
		}
		if err := f.setText(&c, f.Default); err != nil {
			panic("server: the default of " + f.Path + ": " + err.Error()) //nolint:forbidigo // a test sets every one
		}
	}
	return c
}

// check finds what no field can see alone.
func (c Config) check() error {
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		return invalid("tls.cert", "is set, and tls.key is not", "set both, or neither")
	case c.TLS.Key != "" && c.TLS.Cert == "":
		return invalid("tls.key", "is set, and tls.cert is not", "set both, or neither")
	}
	if _, err := c.Topics.Defaults.Defaults(topic.Settings{}); err != nil {
		return inside("topics.defaults", err)
	}
	return c.checkExposure()
}
