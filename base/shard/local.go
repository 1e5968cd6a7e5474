package shard

import (
	"context"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// Local is the host of a process that shares its log with nobody: it owns every
// shard that it runs, at once and until Run ends, and an Ask is a call. Its zero
// value is ready.
type Local struct {
	desk    Desk
	running exclusive
}

var _ Host = (*Local)(nil)

// Run implements Host. The fence is the zero Fence: the journal takes over
// whatever is there.
func (l *Local) Run(ctx context.Context, shard parley.Stream, own func(context.Context, *Owner) error) error {
	leave, err := l.running.enter(shard)
	if err != nil {
		return err
	}
	defer leave()
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		begun := time.Now()
		err := owned(ctx, journal.Fence{}, own, func(h Handler) func() { return l.desk.Open(shard, h) })
		if !retries(err) || ctx.Err() != nil {
			return err
		}
		if time.Since(begun) > lastWait {
			wait = firstWait
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// The waits between two ownerships that end with a failure, doubling.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 2 * time.Second
)

// owned runs own for one ownership. Whatever it opened is shut when it returns.
func owned(ctx context.Context, f journal.Fence, own func(context.Context, *Owner) error, open func(Handler) func()) error {
	shut := func() {}
	defer func() { shut() }()
	return own(ctx, NewOwner(f, func(h Handler) { shut = open(h) }))
}

// Ask implements Host.
func (l *Local) Ask(ctx context.Context, shard parley.Stream, request []byte) ([]byte, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		p, opened := l.desk.find(shard)
		if p == nil {
			select {
			case <-opened:
				continue
			case <-wait.Done():
				return nil, nobody(shard, last)
			}
		}
		answer, err := p.serve(ctx, request)
		if !repeats(err) {
			return answer, err
		}
		// The machine is not able to answer, or is going: give it a moment.
		if last = err; !pause(wait, firstWait) {
			return nil, err
		}
	}
}

// exclusive lets each shard in once at a time.
type exclusive struct {
	mu sync.Mutex
	in map[parley.Stream]bool
}

func (e *exclusive) enter(shard parley.Stream) (leave func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.in[shard] {
		return nil, parley.Errorf(parley.Exists, "this node runs %s already", shard.Name)
	}
	if e.in == nil {
		e.in = make(map[parley.Stream]bool)
	}
	e.in[shard] = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.in, shard)
	}, nil
}
