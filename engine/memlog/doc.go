// Package memlog keeps the log in memory: for servers that need no durability,
// for ephemeral streams, and for tests. It is also the contract of parley.Log
// written as plainly as it can be: read it before writing another engine.
//
// A stream is a list of chunks. A batch is copied once, when it is appended,
// behind the one before; a chunk's bytes never move and never change
// afterwards, so a Run is a slice of a chunk and costs no copy, however long
// its reader keeps it. Dropping a chunk is forgetting it: the garbage collector
// takes it when the last reader has let go, and Release has nothing to do.
//
// One mutex guards all streams, because an Append over several of them is one
// step. It is held for look-ups and for the copy of small batches; never while
// something is awaited, and not for the copy of a large one.
//
// Positions start at 1 and are dense, but for what a Rewrite took out.
package memlog
