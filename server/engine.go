package server

import (
	"context"
	"log/slog"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// Memory as Config.Data keeps everything in memory.
const Memory = ":memory:"

func engineFields() []Field {
	return []Field{
		scalar(Field{
			Path: "data", Type: "directory", Default: Memory, Flag: "data",
			Doc: "Where events are kept. `:memory:` keeps them until the server stops.",
		}, func(c *Config) *string { return &c.Data }, parseText),
	}
}

// engine is what the server needs of its storage: the waist with all abilities.
type engine interface {
	parley.Log
	parley.Lister
	parley.Remover
	parley.Statter
	parley.Backer
	parley.Timer
	parley.Rewriter
}

// storage is an open engine.
type storage struct {
	log  engine
	run  func(context.Context) error // nil when the engine has no work of its own
	know func(*topic.Registry)       // says where to ask what a stream's durability is
}

// openStorage opens the engine that the configuration names.
func openStorage(c Config, _ *slog.Logger) (*storage, error) {
	if c.Data == Memory {
		return &storage{log: memlog.New(memlog.Options{}), know: func(*topic.Registry) {}}, nil
	}
	return nil, &parley.Error{Code: parley.Unsupported, Field: "data", Detail: "this build has no durable engine for the directory " + c.Data, Fix: "use --data " + Memory}
}
