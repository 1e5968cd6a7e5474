package parley

import (
	"context"
	"iter"
	"time"
)

// Stream names one append-only log. Names are made by package topic and by the
// patterns; an engine takes them as they are: 1 to 255 bytes, no NUL.
type Stream struct {
	Namespace string // "" is the default, and the only one so far
	Name      string
}

// Position tells where in one stream an event is. Positions only increase along
// a stream; they are never assumed dense, and none is below 1.
type Position int64

// What Write.Expect may hold instead of a real position.
const (
	Any   Position = 0  // no comparison
	Empty Position = -1 // nothing was ever appended to the stream
)

// Place is a stream and a position: where a reader is. Position 0 is before
// everything.
type Place struct {
	Stream Stream
	At     Position
}

// Key makes a Write happen once. The zero Key means "no key".
type Key [16]byte

// Write is one batch for one stream.
type Write struct {
	Stream Stream
	// Expect is the base position of the stream's newest batch, as Append
	// answered it, or Any or Empty: compare-and-append. A comparison that does
	// not hold fails the whole Append with Conflict.
	Expect Position
	// Once, if not zero, makes a repeat within the stream's window append
	// nothing and answer the first position, whatever Expect and Batch say now.
	// Only an Append that succeeded counts as the first. A Write with Once must
	// be the only one of its Append, and no guard.
	Once Key
	// Batch is appended verbatim but for its base position and epoch. The zero
	// Batch makes the Write a guard: only the comparison. A batch that holds no
	// record is Invalid.
	Batch Batch
}

// Appended tells where a Write went.
type Appended struct {
	// Base is the position of the batch's first event; for a guard, that of the
	// stream's newest batch (0 when there is none).
	Base Position
	// Repeat says that Once was met before and that nothing was appended now.
	Repeat bool
}

// Limits that every engine keeps.
const (
	MaxStreamName   = 255             // bytes of Stream.Name
	MaxBatchEvents  = 1 << 16         // events in one batch
	MaxBatchBytes   = 16 << 20        // encoded bytes of one batch
	MaxAppendWrites = 1000            // writes in one Append
	OnceWindow      = 2 * time.Minute // a repeat within it is always recognised, …
	OnceKeys        = 1 << 20         // … unless so many newer keys of the stream came in between
)

// Log is the narrow waist: all that an engine does for the patterns. Every
// method may be called from any goroutine. Contexts bound how long a call waits,
// and nothing else: an Append whose context ends while its commit is under way
// answers Unknown, and may turn out to be durable.
type Log interface {
	// Append makes all writes durable in one commit, or none. It returns when
	// they are durable at their streams' level and visible to readers (of this
	// Log: where several share their storage, Read and Wait of another may see
	// them a moment later, but not End, Stat, guards and comparisons); the
	// answers are in the order of the writes. Two writes may go to one stream:
	// they are applied in order, each comparison seeing the one before.
	//
	// Appends that do not overlap in time are ordered as they were called.
	// An Append without writes does nothing.
	//
	// Errors: Conflict (Expect), Apart (the streams have no commit in common),
	// Invalid, TooLarge (a batch, or too many writes), Full, Unavailable, Canceled
	// and Timeout (the context ended before anything was sent), Unknown. After
	// any error but Unknown nothing was appended.
	Append(ctx context.Context, writes ...Write) ([]Appended, error)

	// Read returns what is stored from a place on, as whole batches in order
	// without a gap: at least one if there is one, even if it is larger than
	// maxBytes, and of more than one no more than fit. (An engine may return fewer
	// than would fit.) The first batch holds the place or begins above it. Read never
	// waits: an empty Run says that the reader has caught up (also beyond the
	// end, and on a stream never written). Trimmed says that events between the
	// place and the earliest one left are gone; position 0 means "from the
	// earliest" and is never Trimmed. A negative place is Invalid.
	//
	// The Run and all that was decoded from it are valid until its Release.
	Read(ctx context.Context, at Place, maxBytes int) (Run, error)

	// Wait returns nil as soon as one of the places has something to read: at
	// once if it has already, or if Read would say Trimmed. A Wait under way also
	// returns when one of its streams is removed; that stream then reads like one
	// never written. Without places it waits for the context. It is for machines
	// and for the hub: one call can watch many places, and no connection has one
	// of its own.
	Wait(ctx context.Context, at ...Place) error

	// End gives the position from which a reader that starts now misses nothing
	// that comes, and sees nothing that is there: 0 for a stream never written.
	End(ctx context.Context, s Stream) (Position, error)

	// Trim drops the events below upTo, in whole batches, as far as the engine
	// can; a batch with an event at or above upTo stays. It never drops a stream's
	// newest batch, since its position is what Expect compares with. Trimming
	// below the earliest event, or a stream never written, does nothing.
	Trim(ctx context.Context, s Stream, upTo Position) error
}

