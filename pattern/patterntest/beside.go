package patterntest

import (
	"context"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
)

// Beside makes a world of another node over the same cluster: log is another
// connection to it. Its host runs the machines of the queues, groups and pipes of both,
// and w's, which host gives, only asks. It is for Matrix.Hosts.
func (w *World) Beside(log parley.Log, own func(*World) shard.Host, ask shard.Host) shard.Host {
	other := newWorld(w.T, log)
	other.Host = own(other)
	other.runQueues()
	other.startGroups()
	other.runPipes()
	return &elsewhere{Host: ask, at: other}
}

// elsewhere is the host of a node that asks, and whose machines another has.
type elsewhere struct {
	shard.Host
	at *World
}

// Run implements shard.Host: the machine is never this node's.
func (*elsewhere) Run(ctx context.Context, _ parley.Stream, _ func(context.Context, *shard.Owner) error) error {
	<-ctx.Done()
	return nil
}

// RunNodes runs the suites of the table "over two nodes" of the package comment, as
// Run does the other. Matrix.Hosts give what World.Beside does.
func RunNodes(t *testing.T, m Matrix) { runTable(t, m, "over two nodes") }
