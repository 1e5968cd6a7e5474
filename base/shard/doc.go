// Package shard decides who runs a machine. A shard is a machine with a stream
// of its own (see package journal); it runs on one node at a time, its owner. A
// pattern never assumes that it runs beside its machine: it asks the Host, and
// the Host runs the machine where it owns it.
//
//	err := host.Run(ctx, moves, func(ctx context.Context, own *shard.Owner) error {
//		machine := newMachine()
//		j, err := journal.Open(ctx, log, moves, machine, journal.Options{Fence: own.Fence})
//		if err != nil {
//			return err
//		}
//		own.Handle(func(ctx context.Context, request []byte) ([]byte, error) {
//			return serve(ctx, j, machine, request)
//		})
//		return j.Run(ctx)
//	})
//
//	answer, err := host.Ask(ctx, moves, request) // anywhere
//
// There are two hosts. Local is for one process: an Ask is a call. Node is one of
// several over the same log, with a transport (Peers) between them.
//
// # What the fence promises
//
// Ownership moves by a record that the new owner appends to the machine's stream
// by compare-and-append. The owner beats every Beat (1 s), by any Append; it
// hands nothing out when none that began within Lapse (3 s) succeeded; another
// takes over when the stream was still for Takeover (4 s), or at once when the
// owner resigned.
//
//	| case                        | what holds                                           |
//	|-----------------------------|------------------------------------------------------|
//	| moves of a deposed owner    | none is ever appended: its comparison fails          |
//	| firm answers (acks)         | durable before they leave, so they are true for ever |
//	| other answers (leases,      | a deposed owner gives at most those that were in     |
//	| looks) of a deposed owner   | flight when it was stopped: it may be paused between |
//	|                             | the look at its clock and the last byte              |
//	| what it handed out          | cannot be settled or committed: that is a move, of   |
//	|                             | the new owner, which knows its own term only         |
//	| effects outside the log     | a POST or a program already started may be seen      |
//	|                             | twice; no fence can reach it                         |
//	| two owners at once          | at most one can append; the other finds out at its   |
//	|                             | next Append, which is at most a Beat away            |
//	| clocks                      | only durations are compared, each on one node; nodes |
//	|                             | may drift by Takeover − Lapse within Takeover        |
//
// # What Ask promises
//
// A request takes effect at most once for each Ask that returns nil or an error
// other than Unknown; after Unavailable it certainly left no trace. Ask repeats what
// certainly left no trace, on the new owner, until its context or Patience ends.
// What may have left one (Unknown) it hands to the caller, who asks again if the
// request can be made twice, or if the machine knows requests by an id.
package shard
