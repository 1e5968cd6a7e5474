package natslog

import (
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

// checkPlace refuses what is wrong in itself.
func checkPlace(at parley.Place) error {
	if at.At < 0 {
		return parley.BadField("position", "a place is never negative", "send 0 for the earliest event, or a position that was answered")
	}
	return checkStream(at.Stream)
}

func checkStream(s parley.Stream) error {
	if s.Name == "" || len(s.Name) > parley.MaxStreamName || strings.IndexByte(s.Name, 0) >= 0 {
		return parley.BadField("stream", "not a stream name", "use 1 to 255 bytes without NUL")
	}
	if len(s.Namespace) > parley.MaxStreamName {
		return parley.BadField("namespace", "is too long", "use at most 255 bytes")
	}
	return nil
}

// checkWrites refuses what is wrong in itself, before anything is sent. largest is
// the size of a batch that the servers take.
func checkWrites(writes []parley.Write, largest int) error {
	if len(writes) > parley.MaxAppendWrites {
		return &parley.Error{Code: parley.TooLarge, Field: "writes", Detail: fmt.Sprintf("%d writes in one append", len(writes)),
			Fix: fmt.Sprintf("send at most %d", parley.MaxAppendWrites)}
	}
	for i := range writes {
		w := &writes[i]
		if err := checkStream(w.Stream); err != nil {
			return err
		}
		if w.Expect < parley.Empty {
			return parley.BadField("expect", "not a position", "send Any, Empty, or the base position of the newest batch")
		}
		if w.Once != (parley.Key{}) && (len(writes) > 1 || w.Batch.IsZero()) {
			return parley.BadField("once", "a write with a key must be alone and carry a batch", "append it by itself")
		}
		if err := checkBatch(w.Batch, largest); err != nil {
			return err
		}
	}
	return nil
}

// checkBatch takes nothing for granted: the bytes of a Batch belong to its maker,
// who may have changed them since they were checked.
func checkBatch(b parley.Batch, largest int) error {
	if b.IsZero() {
		return nil
	}
	if most := min(largest, parley.MaxBatchBytes); b.Size() > most {
		return &parley.Error{Code: parley.TooLarge, Field: "batch", Detail: fmt.Sprintf("a batch of %d bytes", b.Size()),
			Fix: fmt.Sprintf("send at most %d bytes in one batch, or raise max_payload on the NATS servers", most)}
	}
	whole, rest, err := parley.CutBatch(b.Bytes())
	switch {
	case err != nil:
		return &parley.Error{Code: parley.Invalid, Field: "batch", Fix: "send one well-formed record batch", Err: err}
	case len(rest) > 0:
		return parley.BadField("batch", fmt.Sprintf("%d bytes after the batch", len(rest)), "send one batch a write")
	case whole.Len() == 0:
		return parley.BadField("batch", "it holds no record", "send at least one record, or the zero Batch for a guard")
	}
	return nil
}
