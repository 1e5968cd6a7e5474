package sharded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"iter"

	"github.com/parleyhq/parley/base/journal"
)

// snapshotHead begins the part of each limit.
type snapshotHead struct {
	Name     string `json:"name"`
	Limit    string `json:"limit"`
	Revision int64  `json:"rev,omitempty"`
}

// Snapshot implements journal.Machine: for each limit one part that names it, and
// parts of keys and their words.
func (b *book) Snapshot() iter.Seq[[]byte] {
	var parts [][]byte
	for name, a := range b.limits {
		head, err := json.Marshal(snapshotHead{name, a.text, a.revision})
		if err != nil { // of strings and a number
			continue
		}
		parts = append(parts, append([]byte{'l'}, head...))
		parts = a.snapshot(parts)
	}
	return func(yield func([]byte) bool) {
		for _, p := range parts {
			if !yield(p) {
				return
			}
		}
	}
}

// snapshot appends the parts of the keys. A key is in one part unless it is larger
// than that: the longest sliding logs go on in the next.
func (a *account) snapshot(parts [][]byte) [][]byte {
	part := []byte{'k'}
	for h, c := range a.keys {
		if len(part) > 1 && len(part)+len(h)+8*len(c) > journal.MaxPart {
			parts, part = append(parts, part), []byte{'k'}
		}
		part = append(part, h[:]...)
		for _, w := range c {
			part = binary.BigEndian.AppendUint64(part, w)
		}
		for len(part) > journal.MaxPart {
			more := append([]byte{'k'}, part[journal.MaxPart:]...)
			parts, part = append(parts, part[:journal.MaxPart]), more
		}
	}
	if len(part) > 1 {
		parts = append(parts, part)
	}
	return parts
}

var errSnapshot = errors.New("sharded: a part of a snapshot is not understood")

// Restore implements journal.Machine.
func (b *book) Restore(parts iter.Seq[[]byte]) error {
	*b = *newBook()
	var at *account
	var rest []byte // of a key that goes on in the next part
	for part := range parts {
		switch {
		case len(part) > 0 && part[0] == 'l' && len(rest) == 0:
			var head snapshotHead
			if err := json.Unmarshal(part[1:], &head); err != nil {
				return err
			}
			var err error
			if at, err = newAccount(head.Limit, head.Revision); err != nil {
				return err
			}
			b.limits[head.Name] = at
		case len(part) > 0 && part[0] == 'k' && at != nil:
			rest = at.restore(append(rest, part[1:]...))
		default:
			return errSnapshot
		}
	}
	if len(rest) > 0 {
		return errSnapshot
	}
	return nil
}

// restore takes the keys that are whole, and gives back the rest.
func (a *account) restore(b []byte) (rest []byte) {
	words := a.rule.Words()
	for size := len(keyHash{}) + 8*words; len(b) >= size; b = b[size:] {
		c := make([]uint64, words)
		for i := range c {
			c[i] = binary.BigEndian.Uint64(b[16+8*i:])
		}
		a.keys[keyHash(b[:16])] = c
	}
	a.sweepAt = a.room()
	return b
}
