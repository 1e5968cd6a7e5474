package journal

import (
	"time"

	"github.com/parleyhq/parley"
)

// Limits of one call and of what gathers. A group stops gathering at the group
// limits, so that whatever one more call makes fits one batch and one Append.
const (
	MaxMove     = 1 << 20 // bytes of one move
	MaxDoMoves  = 10_000  // moves of one Do
	MaxDoBytes  = 4 << 20 // bytes of the moves of one Do
	MaxDoWrites = 200     // writes that ride along with one Do

	groupMoves = 10_000
	groupBytes = 1 << 20
	groupAlso  = 400
)

// Tx is what the function of a Do has in hand. It is valid during the function
// only.
type Tx struct {
	a     *actor
	now   time.Time
	moves int
	bytes int
	also  int  // writes that ride along, the last ones of the open group
	rides int  // their bytes
	firm  bool // a move that Do waits for
}

// Now is the time of the moves of this call: it is replayed with them.
func (tx *Tx) Now() time.Time { return tx.now }

// Move applies a move to the machine and makes the Do return only when it is
// durable. The machine's refusal is returned as it is; nothing has changed then.
// TooLarge: over MaxMove, MaxDoMoves or MaxDoBytes. data is not kept.
func (tx *Tx) Move(data []byte) error {
	if err := tx.move(data); err != nil {
		return err
	}
	tx.firm = true
	return nil
}

// Lazy applies a move whose loss with this owner harms nobody: the Do does not
// wait for it, and neither does any other.
func (tx *Tx) Lazy(data []byte) error { return tx.move(data) }

func (tx *Tx) move(data []byte) error {
	if len(data) > MaxMove || tx.moves >= MaxDoMoves || tx.bytes+len(data) > MaxDoBytes {
		return &parley.Error{Code: parley.TooLarge, Detail: "more than one change of a machine may hold", Fix: "make it in several smaller requests"}
	}
	a := tx.a
	m := Move{Number: a.number + 1, Time: tx.now, Data: data}
	if err := a.machine.Apply(m); err != nil {
		return err
	}
	a.number++
	tx.moves++
	tx.bytes += len(data)
	a.put(kindMove, tx.now, data)
	return nil
}

// Also lets a batch for another stream ride in the same Append as the moves of
// this call: it is stored if and only if they are, and not when the function fails,
// whatever moves it made before. The Do waits for it. Its
// Expect must be Any, since a comparison that fails would fail the moves of
// everybody in the group; so must Once be zero, and the batch not empty. The
// batch must stay as it is until the Do has returned.
//
// The answer is filled in when the Do returns nil; its Base is 0 when it is known
// only that the batch was stored, not where.
func (tx *Tx) Also(w parley.Write) (*parley.Appended, error) {
	switch {
	case w.Expect != parley.Any || w.Once != (parley.Key{}) || w.Batch.IsZero():
		return nil, parley.BadField("also", "a write that rides along cannot be conditional or empty", "leave Expect and Once zero and give it a batch")
	case w.Stream == tx.a.stream:
		return nil, parley.BadField("also", "a write into the machine's own stream", "make a move")
	case w.Stream.Name == "" || len(w.Stream.Name) > parley.MaxStreamName || w.Batch.Size() > parley.MaxBatchBytes:
		return nil, &parley.Error{Code: parley.TooLarge, Field: "also", Detail: "a stream name or batch out of bounds"}
	case tx.also >= MaxDoWrites:
		return nil, &parley.Error{Code: parley.TooLarge, Field: "also", Detail: "too many writes ride along with one change", Fix: "make it in several smaller requests"}
	}
	g := tx.a.open
	place := new(parley.Appended)
	g.also = append(g.also, w)
	g.places = append(g.places, place)
	g.bytes += w.Batch.Size()
	tx.also++
	tx.rides += w.Batch.Size()
	return place, nil
}

// waits says that what the call did may only be told when it is durable.
func (tx *Tx) waits() bool { return tx.firm || tx.also > 0 }

// drop takes back what the call let ride along.
func (tx *Tx) drop() {
	g := tx.a.open
	n := len(g.also) - tx.also
	clear(g.also[n:])
	clear(g.places[n:])
	g.also, g.places = g.also[:n], g.places[:n]
	g.bytes -= tx.rides
	tx.also, tx.rides = 0, 0
}
