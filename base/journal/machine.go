package journal

import (
	"iter"
	"time"
)

// Move is one change of a machine.
type Move struct {
	// Number counts the moves of the stream from 1, without gaps. It is the same
	// at every replay and is never used again, so it serves as an id of what the
	// move makes.
	Number uint64
	// Time is when the move was made, to the millisecond. It never goes back
	// along a stream, also when the clocks of its owners disagree.
	Time time.Time
	// Data is the move as its maker encoded it. It is valid during the call only.
	Data []byte
}

// Machine is a state machine whose state is exactly the fold of its moves. The
// journal calls it from one goroutine at a time. It has no clock, lock or I/O.
type Machine interface {
	// Apply makes one move. It gets moves that are being made and, at a restart,
	// those that were. Whether it takes a move, and what the state is then, may
	// depend on nothing but the state and the move. An error refuses a move that
	// cannot be decoded or breaks a rule, and must leave the state as it was; for
	// a stored move it means that the stream is damaged.
	Apply(m Move) error

	// Snapshot gives the state in parts of at most MaxPart bytes. They are drawn
	// one by one, with moves applied in between, and must still be the state as
	// it was when Snapshot was called: a small machine encodes all of it at once,
	// a large one copies on write. A part is valid until the next is drawn.
	Snapshot() iter.Seq[[]byte]

	// Restore replaces the whole state by that of the parts, in order; no parts
	// make the state in which no move was ever made. A part is valid until the
	// next is drawn. An error refuses the snapshot; the journal then restores an
	// older one.
	Restore(parts iter.Seq[[]byte]) error
}

// Timed is an ability of a Machine: deadlines of its own, such as the end of a
// lease.
type Timed interface {
	// Due is when Fire should be called next; the zero time means never. It is
	// asked after every step, so it must be cheap.
	Due() time.Time
	// Fire is called when Due has come, as the function of a Do that nobody waits
	// for. It must make Due later.
	Fire(tx *Tx)
}

// MaxPart is the most bytes that one part of a snapshot may have; it is also how
// many bytes of parts go into one Append.
const MaxPart = 512 << 10
