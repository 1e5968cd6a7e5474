// Package parley holds the words that everything else speaks: Event, Batch,
// Run, Stream, Position, Place, Write, Error, and Log, the five methods between
// the engines that store events and the patterns that give them meaning.
//
// An event is published once and consumed by any of ten patterns. What makes
// that possible is kept here and is small: events travel in record batches that
// are encoded once, by whoever produces them, and stored, sent and read back
// byte for byte.
//
// The package starts no goroutine and does no I/O.
package parley
