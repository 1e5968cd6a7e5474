// Package topic gives streams a name that people use: it keeps the registry of
// topics, their partitions and settings, and publishes events to them.
//
// A topic is a named set of 1 to 1,024 streams, its partitions. The registry is
// the fold of the events in $topics, so that every process over one log knows
// the same topics; it is written by compare-and-append and can therefore be
// written by all of them.
//
//	promise                                         | how
//	------------------------------------------------|-----------------------------------------------
//	a stream number is never used again             | numbers come from $topics and only grow
//	a topic made again shows nothing of the old one | a stream's name is "{topic}/{number}"
//	a deletion that was interrupted leaves nothing  | Load removes streams of retired numbers
//	equal keys share a partition, in order          | murmur2, as Kafka's default partitioner
//	a retry of a request finds the first answer     | parley.Write.Once; $publish for several topics
//	a key used for other content is refused         | digests of what is stored and what was sent
//	several topics in one request: all or none      | one Append (PublishAll)
//	limits of age and size never cut too much       | whole batches, counted exactly; Plan is pure
//	a holder loses nothing until it is told         | Hold keeps retention back, Cut reports
//
// Names: ~?[a-zA-Z0-9][a-zA-Z0-9_-]*(\.[a-zA-Z0-9_-]+)*, at most 249 bytes. Dots
// make levels; patterns match them with "*" (one level) and ">" (the rest). Names
// that begin with "$" are the server's own: readable, never publishable.
//
// Topics that begin with "~" are ephemeral: not in $topics, there as soon as
// somebody publishes, in memory, gone when idle for IdleEphemeral. Their numbers
// (from EphemeralNumber on) mean nothing outside the process and belong in no
// cursor.
//
// What it is not: it does not route streams to engines by durability, does not
// follow events (that is the hub's), and does not decide who may do what.
package topic
