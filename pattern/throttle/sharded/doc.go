// Package sharded counts limits at one owner for many nodes: a [Counter] asks,
// from anywhere, the node that owns the counts, over a shard.Host; [Serve] makes a
// node one that may own them.
//
// # What it promises
//
//	| window        | where the count is        | when the ownership moves, or a process dies |
//	|---------------|---------------------------|---------------------------------------------|
//	| an hour or    | moves in a journal: what  | nothing that was told is forgotten: the     |
//	| more          | is taken is durable       | limit holds over any number of owners       |
//	|               | before the caller hears   |                                             |
//	| shorter       | the owner's memory        | a new owner begins anew: a key gets one     |
//	|               |                           | burst more at most                          |
//
// Refusals and looks store nothing of their own. An owner that was deposed, or
// cannot reach the log, stops answering within the lapse of its fence.
//
// # Many keys
//
// A limit counts up to 131,072 keys apart, or as many as fit in 64 MB; further ones
// share one count. Keys that time has restored make room: the owner looks for them
// when the keys have doubled, and in a full table at most once a minute, so that a
// flood of keys is over for the others about a minute after its window. It drops
// them by a move, and by nothing else, so that every owner knows the same keys.
//
// A check whose outcome is not known (an error with the code Unknown) may have
// taken its units. Asking again then takes them twice: it errs against the caller,
// never against the limit. Limits of what is inside at once are refused: a caller
// that died would never leave.
//
// Clocks: times are the owner's, to the millisecond, and never go back along the
// stream. Owners whose clocks disagree by δ stretch a window by δ.
package sharded
