package server

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/vfs"
	"github.com/parleyhq/parley/wire/httpapi"
)

// Memory as Config.Data keeps everything in memory.
const Memory = ":memory:"

func engineFields() []Field {
	return []Field{
		scalar(Field{
			Path: "data", Type: "directory", Default: "./parley-data", Flag: "data",
			Doc: "Where events are kept: a directory, made when it is missing, that belongs to one server at a time; or `:memory:` (in a file, in quotes), which keeps them until the server stops.",
		}, func(c *Config) *string { return &c.Data }, parseData),
		engineField(),
		scalar(Field{
			Path: "limits.memory", Type: "size", Default: "1GiB",
			Doc: "How much the events that are only in memory may take together: those of ephemeral topics and of topics with memory durability, or all with `data: \":memory:\"`. Beyond it publishing to them is refused.",
		}, func(c *Config) *int64 { return &c.Limits.Memory }, parseMemory),
	}
}

func parseData(text string) (string, error) {
	switch {
	case text == "":
		return "", parley.BadField("", "is empty", "name a directory, or "+Memory)
	case text != Memory && strings.HasPrefix(text, ":"):
		return "", parley.BadField("", text+" is no directory", "did you mean "+Memory+"?")
	}
	return text, nil
}

func parseMemory(text string) (int64, error) {
	n, err := ParseSize(text)
	if err == nil && n < 16<<20 {
		err = parley.BadField("", text+" is too little", "write at least 16MiB")
	}
	return n, err
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
	host shard.Host                  // where machines run: here, or on one of several nodes
	run  func(context.Context) error // nil when the engine has no work of its own
	know func(*topic.Registry)       // says where to ask what a stream's durability is
	copy httpapi.Snapshot            // nil when nothing is stored
}

// openStorage opens the engine that the configuration names. What has a run must
// be run, which closes it in the end.
func openStorage(ctx context.Context, c Config, log *slog.Logger) (*storage, error) {
	if c.Engine != "" {
		return openNATS(ctx, c, log)
	}
	memory := memlog.New(memlog.Options{MaxBytes: c.Limits.Memory})
	if c.Data == Memory {
		return &storage{log: memory, host: new(shard.Local), know: func(*topic.Registry) {}}, nil
	}
	r := &router{memory: memory}
	disk, err := disklog.Open(vfs.OS(c.Data), disklog.Options{Level: r.level, Boot: bootID(), Logger: log})
	if err != nil {
		e := inside("data", err)
		if e.Fix == "" {
			e.Fix = "name a directory that the server may write to, or " + Memory
		}
		return nil, e
	}
	r.durable = disk
	return &storage{log: r, host: new(shard.Local), run: disk.Run, know: r.topics.Store, copy: disk.Snapshot}, nil
}

// level says how durable the durable engine has to make a stream.
func (r *router) level(s parley.Stream) disklog.Level {
	if t, ok := r.topicOf(s); ok && t.Settings.Durability == topic.OS {
		return disklog.OS
	}
	return disklog.Fsync
}

// bootID names the present start of the machine, where the system tells.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // then a restart of the machine is assumed each time
	}
	return strings.TrimSpace(string(id))
}