// Stats is what an engine knows about one stream.
type Stats struct {
	Earliest Position  // of the oldest event left; 0 when there is none
	Low      Position  // what was below it is trimmed away: who reads on from it or above misses nothing; 0 when nothing is
	End      Position  // as Log.End
	Newest   Position  // base position of the newest batch: what Expect compares with
	Bytes    int64     // encoded bytes kept
	Events   int64     // events kept
	Oldest   time.Time // append time (Batch.MaxTime) of the oldest batch left
	Epoch    uint32    // changes when the stream is re-created, or lost acknowledged events
}

// The abilities that an engine may have beyond Log, one method each. A caller
// asks with a type assertion, once, when it is built.
type (
	// Lister lists the streams that were appended to and not removed since,
	// sorted by name.
	Lister interface {
		Streams(ctx context.Context, namespace string) ([]Stream, error)
	}
	// Remover removes a stream and all that it holds. Appending to it afterwards
	// begins a new stream with another epoch. Removing a stream never written
	// does nothing.
	Remover interface {
		Remove(ctx context.Context, s Stream) error
	}
	// Statter tells about one stream; a stream never written has zero Stats.
	Statter interface {
		Stat(ctx context.Context, s Stream) (Stats, error)
	}
	// Backer finds the place n batches before another: the base position of the
	// n-th batch, counted backwards, that begins below it; the earliest one left
	// if there are fewer, 0 on a stream never written. n below 1 gives the place.
	Backer interface {
		Back(ctx context.Context, at Place, n int) (Position, error)
	}
	// Timer finds the base position of the first batch left that was appended
	// (Batch.MaxTime) at or after t, taken to the millisecond, or the end.
	Timer interface {
		At(ctx context.Context, s Stream, t time.Time) (Position, error)
	}
	// Rewriter replaces the batches that lie wholly in [from, to) by others that
	// keep a subset of their events, each at its old position: compaction by key.
	// keep answers a batch of the same Base and Last (see Batch.Keep); one without
	// records, or the zero Batch, drops it, and reading over it is no Trimmed. The
	// newest batch is left alone. What was replaced before an error stays so.
	Rewriter interface {
		Rewrite(ctx context.Context, s Stream, from, to Position, keep func(Batch) (Batch, error)) error
	}
	// Runner is an engine with work of its own. Run returns when ctx ends, after
	// flushing, or with the error that stopped the engine.
	Runner interface {
		Run(ctx context.Context) error
	}
)

// Follow reads a stream from a place on, for ever: what is stored, then what
// comes, without a gap. It ends with the context's error or the first error of
// the log (Trimmed among them). Each Run is released when the loop's body ends.
func Follow(ctx context.Context, log Log, at Place, maxBytes int) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		for {
			run, err := log.Read(ctx, at, maxBytes)
			if err == nil && run.Empty() {
				if err = log.Wait(ctx, at); err == nil {
					continue
				}
			}
			if err != nil {
				yield(Run{}, err)
				return
			}
			at.At = run.Next()
			more := yield(run, nil)
			run.Release()
			if !more {
				return
			}
		}
	}
}
