// Package disklog is the durable engine: a parley.Log in a directory, where an
// acknowledged event has been through an fsync.
//
// All streams share one write-ahead log. Appends that meet in time become one
// group, which costs one write and one flush however many streams it touches,
// and is there wholly or not at all after a crash. What was flushed becomes
// visible and is served from memory until a background goroutine has laid it
// into segments: files with the batches of one stream, one after the other, as
// they came, behind them a sparse index. A log file whose batches all lie in
// segments is used again.
//
//	Append → group → log file → flush → visible, acknowledged
//	                               └→ segments → log file is free
//
// Open recovers and returns; nothing runs before Run, which owns every goroutine
// and closes the log when its context ends. Reading needs no lock of the writer:
// each stream publishes an immutable view.
//
// A crash loses nothing that was acknowledged at level Fsync. A torn end of the
// log is cut and reported. Damage to what had been flushed is never taken for
// such an end: the streams it hit answer Damaged, and their files are kept.
// Verify says what is lost and what is not.
//
// The format is described byte by byte in docs/decisions/0010-durable-log-format.md.
package disklog
