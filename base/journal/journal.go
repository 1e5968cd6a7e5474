package journal

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// Journal keeps one Machine in one stream. Open makes it, Run works it, and Do,
// from any goroutine, changes and reads the machine.
type Journal struct {
	machine Machine
	opt     Options
	writer  writer // used by Open, then by Run's committer only

	// What Open left for Run to begin with.
	start   restored
	clock   clock
	renewed time.Time

	calls chan *call
	over  chan struct{} // closed when no call is taken any more
	ran   atomic.Bool
	free  sync.Pool // of calls; not shared, since channels belong to the journal's bubble in tests
}

// Open folds the stream into the machine and takes it over: from then on, the
// Append of whoever owned it before fails. It starts nothing; Run must follow
// soon, since only Run beats.
//
// Errors: Conflict when another owner was faster, or is alive against what
// Fence.Over says; Damaged when no sound state can be restored; Unsupported when
// something newer wrote the stream; Invalid options; those of the log.
func Open(ctx context.Context, log parley.Log, stream parley.Stream, m Machine, o Options) (*Journal, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	j := &Journal{
		machine: m, opt: o,
		writer: writer{log: log, stream: stream, patience: o.Patience},
		calls:  make(chan *call), over: make(chan struct{}),
	}
	j.free.New = newCall
	for {
		err := j.take(ctx)
		if err == nil {
			return j, nil
		}
		moved := parley.CodeOf(err) == parley.Conflict || parley.CodeOf(err) == parley.Trimmed
		if !moved || o.Fence.Over != parley.Any {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
	}
}

// take tries once to fold the stream and to append a takeover to what was folded.
func (j *Journal) take(ctx context.Context) error {
	r := &restorer{log: j.writer.log, stream: j.writer.stream, machine: j.machine}
	got, err := r.fold(ctx)
	if err != nil {
		return err
	}
	if over := j.opt.Fence.Over; over != parley.Any && over != got.newest {
		return parley.Errorf(parley.Conflict, "the owner of %s is alive: it appended at %d", j.writer.stream.Name, got.newest)
	}
	got.term++
	j.start, j.clock = got, clock{}
	j.clock.saw(got.millis)
	batch, err := j.takeover(got)
	if err != nil {
		return err
	}
	j.writer.newest = got.newest
	out := j.writer.put(ctx, batch, nil, nil)
	if out.err != nil {
		return out.err
	}
	j.renewed = out.sent
	return nil
}

func (j *Journal) takeover(got restored) (parley.Batch, error) {
	nonce, err := newNonce()
	if err != nil {
		return parley.Batch{}, err
	}
	var b parley.Builder
	value := appendTake(nil, got.term, nonce, j.opt.Fence.Owner)
	if err := b.AddRecord(j.clock.at(time.Now()), appendKey(nil, kindTake, got.number), value); err != nil {
		return parley.Batch{}, err
	}
	return b.Batch()
}

// Term counts the takeovers of the stream. A token that names it is known to be
// of another owner when the ownership has moved.
func (j *Journal) Term() uint64 { return j.start.term }

// Do runs fn in the journal's goroutine, where it may read the machine and make
// moves, and returns when what it did may be told: see the package's comment.
// fn's error is part of the answer and waits like the rest; moves made before it
// stand, writes that were to ride along are dropped. fn must not wait for anything, nor call Do.
//
// A Do before Run waits for it. When the context ends before fn has run, fn never
// runs.
func (j *Journal) Do(ctx context.Context, fn func(tx *Tx) error) error {
	c := j.free.Get().(*call)
	c.fn = fn
	select {
	case j.calls <- c:
	case <-ctx.Done():
		return ended(ctx)
	case <-j.over:
		return gone()
	}
	select {
	case err := <-c.done:
		j.recycle(c)
		return err
	case <-ctx.Done():
	}
	<-c.ran // fn's variables are the caller's again only when it has run
	select {
	case err := <-c.done:
		return err
	default:
	}
	if c.moves == 0 && !c.firm {
		return ended(ctx)
	}
	return &parley.Error{Code: parley.Unknown, Detail: "the wait ended before the change was known to be stored", Fix: "ask again; if the change cannot be made twice, ask whether it was made", Err: ctx.Err()}
}

// call is one Do under way.
type call struct {
	fn   func(tx *Tx) error
	ran  chan struct{} // one token when fn has run and moves is set
	done chan error    // one answer

	// Set by the actor before ran.
	err   error  // fn's
	moves int    // made by fn
	firm  bool   // one of them, or a write, was a promise
	group *group // that holds them
}

func newCall() any {
	return &call{ran: make(chan struct{}, 1), done: make(chan error, 1)}
}

// recycle gives a call back whose answer was received. One whose caller went
// away is not: its answer is still to come.
func (j *Journal) recycle(c *call) {
	<-c.ran
	c.fn, c.err, c.moves, c.firm, c.group = nil, nil, 0, false, nil
	j.free.Put(c)
}

// ended is the error of a context that ended before anything happened. A cause
// that has a code of its own, such as an owner that leaves, is passed on.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	code := parley.CodeOf(cause)
	if code == parley.Internal {
		code = parley.CodeOf(ctx.Err())
	}
	return &parley.Error{Code: code, Detail: "the wait ended; nothing was changed", Err: cause}
}

// gone is the error of a Do that comes too late.
func gone() error {
	return &parley.Error{Code: parley.Unavailable, Detail: "the machine does not run here any more; nothing was changed", Fix: "ask the new owner"}
}
