package client

import (
	"context"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// gathering makes one request of the calls that come while another is under way.
// Each request has a goroutine, which ends with it; a request is given up when
// nobody waits for it any more.
type gathering struct {
	send func(context.Context, []queue.Settlement) ([]error, error)

	mu   sync.Mutex
	busy bool
	next *gathered
}

// gathered is one request, and who waits for it.
type gathered struct {
	ctx     context.Context //nolint:containedctx // of the call that is gathered
	end     context.CancelFunc
	calls   []*settling
	load    load
	waiting int // calls that have not left
	done    chan struct{}
}

// load is what counts against the bounds of one request.
type load struct{ settlements, results int }

func loadOf(list []queue.Settlement) load {
	l := load{settlements: len(list)}
	for i := range list {
		if r := list[i].Result; r != nil {
			l.results += len(r.Data)
		}
	}
	return l
}

func (l load) plus(m load) load { return load{l.settlements + m.settlements, l.results + m.results} }

func (l load) tooMuch() bool {
	return l.settlements > queue.MaxSettle || l.results > queue.MaxResults
}

// settling is one call, and its answer once the request is done.
type settling struct {
	list []queue.Settlement
	errs []error
	err  error
}

func (g *gathering) do(ctx context.Context, list []queue.Settlement) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call := &settling{list: list}
	b := g.join(ctx, call)
	defer g.leave(b)
	select {
	case <-b.done:
		return call.errs, call.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join adds a call to the request that goes next, and sends it if none is under
// way.
func (g *gathering) join(ctx context.Context, call *settling) *gathered {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.next
	if b != nil && b.load.plus(loadOf(call.list)).tooMuch() {
		go g.run(b) // it is full: it need not wait
		b = nil
	}
	if b == nil {
		b = &gathered{done: make(chan struct{})}
		b.ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
		g.next = b
	}
	b.calls = append(b.calls, call)
	b.load = b.load.plus(loadOf(call.list))
	b.waiting++
	if !g.busy {
		g.busy, g.next = true, nil
		go g.runAll(b)
	}
	return b
}

// leave says that a call waits no more.
func (g *gathering) leave(b *gathered) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.waiting--; b.waiting > 0 {
		return
	}
	b.end()
	if g.next == b { // it was not sent, and need not be
		g.next = nil
	}
}

// runAll sends one request after the other, as long as there are calls.
func (g *gathering) runAll(b *gathered) {
	for b != nil {
		g.run(b)
		g.mu.Lock()
		b, g.next = g.next, nil
		g.busy = b != nil
		g.mu.Unlock()
	}
}

func (g *gathering) run(b *gathered) {
	defer close(b.done)
	all := make([]queue.Settlement, 0, b.load.settlements)
	for _, c := range b.calls {
		all = append(all, c.list...)
	}
	errs, err := g.send(b.ctx, all)
	if len(b.calls) > 1 && refused(err) {
		// One call's mistake is not the others'.
		for _, c := range b.calls {
			c.errs, c.err = g.send(b.ctx, c.list)
		}
		return
	}
	for _, c := range b.calls {
		if c.err = err; err == nil {
			c.errs, errs = errs[:len(c.list):len(c.list)], errs[len(c.list):]
		}
	}
}

// refused says that a request was not done because of what is in it.
func refused(err error) bool {
	switch parley.CodeOf(err) {
	case parley.Invalid, parley.TooLarge, parley.Unprocessable:
		return err != nil
	}
	return false
}
