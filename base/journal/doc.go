// Package journal is a machine's memory: it keeps a pure state machine in one
// stream of a parley.Log, so that a restart, or another node, folds the stream
// and has the same machine.
//
// A Machine changes only by moves. A caller's function runs in the journal's one
// goroutine, looks at the machine, decides, and makes moves; each is applied at
// once and appended to the stream together with all others that came in while
// the Append before was under way. One Append is in flight at a time, so
// concurrency makes the batches, not a timer.
//
//	j, err := journal.Open(ctx, log, stream, machine, journal.Options{})
//	go j.Run(ctx) // or block in it
//	err = j.Do(ctx, func(tx *journal.Tx) error {
//		if machine.taken(name) {
//			return taken
//		}
//		token = machine.nextToken()
//		return tx.Move(encodeTake(name, token, tx.Now()))
//	})
//	// err == nil: the move is durable, and token may leave
//
// # What it guarantees
//
//	| what                         | how                                                              |
//	|------------------------------|------------------------------------------------------------------|
//	| a firm move is durable when  | Do returns after the Append that holds it                         |
//	| Do returns nil               |                                                                  |
//	| nothing is told too early    | every answer, errors and plain looks too, waits for all firm      |
//	|                              | moves made before it                                             |
//	| all moves of one Do, or none | they are records of one batch                                    |
//	| moves are kept in order,     | every Append names the base position of the batch before;        |
//	| once each, without a gap     | moves are numbered, and the fold checks the numbers              |
//	| one owner                    | Open appends a takeover by compare-and-append; the Append of     |
//	|                              | every earlier owner fails from then on, and its Run ends with    |
//	|                              | Conflict                                                         |
//	| Unknown is not passed on     | the same bytes are sent again with the same comparison, and the  |
//	| while it can be settled      | tail is read, until it is known whether the batch is there       |
//	| a late owner hands out       | with Fence.Lapse, answers without firm moves of their own are    |
//	| nothing                      | refused when no Append that began within Lapse succeeded         |
//	| restart reads two snapshots  | trim goes below the last complete snapshot but one               |
//	| at most                      |                                                                  |
//	| damage is never taken for    | a bad newest snapshot: the one before; both bad: Damaged         |
//	| empty                        |                                                                  |
//
// # Firm, lazy, look
//
// A firm move (Tx.Move) is a promise: the caller hears of it when it is durable.
// A lazy move (Tx.Lazy) rides along: it is appended as soon as a firm one would
// be, or with Options.Linger a little later together with one, but nobody waits
// for it, so it may be lost with its owner. It is for what a machine can do without, such as the count of attempts of a job whose lease
// dies with the owner anyway. A Do without moves is a look.
//
// Moves may be built on moves that are not yet durable. That is sound because
// they are in one stream: if the first is not appended, the comparison of the
// second fails.
//
// # Errors of Do
//
//	| code                | what happened                                                  |
//	|---------------------|----------------------------------------------------------------|
//	| the function's own  | what it returned; moves that it made before are durable        |
//	| Unavailable, Full   | nothing changed; ask again, or ask the new owner               |
//	| Canceled, Timeout   | the context ended; nothing changed                             |
//	| Unknown             | moves were made whose fate is not known                        |
//
// # What the stream looks like
//
// Records have a key of one letter and the number of moves so far: m a move,
// t a takeover, h a beat, r a resignation, and b, p, e the beginning, parts and
// end of a snapshot. A snapshot is the state at its b. Its parts may be spread
// over many Appends with moves between them; restoring reads the parts first and
// then applies every move after the b. A snapshot counts only with its e, which
// has the number and the CRC-32C of its parts; a takeover or another b ends an
// unfinished one.
//
// The package starts nothing: all goroutines live inside Run.
package journal
