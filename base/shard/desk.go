package shard

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
)

// Desk is where Asks meet the handlers of the shards that are owned here. It is
// for hosts and transports; its zero value is ready.
type Desk struct {
	mu     sync.Mutex
	posts  map[parley.Stream]*post
	opened chan struct{} // closed and replaced when a handler comes in
}

// post is one shard's handler, for as long as one ownership lasts.
type post struct {
	handler Handler
	ctx     context.Context //nolint:containedctx // the life of the desk
}

// Open lets Asks for a shard in, until shut. The handler's contexts end then
// with a cause that says Unavailable. A shard that is open already is taken over:
// its old handler gets no more.
func (d *Desk) Open(shard parley.Stream, h Handler) (shut func()) {
	ctx, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // it ends with the desk, which close ends
	p := &post{handler: h, ctx: ctx}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.posts == nil {
		d.posts = make(map[parley.Stream]*post)
	}
	d.posts[shard] = p
	if d.opened != nil {
		close(d.opened)
		d.opened = nil
	}
	return func() {
		d.mu.Lock()
		if d.posts[shard] == p {
			delete(d.posts, shard)
		}
		d.mu.Unlock()
		cancel(errLeft)
	}
}

// find gives the shard's handler or, if there is none, what to wait for.
func (d *Desk) find(shard parley.Stream) (*post, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.posts[shard]; p != nil {
		return p, nil
	}
	if d.opened == nil {
		d.opened = make(chan struct{})
	}
	return nil, d.opened
}

// Serve has the handler that is here answer a request: what a transport does with
// one that came in. Unavailable: there is none; nothing ran.
func (d *Desk) Serve(ctx context.Context, shard parley.Stream, request []byte) ([]byte, error) {
	p, _ := d.find(shard)
	if p == nil {
		return nil, nobody(shard, nil)
	}
	return p.serve(ctx, request)
}

// serve calls the handler with a context that ends with the ownership too.
func (p *post) serve(ctx context.Context, request []byte) ([]byte, error) {
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(p.ctx, func() { cancel(errLeft) })
	defer stop()
	answer, err := p.handler(both, request)
	if ended := parley.CodeOf(err) == parley.Canceled; err != nil && ended && ctx.Err() == nil && p.ctx.Err() != nil {
		// A handler that just says that its context ended does not say whether it
		// had done anything.
		return nil, &parley.Error{Code: parley.Unknown, Detail: "the machine's owner left while it had the request", Fix: "ask again; if the change cannot be made twice, ask whether it was made", Err: err}
	}
	return answer, err
}
