package parley

import (
	"strconv"
	"strings"
)

// What the waist itself refuses, whichever engine is below: an engine asks these
// before anything else, so that no two differ.

// Check tells whether an engine takes the name: 1 to MaxStreamName bytes, the
// namespace up to as many, both without NUL. The error is Invalid.
func (s Stream) Check() error {
	if s.Name == "" || len(s.Name) > MaxStreamName || strings.IndexByte(s.Name, 0) >= 0 {
		return BadField("stream", "not a stream name", "use 1 to 255 bytes without NUL")
	}
	if len(s.Namespace) > MaxStreamName || strings.IndexByte(s.Namespace, 0) >= 0 {
		return BadField("namespace", "not a namespace", "use at most 255 bytes without NUL")
	}
	return nil
}

// Check tells whether the place can be one. The error is Invalid.
func (p Place) Check() error {
	if p.At < 0 {
		return BadField("position", "a place is never negative", "send 0 for the earliest event, or a position that was answered")
	}
	return p.Stream.Check()
}

// CheckWrites refuses what no engine appends, before any lock and before anything
// is sent: Invalid and TooLarge name the field. It does not compare CRCs.
func CheckWrites(writes []Write) error {
	if len(writes) > MaxAppendWrites {
		return &Error{Code: TooLarge, Field: "writes", Detail: strconv.Itoa(len(writes)) + " writes in one append", Fix: "send at most " + strconv.Itoa(MaxAppendWrites)}
	}
	for i := range writes {
		w := &writes[i]
		if err := w.Stream.Check(); err != nil {
			return err
		}
		if w.Expect < Empty {
			return BadField("expect", "not a position", "send Any, Empty, or the base position of the newest batch")
		}
		if w.Once != (Key{}) && (len(writes) > 1 || w.Batch.IsZero()) {
			return BadField("once", "a write with a key must be alone and carry a batch", "append it by itself")
		}
		if err := checkAppended(w.Batch); err != nil {
			return err
		}
	}
	return nil
}

// checkAppended takes nothing for granted: the bytes of a Batch belong to its
// maker, who may have changed them since they were checked.
func checkAppended(b Batch) error {
	if b.IsZero() {
		return nil
	}
	if b.Size() > MaxBatchBytes {
		return &Error{Code: TooLarge, Field: "batch", Detail: "a batch of " + strconv.Itoa(b.Size()) + " bytes", Fix: "send at most " + strconv.Itoa(MaxBatchBytes) + " bytes in one batch"}
	}
	whole, rest, err := CutBatch(b.b)
	switch {
	case err != nil:
		return &Error{Code: Invalid, Field: "batch", Fix: "send one well-formed record batch", Err: err}
	case len(rest) > 0:
		return BadField("batch", strconv.Itoa(len(rest))+" bytes after the batch", "send one batch a write")
	case whole.Len() == 0:
		return BadField("batch", "it holds no record", "send at least one record, or the zero Batch for a guard")
	}
	return nil
}
