package memlog

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/recent"
)

// Options of a Log. The zero value keeps everything.
type Options struct {
	// StreamBytes bounds the encoded bytes of each stream: an Append drops the
	// stream's oldest batches until it fits, as Trim would, but never the newest
	// batch, which may be larger alone. Up to a quarter more stays in use. 0 is
	// no bound.
	StreamBytes int64
	// MaxBytes bounds the encoded bytes of all streams together: an Append that
	// would pass it is refused with Full, until Trim or Remove makes room. 0 is
	// no bound.
	MaxBytes int64
	// Epoch is the epoch of the first streams. 0 takes a random one, so that a
	// place kept from an earlier process is not taken for one of this.
	Epoch uint32
	// Now is the clock by which Once keys are forgotten; nil is time.Now.
	Now func() time.Time
}

// Log is a parley.Log in memory, with all abilities but Runner: it has no work
// of its own and nothing to close.
type Log struct {
	maxBytes    int64
	streamBytes int64
	chunkBytes  int // size that a stream's chunks grow to
	now         func() time.Time
	opened      time.Time

	mu      sync.Mutex
	streams map[parley.Stream]*stream // written, or waited for
	bytes   int64                     // encoded, kept in all streams
	epoch   uint32                    // of the next stream
	commit  uint64                    // number of the Append under way
}

// window is what a stream remembers of Once keys.
var window = recent.Bounds{Keys: parley.OnceKeys, For: parley.OnceWindow}

var _ interface {
	parley.Log
	parley.Lister
	parley.Remover
	parley.Statter
	parley.Backer
	parley.Timer
	parley.Rewriter
} = (*Log)(nil)

// Chunks grow from small to large, so that a hundred thousand short streams
// stay cheap and long ones are read in long runs.
const (
	smallChunk = 1 << 10
	largeChunk = 256 << 10
)

// New makes an empty Log. Negative bounds are no bounds.
func New(o Options) *Log {
	l := &Log{
		maxBytes:    max(o.MaxBytes, 0),
		streamBytes: max(o.StreamBytes, 0),
		chunkBytes:  largeChunk,
		now:         o.Now,
		streams:     make(map[parley.Stream]*stream),
		epoch:       o.Epoch,
	}
	if l.streamBytes > 0 { // what is dropped is only free when its whole chunk is
		l.chunkBytes = int(min(max(l.streamBytes/4, smallChunk), largeChunk))
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.epoch == 0 {
		l.epoch = 1 + rand.Uint32N(1<<30) // an int32 in the batch, with room to count up
	}
	l.opened = l.now()
	return l
}

// Read implements parley.Log. The Run stays valid even after its Release.
func (l *Log) Read(ctx context.Context, at parley.Place, maxBytes int) (parley.Run, error) {
	if err := checkPlace(ctx, at); err != nil {
		return parley.Run{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	none := parley.NewRun(nil, at.At, at.At, nil)
	st := l.written(at.Stream)
	if st == nil {
		return none, nil
	}
	if at.At > 0 && at.At < st.low {
		err := parley.Errorf(parley.Trimmed, "position %d is below %d, the earliest one left", at.At, st.earliest())
		err.Fix, err.Earliest = "read on from the earliest one", st.earliest()
		return parley.Run{}, err
	}
	c, i := st.find(at.At)
	if c == nil {
		return none, nil
	}
	buf, next := c.run(i, maxBytes)
	return parley.NewRun(buf, at.At, next, nil), nil
}

// End implements parley.Log.
func (l *Log) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if st := l.written(s); st != nil {
		return st.next, nil
	}
	return 0, nil
}

// Trim implements parley.Log; it drops exactly the batches below upTo.
func (l *Log) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if st := l.written(s); st != nil {
		l.bytes -= st.trim(upTo)
		l.forgetKeys(st)
	}
	return nil
}

// written finds a stream that holds something.
func (l *Log) written(s parley.Stream) *stream {
	if st := l.streams[s]; st != nil && st.newest != 0 {
		return st
	}
	return nil
}

// stream finds a stream, or makes a place for one; see drop.
func (l *Log) stream(s parley.Stream) *stream {
	st := l.streams[s]
	if st == nil {
		st = &stream{name: s}
		l.streams[s] = st
	}
	return st
}

// drop forgets a stream that nothing was appended to and nobody waits for.
func (l *Log) drop(st *stream) {
	if st.newest == 0 && st.watches.Len() == 0 {
		delete(l.streams, st.name)
	}
}

func (l *Log) forgetKeys(st *stream) {
	if st.once.Len() > 0 {
		st.once.Prune(l.now().Sub(l.opened), window)
	}
}

// checkPlace is what every call begins with: an ended context is answered
// before anything else, so that cancelling is seen even where nothing waits.
func checkPlace(ctx context.Context, at parley.Place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return at.Check()
}
