package shard

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// Host runs machines and reaches them. A shard is named by the stream that holds
// its machine's moves.
type Host interface {
	// Run makes this node one that may own the shard, until ctx ends. Whenever it
	// owns the shard, it calls own, which opens a journal with the fence, calls
	// Handle, and stays until its context ends or the journal ends. When own is
	// deposed (it returns Conflict) or cannot reach the log (Unavailable, Unknown,
	// Timeout), Run waits until it can own the shard again. Any other error, and
	// nil, ends Run and is returned. A node runs a shard once at a time: Exists.
	Run(ctx context.Context, shard parley.Stream, own func(ctx context.Context, o *Owner) error) error

	// Ask has the owner's Handler answer a request, wherever it runs, and waits
	// for an owner if there is none. request is not kept; the answer is the
	// caller's. Errors: the handler's; Unavailable when nobody owned the shard for
	// as long as the host is patient, or ctx ended before anything ran; Unknown
	// when the owner was lost while it had the request.
	Ask(ctx context.Context, shard parley.Stream, request []byte) ([]byte, error)
}

// Handler answers requests at the owner. It is called from many goroutines at
// once. ctx ends with the Ask, and when the ownership ends; a handler that waits
// then returns context.Cause(ctx), which says Unavailable: the Ask goes on at the
// next owner. It must not return Unavailable when it has changed anything;
// Journal.Do keeps to that.
type Handler func(ctx context.Context, request []byte) ([]byte, error)

// Owner is what a host gives to the function that runs a machine.
type Owner struct {
	// Fence goes into the options of the journal.
	Fence journal.Fence

	handle func(Handler)
}

// NewOwner is for hosts: handle is called when the machine is ready to answer.
func NewOwner(f journal.Fence, handle func(Handler)) *Owner { return &Owner{f, handle} }

// Handle lets Asks in: from now until the function of Run returns, h answers
// them. It is called once, when the machine is restored.
func (o *Owner) Handle(h Handler) { o.handle(h) }

// retries says whether an ownership that ended with err is tried for again.
func retries(err error) bool {
	if err == nil {
		return false
	}
	switch parley.CodeOf(err) {
	case parley.Conflict, parley.Unavailable, parley.Unknown, parley.Timeout:
		return true
	}
	return false
}

// repeats says whether an Ask that ended with err certainly left no trace, so
// that it can be made again.
func repeats(err error) bool {
	return err != nil && parley.CodeOf(err) == parley.Unavailable
}

// patience bounds how long an Ask waits for an owner when its context does not.
const patience = 10 * time.Second

// nobody is the error of an Ask that found no owner.
func nobody(shard parley.Stream, cause error) error {
	return &parley.Error{Code: parley.Unavailable, Detail: "no node owns " + shard.Name + " now", Fix: "ask again", RetryAfter: time.Second, Err: cause}
}

// errLeft is the cause of a handler's context when the ownership ends.
var errLeft = &parley.Error{Code: parley.Unavailable, Detail: "the machine's owner is leaving", Fix: "ask again"}

// pause waits; false means that the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
