package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"time"

	"github.com/parleyhq/parley"
)

// writer appends batches to the machine's stream, each after the one before. It
// does not come back from an Append until it knows what became of it, or until
// its context ends.
type writer struct {
	log      parley.Log
	stream   parley.Stream
	patience time.Duration
	newest   parley.Position // base of the stream's newest batch, or Empty
	writes   []parley.Write
}

// outcome is what became of a batch.
type outcome struct {
	base    parley.Position
	also    []parley.Appended // nil when the positions are not known
	sent    time.Time         // when the try that succeeded began, or an earlier one
	err     error             // Conflict: another owner; nothing of ours will ever follow
	certain bool              // with err: the batch is not in the stream, and never will be
	dirty   bool              // the log may still read the batch's buffer
}

// The waits between two tries, doubling.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// put appends a batch, and what rides along. It sends the same bytes again after
// failures that pass, which is safe whatever became of the try before: both have
// the same comparison, so at most one of them is appended. stalled, if not nil,
// is told of each failed try.
func (w *writer) put(ctx context.Context, batch parley.Batch, also []parley.Write, stalled func(error)) outcome {
	w.writes = append(append(w.writes[:0], parley.Write{Stream: w.stream, Expect: w.newest, Batch: batch}), also...)
	out := outcome{certain: true}
	defer func() {
		if out.dirty {
			w.writes = nil // the log may still read it
		}
		clear(w.writes)
	}()
	first := time.Now()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		out.sent = time.Now()
		appended, err := w.try(ctx)
		if err == nil {
			w.newest = appended[0].Base
			out.base, out.also, out.err = appended[0].Base, appended[1:], nil
			return out
		}
		code := parley.CodeOf(err)
		out.err = err
		if !refuses(code) {
			out.certain, out.dirty = false, true
		}
		if code == parley.Conflict {
			if known := w.compare(ctx, batch, &out); known {
				out.sent = first
				return out
			}
		} else if !passes(code) {
			return out
		}
		if stalled != nil {
			stalled(out.err)
		}
		if !pause(ctx, wait) {
			return out
		}
	}
}

// try is one Append. It outlives the context: ending it early would only make
// its outcome unknown.
func (w *writer) try(ctx context.Context) ([]parley.Appended, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.patience)
	defer cancel()
	return w.log.Append(ctx, w.writes...)
}

// passes says that a failure may go away by itself.
func passes(code parley.Code) bool {
	switch code {
	case parley.Full, parley.Unavailable, parley.Overloaded, parley.Throttled,
		parley.Unknown, parley.Timeout, parley.Canceled:
		return true
	}
	return false
}

// refuses says that a failed Append certainly did nothing. Of a code that may
// mean a lost connection, that is not assumed.
func refuses(code parley.Code) bool {
	switch code {
	case parley.Conflict, parley.Apart, parley.Invalid, parley.TooLarge, parley.Full:
		return true
	}
	return false
}

// compare reads what follows the batch that was compared with, after a
// comparison that failed: our own batch, from an earlier try whose answer was
// lost, or somebody else's. It reports whether that is known now.
func (w *writer) compare(ctx context.Context, batch parley.Batch, out *outcome) (known bool) {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	r := restorer{log: w.log, stream: w.stream}
	for b, err := range r.batches(ctx, max(0, w.newest)) {
		switch {
		case parley.CodeOf(err) == parley.Trimmed && err != nil:
			// The new owner has come so far that it is not known any more whether
			// our batch was there.
			out.err = deposed(err)
			return true
		case err != nil:
			out.err = err
			return false
		case b.Base() <= w.newest:
			continue
		case bytes.Equal(beyondBase(b), beyondBase(batch)):
			w.newest = b.Base()
			out.base, out.also, out.err = b.Base(), nil, nil
			return true
		default:
			out.err, out.certain = deposed(nil), true
			return true
		}
	}
	return false // the reader is behind the writer: look again
}

// beyondBase is a batch without what an engine sets on append: base position and
// epoch, but for the length between them, which the contents imply.
func beyondBase(b parley.Batch) []byte { return b.Bytes()[16:] }

func deposed(cause error) error {
	return &parley.Error{Code: parley.Conflict, Detail: "another owner has taken the machine over", Fix: "ask the new owner", Err: cause}
}

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

func newNonce() (n [nonceSize]byte, err error) {
	_, err = rand.Read(n[:])
	return n, err
}
