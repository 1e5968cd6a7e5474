package shardtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
)

// Fault is a way in which an owner is made to lose its shard.
type Fault string

// The faults. All but Handover are mended after Mended.
const (
	None     Fault = "none"
	Pause    Fault = "pause"    // the process stops, and goes on when another has taken over
	Cut      Fault = "cut"      // it reaches neither the log nor the others
	Deaf     Fault = "deaf"     // the log does not answer it, while the others ask it still
	Crash    Fault = "crash"    // it is cut off, and begins again from nothing
	Handover Fault = "handover" // it ends as at a shutdown, and begins again
)

// Faults lists what moves the ownership.
func Faults() []Fault { return []Fault{Pause, Cut, Deaf, Crash, Handover} }

// Mended is how long a fault lasts: longer than the takeover takes.
const Mended = 6 * time.Second

// moment is when a fault strikes, seen from an Append.
type moment string

const (
	between moment = "between" // steps of the history
	before  moment = "before"  // the Append reaches the log
	after   moment = "after"   // the Append is in the log, its answer still on the way
)

// Cluster is nodes over one log, and a client beside them that never fails. Make
// it in a synctest bubble, and Close it there.
type Cluster struct {
	log    parley.Log
	net    network
	nodes  []*node
	client *shard.Node

	ctx   context.Context //nolint:containedctx // the life of the cluster
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	shards  map[parley.Stream]bool
	appends int
	plan    plan
	errs    []error
}

// plan is the one fault of a run.
type plan struct {
	fault Fault
	when  moment
	step  int // which of the steps, or of the Appends
}

// New makes a cluster of n nodes. Nothing runs on them before Serve.
func New(log parley.Log, n int) *Cluster {
	c := &Cluster{log: log, shards: make(map[parley.Stream]bool)}
	c.ctx, c.stop = context.WithCancel(context.Background()) //nolint:forbidigo // it ends with the cluster
	for i := range n {
		c.nodes = append(c.nodes, c.newNode(fmt.Sprint("node", i)))
	}
	c.client = c.host(c.newNode("client"))
	return c
}

func (c *Cluster) newNode(name string) *node {
	return &node{c: c, name: name, changed: make(chan struct{})}
}

func (c *Cluster) host(n *node) *shard.Node {
	h, err := shard.NewNode(nodeLog{n, c.log}, peers{&c.net, n}, shard.Options{Name: n.name})
	if err != nil {
		panic(err) //nolint:forbidigo // the options are the defaults
	}
	return h
}

// Host is the client's: it asks, and runs nothing.
func (c *Cluster) Host() shard.Host { return c.client }

// Serve runs a shard on every node. log is the one to give to the journal: it
// fails with the node. A node whose Run ends begins again; an error of Run that
// has no fault behind it is told by Close.
func (c *Cluster) Serve(s parley.Stream, own func(ctx context.Context, log parley.Log, o *shard.Owner) error) {
	c.mu.Lock()
	c.shards[s] = true
	c.mu.Unlock()
	for _, n := range c.nodes {
		host, log := c.host(n), nodeLog{n, c.log}
		c.tasks.Go(func() {
			for c.ctx.Err() == nil {
				ctx, cancel := context.WithCancel(c.ctx)
				n.mu.Lock()
				n.cancel = cancel
				n.mu.Unlock()
				err := host.Run(ctx, s, func(ctx context.Context, o *shard.Owner) error { return own(ctx, log, o) })
				if err != nil && ctx.Err() == nil {
					c.fail(fmt.Errorf("%s: %w", n.name, err))
				}
				cancel()
				n.pass() // a cut node begins again only when it is mended
				wait(c.ctx, time.Second)
			}
		})
	}
}

func (c *Cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// Ask asks a shard until its outcome is known: it repeats what ended with Unknown
// or Unavailable. The machine must know a repeated request, by an id in it.
func (c *Cluster) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	for {
		answer, err := c.once(ctx, s, request)
		code := parley.CodeOf(err)
		again := err != nil && (code == parley.Unknown || code == parley.Unavailable || code == parley.Timeout)
		if !again || ctx.Err() != nil {
			return answer, err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// once bounds one try, so that a paused owner does not hold the history up.
func (c *Cluster) once(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.client.Ask(ctx, s, request)
}

// Strike does a fault to the node that answers for the shard, or to the first
// node when none does, and mends it after Mended.
func (c *Cluster) Strike(s parley.Stream, f Fault) {
	n := c.nodes[0]
	if list := c.net.of(s); len(list) > 0 {
		n = list[len(list)-1].node
	}
	c.hit(n, f)
}

func (c *Cluster) hit(n *node, f Fault) {
	switch f {
	case Pause:
		n.set(paused)
	case Cut:
		n.set(cut)
	case Deaf:
		n.set(deaf)
	case Crash:
		n.set(cut)
		n.restart()
	case Handover:
		n.restart()
		return
	default:
		return
	}
	c.tasks.Go(func() {
		wait(c.ctx, Mended)
		n.set(well)
	})
}

// appending counts an Append into one of the shards' streams.
func (c *Cluster) appending(_ *node, w []parley.Write) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range w {
		if c.shards[one.Stream] {
			c.appends++
			return c.appends
		}
	}
	return 0
}

// strike does the planned fault to a node if this is the Append it is for.
func (c *Cluster) strike(n *node, when moment, k int) {
	c.mu.Lock()
	p := c.plan
	c.mu.Unlock()
	if k > 0 && p.when == when && p.step == k {
		c.hit(n, p.fault)
	}
}

// Close mends everything, ends all nodes and waits for them. It gives the errors
// of nodes that ended without a fault.
func (c *Cluster) Close() []error {
	for _, n := range c.nodes {
		n.set(well)
	}
	c.stop()
	c.tasks.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errs
}

// wait lets fake time pass, or less when the context ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
