package roll

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// Options of a Roll. Stream, Lock, Take and ID are required.
type Options struct {
	// Stream has the events. It belongs to the list alone.
	Stream string
	// Lock guards what Take changes, and with it how far the stream is folded: who
	// holds it sees a list that was there. It is never held over a call that can wait.
	Lock sync.Locker
	// Take folds one event, with Lock held, all of them in order and each once. The
	// event's memory is the log's until Take returns: what is kept of its Data is
	// copied. Take passes over what it does not know; its error ends the fold before the
	// batch of the event, and is what CatchUp, Write and Follow return.
	Take func(ctx context.Context, e *parley.Event, at parley.Position) error
	// Taken is told, with Lock held, that a read was folded, or failed to be, as far
	// as Take was given it. What it gives is called without the lock; nil is nothing,
	// of both.
	Taken func(ctx context.Context) (then func())
	// Anew is told, with Lock held, that what follows is the list from its beginning
	// on: events that were not folded yet are trimmed. nil says that nobody trims the
	// stream, and it is an error.
	Anew func()
	// ID makes the id of an event, from the time of its change: topic.NewID.
	ID func(now time.Time) string
	// Now gives the time of changes; nil is time.Now.
	Now func() time.Time
	// Logger hears of what Follow could not do; nil is slog.Default.
	Logger *slog.Logger
}

// Roll is one node's copy of a list. It starts nothing. Its methods may be called
// from any goroutine, but not with Options.Lock held.
type Roll struct {
	log    parley.Log
	opt    Options
	stream parley.Stream
	turn   chan struct{} // a place for one writer at a time

	next   parley.Position // to fold on from; under Options.Lock
	newest parley.Position // base of the newest batch, or Empty; likewise
}

// New makes a roll over a log, of which nothing is folded yet.
func New(log parley.Log, o Options) *Roll {
	if o.Taken == nil {
		o.Taken = func(context.Context) func() { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Roll{log: log, opt: o, stream: parley.Stream{Name: o.Stream}, turn: make(chan struct{}, 1), newest: parley.Empty}
}

// Next is the position up to which the stream is folded: that of the event to come.
// It is 0 as long as there was none.
func (r *Roll) Next() parley.Position {
	next, _ := r.folded()
	return next
}

func (r *Roll) folded() (next, newest parley.Position) {
	r.opt.Lock.Lock()
	defer r.opt.Lock.Unlock()
	return r.next, r.newest
}

const foldBytes = 1 << 20 // of the stream in one read

// CatchUp folds what the stream holds beyond what was folded. Errors: Take's, Damaged
// for what is no event, Unsupported for what a newer program wrote, and those of
// Log.Read.
func (r *Roll) CatchUp(ctx context.Context) error {
	for {
		at := r.Next()
		run, err := r.log.Read(ctx, parley.Place{Stream: r.stream, At: at}, foldBytes)
		if err != nil && parley.CodeOf(err) == parley.Trimmed && r.opt.Anew != nil {
			r.anew(at)
			continue
		}
		if err != nil || run.Empty() {
			return err
		}
		then, err := r.fold(ctx, run)
		run.Release()
		if then != nil {
			then()
		}
		if err != nil {
			return err
		}
	}
}

// anew begins at the earliest event, unless another has come further meanwhile.
func (r *Roll) anew(at parley.Position) {
	r.opt.Lock.Lock()
	defer r.opt.Lock.Unlock()
	if r.next == at {
		r.next, r.newest = 0, parley.Empty
		r.opt.Anew()
	}
}

// fold folds the batches of a run. Two may be under way with overlapping runs: what
// the other one folded is passed over.
func (r *Roll) fold(ctx context.Context, run parley.Run) (then func(), err error) {
	r.opt.Lock.Lock()
	defer r.opt.Lock.Unlock()
	for batch := range run.Batches() {
		if batch.Base() < r.next {
			continue
		}
		if err = r.take(ctx, batch); err != nil {
			break
		}
		r.next, r.newest = batch.Next(), batch.Base()
	}
	return r.opt.Taken(ctx), err
}

func (r *Roll) take(ctx context.Context, batch parley.Batch) error {
	for rec, err := range batch.Records() {
		if err != nil {
			return r.unreadable(batch.Base(), err)
		}
		event, err := rec.Event()
		if err != nil {
			return r.unreadable(rec.Position, err)
		}
		if err := r.opt.Take(ctx, &event, rec.Position); err != nil {
			return err
		}
	}
	return nil
}

func (r *Roll) unreadable(at parley.Position, err error) error {
	return parley.Errorf(parley.CodeOf(err), "%s at %d: %w", r.stream.Name, at, err)
}
