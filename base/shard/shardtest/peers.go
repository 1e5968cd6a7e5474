package shardtest

import (
	"context"
	"slices"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
)

// network is the transport of a cluster.
type network struct {
	mu        sync.Mutex
	listeners []*listener
}

// listener is a node that believes that it owns a shard.
type listener struct {
	node  *node
	shard parley.Stream
	desk  *shard.Desk
}

// peers is the network as one node reaches it.
type peers struct {
	net  *network
	node *node
}

// Listen implements shard.Peers.
func (p peers) Listen(s parley.Stream, h shard.Handler) (shut func()) {
	l := &listener{node: p.node, shard: s, desk: new(shard.Desk)}
	leave := l.desk.Open(s, h)
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.net.listeners = append(p.net.listeners, l)
	return func() {
		p.net.mu.Lock()
		p.net.listeners = slices.DeleteFunc(p.net.listeners, func(o *listener) bool { return o == l })
		p.net.mu.Unlock()
		leave()
	}
}

// of gives the listeners of a shard, the oldest first.
func (n *network) of(s parley.Stream) (list []*listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.listeners {
		if l.shard == s {
			list = append(list, l)
		}
	}
	return list
}

// Ask implements shard.Peers. The request goes to all who listen, deposed owners
// among them; the first that is not Unavailable or Unknown is the answer.
func (p peers) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	if !p.node.pass() {
		return nil, errCut
	}
	list := p.net.of(s)
	type reply struct {
		answer []byte
		err    error
	}
	replies := make(chan reply, len(list))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, l := range list {
		go func() {
			answer, err := l.serve(ctx, request)
			replies <- reply{answer, err}
		}()
	}
	var err error = errCut
	for range list {
		select {
		case r := <-replies:
			switch parley.CodeOf(r.err) {
			case parley.Unavailable:
				continue
			case parley.Unknown:
				if r.err != nil {
					err = r.err
					continue
				}
			}
			if !p.node.pass() {
				return nil, errLost
			}
			return r.answer, r.err
		case <-ctx.Done():
			return nil, errLost
		}
	}
	return nil, err
}

// serve carries a request to a node and its answer back.
func (l *listener) serve(ctx context.Context, request []byte) ([]byte, error) {
	if !l.node.pass() {
		return nil, errCut
	}
	answer, err := l.desk.Serve(ctx, l.shard, slices.Clone(request))
	if !l.node.pass() {
		return nil, errLost
	}
	return answer, err
}
