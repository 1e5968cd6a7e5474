package shard

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// Peers is the transport between nodes: core NATS in a cluster, calls in tests.
type Peers interface {
	// Listen has h answer what the other nodes, and this one, ask the shard, until
	// shut. It does not wait.
	Listen(shard parley.Stream, h Handler) (shut func())
	// Ask sends a request to whoever listens. Unavailable: certainly nobody got
	// it. Unknown: somebody may have, and no answer came.
	Ask(ctx context.Context, shard parley.Stream, request []byte) ([]byte, error)
}

// Options of a Node. The zero value works.
type Options struct {
	Name     string        // in takeovers, for people
	Beat     time.Duration // default 1 s
	Lapse    time.Duration // default 3 s
	Takeover time.Duration // default 4 s
	Patience time.Duration // of an Ask without an owner; default 10 s
}

func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Beat, time.Second}, {&o.Lapse, 3 * time.Second}, {&o.Takeover, 4 * time.Second}, {&o.Patience, patience}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Beat <= 0 || o.Lapse <= o.Beat || o.Takeover <= o.Lapse || o.Patience < 0 {
		return o, parley.BadField("takeover", "beat < lapse < takeover does not hold", "leave them 0 for 1 s, 3 s and 4 s")
	}
	return o, nil
}

// Node is the host of one of several processes over the same log. What it
// promises rests on the log alone; the transport may lose, delay and repeat.
type Node struct {
	log     parley.Log
	peers   Peers
	opt     Options
	running exclusive
}

var _ Host = (*Node)(nil)

// NewNode makes a Node. It starts nothing. Errors: Invalid options.
func NewNode(log parley.Log, peers Peers, o Options) (*Node, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Node{log: log, peers: peers, opt: o}, nil
}

// Run implements Host: it watches the shard's stream while another owns it, and
// takes it over when it is still.
func (n *Node) Run(ctx context.Context, shard parley.Stream, own func(context.Context, *Owner) error) error {
	leave, err := n.running.enter(shard)
	if err != nil {
		return err
	}
	defer leave()
	w := watch{log: n.log, stream: shard, silence: silence{after: n.opt.Takeover}, every: n.opt.Beat}
	for {
		over, err := w.free(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		f := journal.Fence{Owner: n.opt.Name, Over: over, Beat: n.opt.Beat, Lapse: n.opt.Lapse}
		err = owned(ctx, f, own, func(h Handler) func() { return n.peers.Listen(shard, h) })
		if !retries(err) || ctx.Err() != nil {
			return err
		}
		if !pause(ctx, firstWait) { // a shard that is free but cannot be opened
			return nil
		}
	}
}

// Ask implements Host.
func (n *Node) Ask(ctx context.Context, shard parley.Stream, request []byte) ([]byte, error) {
	wait, cancel := context.WithTimeout(ctx, n.opt.Patience)
	defer cancel()
	for d := firstWait; ; d = min(2*d, n.opt.Beat/4) {
		answer, err := n.peers.Ask(ctx, shard, request)
		if !repeats(err) {
			return answer, err
		}
		if !pause(wait, d) {
			return nil, nobody(shard, err)
		}
	}
}
