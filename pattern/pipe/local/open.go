package local

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// OpenSource opens a source of a plan, for drivers other than Run. It is an io.Closer
// if it has to be closed, and a pipe.Acker if it wants to know what is done.
func OpenSource(ctx context.Context, s graph.Spec, env Env) (pipe.Source[parley.Event], error) {
	return outside(env).source(ctx, s)
}

// OpenSink opens a sink of a plan, for drivers other than Run. one says that it may
// refuse single events, and is to be given one at a time.
func OpenSink(ctx context.Context, s graph.Spec, env Env) (sink pipe.Sink[parley.Event], one bool, err error) {
	return outside(env).sink(ctx, s)
}

func outside(env Env) *driver {
	return &driver{env: env.withDefaults(), files: &fileProgress{}}
}
