package journal

import (
	"context"
	"errors"
	"iter"

	"github.com/parleyhq/parley"
)

// readSize is how many bytes a restore reads at a time.
const readSize = 1 << 20

// restorer folds a stream into a machine. It reads the stream twice: to find
// the snapshot to begin at, and to fold from there.
type restorer struct {
	log     parley.Log
	stream  parley.Stream
	machine Machine
}

// restored is where a fold began and how far it came.
type restored struct {
	*survey
	base shot // the snapshot it began at; its position is 0 for the first move
}

// batches walks the stored batches from a place on, up to the end.
func (r *restorer) batches(ctx context.Context, at parley.Position) iter.Seq2[parley.Batch, error] {
	return func(yield func(parley.Batch, error) bool) {
		for {
			run, err := r.log.Read(ctx, parley.Place{Stream: r.stream, At: at}, readSize)
			if err != nil {
				yield(parley.Batch{}, err)
				return
			}
			more := !run.Empty()
			for b := range run.Batches() {
				if more = yield(b, nil); !more {
					break
				}
			}
			at = run.Next()
			run.Release()
			if !more {
				return
			}
		}
	}
}

// look reads the whole stream.
func (r *restorer) look(ctx context.Context) (*survey, error) {
	s := newSurvey()
	for b, err := range r.batches(ctx, 0) {
		if err != nil {
			return nil, err
		}
		s.batch(b)
	}
	return s, nil
}

// fold surveys the stream and restores the machine from the newest snapshot that
// is sound.
func (r *restorer) fold(ctx context.Context) (restored, error) {
	s, err := r.look(ctx)
	if err != nil {
		return restored{}, err
	}
	if s.cause != nil && parley.CodeOf(s.cause) == parley.Unsupported {
		return restored{}, s.cause // an older snapshot must not undo what a newer program wrote
	}
	cause := s.cause
	for _, from := range s.from() {
		err := r.replay(ctx, from, s)
		if err == nil {
			return restored{survey: s, base: from}, nil
		}
		if !errors.As(err, new(*badSnapshot)) {
			return restored{}, err
		}
		cause = err
	}
	return restored{}, &parley.Error{
		Code:   parley.Damaged,
		Detail: "the memory of machine " + r.stream.Name + " cannot be restored: no snapshot is sound and its moves are not all there",
		Fix:    "restore the stream from a backup",
		Err:    cause,
	}
}

// badSnapshot is a reason to try an older snapshot, unlike a failure to read.
type badSnapshot struct{ err error }

func (e *badSnapshot) Error() string { return e.err.Error() }
func (e *badSnapshot) Unwrap() error { return e.err }

// replay restores the machine from one snapshot and applies the moves after it,
// up to the end of the survey.
func (r *restorer) replay(ctx context.Context, from shot, s *survey) error {
	var failed error
	err := r.machine.Restore(r.parts(ctx, from, &failed))
	if failed != nil {
		return failed
	}
	if err != nil {
		return &badSnapshot{err}
	}
	for rec, err := range r.records(ctx, from.at, s.newest) {
		if err != nil {
			return err
		}
		k, number, err := cutKey(rec.Key)
		if err != nil {
			return &badSnapshot{err}
		}
		if k != kindMove { // all moves after the begin are new: it stands after those it has
			continue
		}
		if err := r.machine.Apply(Move{Number: number, Time: rec.Time(), Data: rec.Value}); err != nil {
			return &badSnapshot{parley.Errorf(parley.Damaged, "move %d at %d: %w", number, rec.Position, err)}
		}
	}
	return nil
}

// parts walks the parts of a snapshot; none for the beginning of history.
func (r *restorer) parts(ctx context.Context, from shot, failed *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		left := from.sum.count
		if left == 0 {
			return
		}
		for rec, err := range r.records(ctx, from.at, -1) {
			if err != nil {
				*failed = err
				return
			}
			if k, _, err := cutKey(rec.Key); err != nil || k != kindPart {
				continue
			}
			if left--; !yield(rec.Value) || left == 0 {
				return
			}
		}
	}
}

// records walks the records from a position on, up to the batch that begins at
// last.
func (r *restorer) records(ctx context.Context, at, last parley.Position) iter.Seq2[parley.Record, error] {
	return func(yield func(parley.Record, error) bool) {
		for b, err := range r.batches(ctx, at) {
			if err != nil {
				yield(parley.Record{}, err)
				return
			}
			for rec, err := range b.Records() {
				if err == nil && rec.Position < at {
					continue
				}
				if err != nil {
					err = &badSnapshot{err}
				}
				if !yield(rec, err) || err != nil {
					return
				}
			}
			if b.Base() == last {
				return
			}
		}
	}
}
