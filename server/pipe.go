package server

import (
	"context"
	"io"
	"log/slog"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/local"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

// Pipes is what concerns declared pipes.
type Pipes struct {
	Dir  string // "" = none
	Exec bool
	HTTP bool
	Max  int
}

func pipeFields() []Field {
	return []Field{
		scalar(Field{
			Path: "pipes.dir", Type: "directory",
			Doc:     "A directory with definitions of pipes, a file NAME.yaml each (or .yml, .json). They are read at the start, whenever they change, and at SIGHUP; a bad one is logged with its lines, and what ran goes on. The API cannot change them. A pipe whose file is gone is stopped.",
			Example: "/etc/parley/pipes",
		}, func(c *Config) *string { return &c.Pipes.Dir }, parseText),
		scalar(Field{
			Path: "pipes.exec", Type: "true or false", Default: "false",
			Doc: "Whether pipes that are put by the API may run programs on this machine, with `exec`, as the user that the server runs as. Those in `pipes.dir` may.",
		}, func(c *Config) *bool { return &c.Pipes.Exec }, parseBool),
		scalar(Field{
			Path: "pipes.http", Type: "true or false", Default: "false",
			Doc: "Whether pipes that are put by the API may ask and post to URLs, which are then reached from this machine, its private networks included. Those in `pipes.dir` may.",
		}, func(c *Config) *bool { return &c.Pipes.HTTP }, parseBool),
		scalar(Field{
			Path: "pipes.max", Type: "number", Default: strconv.Itoa(declared.DefaultMaxPipes),
			Doc: "How many pipes there may be.",
		}, func(c *Config) *int { return &c.Pipes.Max }, parseCount(1, 100_000)),
	}
}

// pipes loads which pipes there are, and those of the files.
func (s *Server) pipes(ctx context.Context, log parley.Log, host shard.Host, topics *topic.Registry, hub *pubsub.Hub) (*declared.Registry, *pipeFiles, error) {
	pipes, err := declared.NewRegistry(log, host, declared.Options{
		Topics: topics, Hub: hub, MaxPipes: s.cfg.Pipes.Max, Exec: s.cfg.Pipes.Exec, HTTP: s.cfg.Pipes.HTTP, Logger: s.log,
		Graph: graph.Options{Expr: where.Compile, Schema: schema.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template, Programs: local.Programs(logLines(s.log))},
	})
	if err != nil {
		return nil, nil, err
	}
	if err := pipes.Load(ctx); err != nil {
		return nil, nil, err
	}
	s.metrics.registry.MustRegister(&pipeGauges{pipes: pipes, life: ctx, named: namedPipes, steps: namedSteps})
	if s.cfg.Pipes.Dir == "" {
		return pipes, nil, nil
	}
	files := &pipeFiles{dir: s.cfg.Pipes.Dir, pipes: pipes, log: s.log, reload: s.opt.Reload}
	return pipes, files, files.first(ctx)
}

// logLines logs what programs of pipes write to standard error.
func logLines(log *slog.Logger) io.Writer { return &lineLogger{log: log} }

type lineLogger struct{ log *slog.Logger }

// Write implements io.Writer: what a program writes at once is one message.
func (l *lineLogger) Write(p []byte) (int, error) {
	const most = 4 << 10
	l.log.Info("a program of a pipe says", slog.String("text", string(p[:min(len(p), most)])))
	return len(p), nil
}
