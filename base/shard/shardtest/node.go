package shardtest

import (
	"context"
	"slices"
	"sync"

	"github.com/parleyhq/parley"
)

// state is how a node is.
type state int

const (
	well   state = iota
	paused       // stopped as by SIGSTOP: nothing goes in or out, time goes on
	cut          // neither the log nor the other nodes can be reached
	deaf         // the log does not answer; the other nodes can be reached
)

// node is one process of a cluster, as far as its faults go: a gate that all its
// calls to the log and to the others go through.
type node struct {
	c    *Cluster
	name string

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed and replaced with every change
	cancel  context.CancelFunc
}

func (n *node) set(s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
	close(n.changed)
	n.changed = make(chan struct{})
}

// pass waits while the node is paused; false means that it is cut off.
func (n *node) pass() bool { return n.gate(paused) }

// passLog is pass for calls to the log.
func (n *node) passLog() bool { return n.gate(paused, deaf) }

func (n *node) gate(held ...state) bool {
	for {
		n.mu.Lock()
		s, changed := n.state, n.changed
		n.mu.Unlock()
		if !slices.Contains(held, s) {
			return s != cut
		}
		<-changed
	}
}

// restart ends what runs on the node; Cluster.Serve begins it again.
func (n *node) restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cancel != nil {
		n.cancel()
	}
}

var (
	errCut  = &parley.Error{Code: parley.Unavailable, Detail: "the node is cut off"}
	errLost = &parley.Error{Code: parley.Unknown, Detail: "the node was cut off before the answer came"}
)

// nodeLog is the log as a node reaches it.
type nodeLog struct {
	*node
	log parley.Log
}

func (l nodeLog) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	k := l.c.appending(l.node, w)
	l.c.strike(l.node, before, k)
	if !l.passLog() {
		return nil, errCut
	}
	out, err := l.log.Append(ctx, w...)
	l.c.strike(l.node, after, k)
	if !l.passLog() {
		return nil, errLost
	}
	return out, err
}

func (l nodeLog) Read(ctx context.Context, at parley.Place, maxBytes int) (parley.Run, error) {
	if !l.passLog() {
		return parley.Run{}, errCut
	}
	run, err := l.log.Read(ctx, at, maxBytes)
	if !l.passLog() {
		if err == nil {
			run.Release()
		}
		return parley.Run{}, errCut
	}
	return run, err
}

func (l nodeLog) Wait(ctx context.Context, at ...parley.Place) error {
	if !l.passLog() {
		return errCut
	}
	err := l.log.Wait(ctx, at...)
	if !l.passLog() {
		return errCut
	}
	return err
}

func (l nodeLog) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	if !l.passLog() {
		return 0, errCut
	}
	return l.log.End(ctx, s)
}

func (l nodeLog) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	if !l.passLog() {
		return errCut
	}
	return l.log.Trim(ctx, s, upTo)
}
