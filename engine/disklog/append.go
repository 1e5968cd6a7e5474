package disklog

import (
	"context"
	"errors"
	"fmt"

	"github.com/parleyhq/parley"
)

// copyFirst is the size from which a batch is copied before the lock is taken.
const copyFirst = 32 << 10

// job is an Append on its way through the lock.
type job struct {
	writes []parley.Write
	frames [][]byte // copies made beforehand of large batches, by index; nil = none
	level  Level
	size   int64 // bytes of its batch frames
	count  int   // batch frames
	out    []parley.Appended
	few    [4]*stream
	sts    []*stream
}

// Append implements parley.Log. Before Run it waits. Beyond the contract's
// errors, a batch whose CRC does not hold is Invalid: it could not be told from
// damage later.
func (l *Log) Append(ctx context.Context, writes ...parley.Write) ([]parley.Appended, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j := job{writes: writes}
	if err := l.prepare(&j); err != nil || len(writes) == 0 {
		return nil, err
	}
	j.out = make([]parley.Appended, len(writes))
	for {
		c := l.core.Load()
		t := c.admit(&j)
		if t.wait == nil {
			return t.result(ctx, &j)
		}
		select {
		case <-t.wait:
		case <-ctx.Done():
			return nil, ctx.Err() // nothing was sent
		}
	}
}

// prepare checks the writes and does what needs no lock.
func (l *Log) prepare(j *job) error {
	if err := parley.CheckWrites(j.writes); err != nil {
		return err
	}
	j.level = OS
	for i := range j.writes {
		w := &j.writes[i]
		if l.opts.level(w.Stream) == Fsync {
			j.level = Fsync
		}
		if !w.Batch.IsZero() {
			if err := w.Batch.Check(); err != nil {
				return &parley.Error{Code: parley.Invalid, Field: "batch", Fix: "send one well-formed record batch", Err: err}
			}
			j.size += int64(batchFrame(w))
			j.count++
		}
	}
	if j.size > maxAppendBytes {
		return &parley.Error{
			Code: parley.TooLarge, Field: "writes", Detail: fmt.Sprintf("%d bytes in one append", j.size),
			Fix: fmt.Sprintf("send at most %d bytes at once", maxAppendBytes),
		}
	}
	for i := range j.writes {
		if w := &j.writes[i]; w.Batch.Size() >= copyFirst {
			if j.frames == nil {
				j.frames = make([][]byte, len(j.writes))
			}
			j.frames[i] = make([]byte, batchFrame(w))
			fillBatch(j.frames[i], w)
		}
	}
	return nil
}

// batchFrame is the size of a write's frame.
func batchFrame(w *parley.Write) int {
	n := frameHeader + w.Batch.Size()
	if w.Once != (parley.Key{}) {
		n += keyBytes
	}
	return n
}

// fillBatch copies key and batch into a frame.
func fillBatch(frame []byte, w *parley.Write) {
	at := frameHeader
	if w.Once != (parley.Key{}) {
		at += copy(frame[at:], w.Once[:])
	}
	copy(frame[at:], w.Batch.Bytes())
}

// ticket is what the lock let a job have: an answer, something to wait for
// before trying again, or a group to wait for.
type ticket struct {
	err  error
	wait <-chan struct{} // try again when it is closed
	on   *signal         // the answer holds once it is given; nil = at once
	sent bool            // something was placed in a group
}

// result waits for the commit and gives the Append's answer.
func (t *ticket) result(ctx context.Context, j *job) ([]parley.Appended, error) {
	if t.on != nil {
		select {
		case <-t.on.done:
			if err := t.on.err; err != nil {
				if !t.sent { // what it was built on failed; it sent nothing itself
					err = unavailable("what this append builds on could not be made durable")
				}
				return nil, err
			}
		case <-ctx.Done():
			if !t.sent {
				return nil, ctx.Err()
			}
			return nil, &parley.Error{
				Code: parley.Unknown, Detail: "the context ended while the commit was under way",
				Fix: "read what is there, or send it again with the same Once key", Err: ctx.Err(),
			}
		}
	}
	if t.err != nil {
		return nil, t.err
	}
	return j.out, nil
}

func unavailable(why string) *parley.Error {
	return &parley.Error{Code: parley.Unavailable, Detail: why, Fix: "try again", RetryAfter: slowSync}
}

var errClosed = &parley.Error{Code: parley.Unavailable, Detail: "the log is closed", Fix: "open it again"}

func conflict(w *parley.Write, newest parley.Position) error {
	what := fmt.Sprintf("the newest batch is at %d, not at %d", newest, w.Expect)
	if w.Expect == parley.Empty {
		what = fmt.Sprintf("the newest batch is at %d, none was expected", newest)
	}
	return &parley.Error{Code: parley.Conflict, Detail: "stream " + w.Stream.Name + ": " + what, Fix: "read what came in between and decide anew"}
}

func holds(expect, newest parley.Position) bool {
	switch expect {
	case parley.Any:
		return true
	case parley.Empty:
		return newest == 0
	}
	return newest == expect
}

// isOurs tells an error of a kind that callers know from one of the disk.
func isOurs(err error) bool {
	var e *parley.Error
	return errors.As(err, &e)
}
