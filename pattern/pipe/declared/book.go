package declared

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"
	"iter"
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// MaxState bounds the state of a pipe's stages, in bytes as they are stored:
// compressed.
const MaxState = 3 << 20

// maxPlain bounds the state before it is compressed.
const maxPlain = 256 << 20

// kept is what a pipe has when a commit is durable.
type kept struct {
	Adopted uint64     `json:"adopted,omitempty"` // effective revision of the definition that runs
	Begin   uint64     `json:"begin,omitempty"`   // with which its stages began anew
	Lanes   []laneKept `json:"lanes,omitempty"`
	In      int64      `json:"in,omitempty"` // events, since the pipe was made
	Out     int64      `json:"out,omitempty"`
	Dead    int64      `json:"dead,omitempty"`
	Done    bool       `json:"done,omitempty"`
	// Era is the revision with which the pipe was spread over the partitions of a
	// topic, each with an owner; 0 = one owner reads all.
	Era uint64 `json:"era,omitempty"`
	// Retired is a revision up to which this owner has given its place to the first.
	Retired uint64 `json:"retired,omitempty"`
}

// laneKept is a place in one source.
type laneKept struct {
	Source string   `json:"source"` // as it is written: another source begins anew
	Topics []string `json:"topics,omitempty"`
	Cursor string   `json:"cursor,omitempty"`
}

// adoption is the definition that a pipe runs by. It is whole: shared stages are
// written out, so that it can be run whatever becomes of those.
type adoption struct {
	Text   string `json:"text"`
	Origin Origin `json:"origin,omitempty"`
	Start  string `json:"start,omitempty"` // with which the era began: a place in every partition
}

// book is the machine of one pipe's journal. Its state is replaced by every commit.
type book struct {
	kept     kept
	adoption adoption
	state    []byte // of the stages, packed; never changed, only replaced

	part []byte // gathered for the commit that follows
}

var _ journal.Machine = (*book)(nil)

// Moves are a letter and what it says. Those of one commit are in one batch.
const (
	movePart   = 'p' // a part of the stages' state
	moveAdopt  = 'a' // an adoption, in JSON
	moveCommit = 'c' // kept, in JSON; the parts before it are the state
	moveSpread = 's' // the same in an era: who does not know of those must not go on from it
)

// Apply implements journal.Machine.
func (b *book) Apply(m journal.Move) error {
	if len(m.Data) == 0 {
		return parley.Errorf(parley.Damaged, "an empty move of a pipe")
	}
	body := m.Data[1:]
	switch m.Data[0] {
	case movePart:
		if len(b.part)+len(body) > MaxState {
			return parley.Errorf(parley.Damaged, "the state of a pipe has more than %d bytes", MaxState)
		}
		b.part = append(b.part, body...)
	case moveAdopt:
		var a adoption
		if err := json.Unmarshal(body, &a); err != nil {
			return parley.Errorf(parley.Damaged, "the definition of a pipe cannot be read: %w", err)
		}
		b.adoption = a
	case moveCommit, moveSpread:
		var k kept
		if err := json.Unmarshal(body, &k); err != nil {
			return parley.Errorf(parley.Damaged, "the place of a pipe cannot be read: %w", err)
		}
		b.kept, b.state, b.part = k, b.part, nil
	default:
		return parley.Errorf(parley.Unsupported, "a move of a pipe is of a later version")
	}
	return nil
}

// image is the first part of a snapshot; the state follows.
type image struct {
	Kept     kept     `json:"kept"`
	Adoption adoption `json:"adoption"`
}

// Snapshot implements journal.Machine.
func (b *book) Snapshot() iter.Seq[[]byte] {
	head, err := json.Marshal(image{b.kept, b.adoption})
	if b.kept.Era != 0 {
		head = append([]byte{moveSpread}, head...)
	}
	state := b.state
	return func(yield func([]byte) bool) {
		if err != nil || !yield(head) {
			return
		}
		for part := range slices.Chunk(state, journal.MaxPart) {
			if !yield(part) {
				return
			}
		}
	}
}

// Restore implements journal.Machine.
func (b *book) Restore(parts iter.Seq[[]byte]) error {
	*b = book{}
	first := true
	for p := range parts {
		if !first {
			if len(b.state)+len(p) > MaxState {
				return parley.Errorf(parley.Damaged, "the state of a pipe has more than %d bytes", MaxState)
			}
			b.state = append(b.state, p...)
			continue
		}
		var i image
		if err := json.Unmarshal(bytes.TrimPrefix(p, []byte{moveSpread}), &i); err != nil {
			return parley.Errorf(parley.Damaged, "the snapshot of a pipe cannot be read: %w", err)
		}
		b.kept, b.adoption, first = i.Kept, i.Adoption, false
	}
	return nil
}

// commit makes the moves of a commit. adopt is nil when the definition stays.
func commit(tx *journal.Tx, k kept, state []byte, adopt *adoption) error {
	for part := range slices.Chunk(state, journal.MaxMove-1) {
		if err := tx.Move(append([]byte{movePart}, part...)); err != nil {
			return err
		}
	}
	if adopt != nil {
		text, err := json.Marshal(adopt)
		if err != nil {
			return err
		}
		if err := tx.Move(append([]byte{moveAdopt}, text...)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	letter := byte(moveCommit)
	if k.Era != 0 {
		letter = moveSpread
	}
	return tx.Move(append([]byte{letter}, text...))
}

// The first byte of a packed state.
const (
	plain  = 0
	packed = 1
)

// pack makes of a state what is stored. Error: TooLarge.
func pack(state []byte) ([]byte, error) {
	if len(state) < 2<<10 {
		return append([]byte{plain}, state...), nil
	}
	var b bytes.Buffer
	b.WriteByte(packed)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(state)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil && (b.Len() > MaxState || len(state) > maxPlain) {
		err = &parley.Error{Code: parley.TooLarge, Field: "pipe", Detail: "its stages keep more than can be stored with each commit", Fix: "let them keep less: shorter windows, fewer keys, a smaller --most"}
	}
	return b.Bytes(), err
}

// unpack gives the state that was packed; none is none.
func unpack(stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return nil, nil
	case stored[0] == plain:
		return stored[1:], nil
	case stored[0] != packed:
		return nil, parley.Errorf(parley.Damaged, "the state of a pipe is of an unknown form")
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(stored[1:])), maxPlain+1))
	if err != nil || len(out) > maxPlain {
		return nil, parley.Errorf(parley.Damaged, "the state of a pipe cannot be unpacked")
	}
	return out, nil
}
