package topic

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"

	"github.com/parleyhq/parley"
)

// digest says what was sent, so that a retry can be told from another request
// under the same key. The time is not in it, nor the trace context (W3C Trace
// Context): each try has its own.
type digest [sha256.Size]byte

// short is what an error shows of a digest.
func (d digest) short() string { return hex.EncodeToString(d[:8]) }

type digester struct {
	h   hash.Hash
	buf []byte
}

func newDigester() *digester { return &digester{h: sha256.New()} }

func (d *digester) field(s string) {
	d.buf = append(binary.AppendUvarint(d.buf[:0], uint64(len(s))), s...)
	d.h.Write(d.buf)
}

// add takes in one event, complete as it is stored. Every field is preceded by
// its length, so that no two events look alike.
func (d *digester) add(e *parley.Event) {
	for _, s := range [...]string{e.ID, e.Source, e.Type, e.Subject, e.DataContentType, e.DataSchema} {
		d.field(s)
	}
	names := slices.Sorted(maps.Keys(e.Extensions))
	for _, name := range names {
		if name != "traceparent" && name != "tracestate" {
			d.field(name)
			d.field(e.Extensions[name])
		}
	}
	d.field("") // no extension has an empty name
	d.buf = binary.AppendVarint(d.buf[:0], int64(len(e.Data)))
	if e.Data == nil {
		d.buf = binary.AppendVarint(d.buf[:0], -1)
	}
	d.h.Write(d.buf)
	d.h.Write(e.Data)
}

func (d *digester) sum() (sum digest) {
	d.h.Sum(sum[:0])
	return sum
}

// digestOf gives the digest of a batch's events.
func digestOf(b parley.Batch) (digest, error) {
	d := newDigester()
	for rec, err := range b.Records() {
		if err != nil {
			return digest{}, err
		}
		e, err := rec.Event()
		if err != nil {
			return digest{}, err
		}
		d.add(&e)
	}
	return d.sum(), nil
}

// reused is the error for a key that came again with something else.
func reused(field string, first, now digest) error {
	return &parley.Error{
		Code: parley.KeyReused, Field: field,
		Detail: "the key was first used for content with digest " + first.short() + ", and now for " + now.short(),
		Fix:    "use a new key for new content, or send the first content again",
	}
}

// Same tells whether events that came again under a key are those that came first.
// Times and trace contexts may differ: each try has its own. Error: KeyReused,
// with both digests, of the field that holds the key.
func Same(field string, first, now []parley.Event) error {
	sum := func(list []parley.Event) digest {
		d := newDigester()
		for i := range list {
			d.add(&list[i])
		}
		return d.sum()
	}
	if a, b := sum(first), sum(now); a != b {
		return reused(field, a, b)
	}
	return nil
}
