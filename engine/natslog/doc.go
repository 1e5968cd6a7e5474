// Package natslog is the engine over NATS JetStream: many nodes share one log,
// which a NATS cluster replicates. JetStream is used as a log alone, never as a
// queue, and no client of Parley has a JetStream consumer of its own.
//
//	log, err := natslog.Open(ctx, natslog.Options{URL: "nats://a:4222,b:4222,c:4222"})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//	go log.Run(ctx) // reading and waiting need it
//
// # How a log lies in JetStream
//
//	| Parley              | JetStream                                                   |
//	|---------------------|-------------------------------------------------------------|
//	| a home              | one stream, PREFIX_HOME: 0, 1, … and memory                  |
//	| a stream            | one subject, PREFIX.HOME.e.NAMESPACE.NAME                   |
//	| a batch             | one message, whose payload is the batch as it came           |
//	| a position          | sequence × 2¹⁶ + the event's place in its batch              |
//	| an Append of one    | a publish; with Expect, an expected last subject sequence    |
//	| an Append of many   | one atomic batch publish, a comparison on each               |
//	| a guard             | a comparison that rides on another message of the batch      |
//	| Once                | a message id made of stream and key                          |
//	| Read                | the tail's memory, or a direct get of many messages          |
//	| Wait                | one consumer a node and home, which sees everything          |
//	| Trim, Remove        | a mark under PREFIX.HOME.m.…, then a purge by subject        |
//
// The streams have no limits of JetStream's own: retention is Trim. The names of
// namespaces and streams become one token each, with %XX for what a subject
// cannot hold.
//
// # What it needs
//
// nats-server 2.14 or later (2.15 recommended) with JetStream, and max_payload
// of at least 1 MiB, which bounds a batch: a larger one is TooLarge. Servers
// should run with sync_interval: always; a client cannot see it, so whoever knows
// it says so with Options.Synced.
//
// # Several nodes
//
// When Append returns, what it wrote is visible to every reader of the same Log,
// and to End, Stat, guards and comparisons of every other node. A Read elsewhere
// may say that it has caught up until the tail there has brought it, normally
// within a millisecond; its Wait then returns.
package natslog
