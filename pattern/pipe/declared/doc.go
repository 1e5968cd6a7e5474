// Package declared runs pipes over events that are known by name: their definitions
// are events in the log, each partition of a pipe's topic is worked on by one node at a
// time, and goes on where it was after a restart or on another node.
//
//	pipes, err := declared.NewRegistry(log, host, declared.Options{Topics: topics, Hub: hub, Graph: graph.Options{Expr: where.Compile, JQ: jq.Compile}})
//	err = pipes.Load(ctx)
//	go pipes.Run(ctx)
//	_, err = pipes.Put(ctx, "big-orders", text, declared.PutOptions{})
//
// # What it guarantees
//
//	topic to topics   effectively once: what a pipe publishes, the state of its stages
//	                  and its place in the source are one commit, which only the
//	                  pipe's owner can make. That holds for any stage, a program of
//	                  exec that answers otherwise each time included
//	other sinks       at least once: events are delivered before the commit, with ids
//	                  that are the same when they come again
//	other sources     what a URL or schedule gave is lost if the owner is before its commit
//	errors            an event that fails goes where the graph says, else to the topic
//	                  NAME.dead, in the same commit: never on, never away
//	order             that of the source in each partition, as far as stages keep it
//	a new definition  is checked before it is stored; the pipe goes on in the state it
//	                  has, between two batches. What cannot go on so is refused, unless
//	                  PutOptions.Drain says to let out what stages keep. One that cannot
//	                  run on this node leaves the old one running, and is told in Stats
//	retention         holds back for what a pipe has not read, unless it is stopped
//
// # Partitions
//
// A pipe whose only source is a named topic has an owner for each partition of it,
// through package shard: with its own place, state of the stages, and commits. Windows,
// keys and rates are those of a partition. Its first owner, of partition 0, decides by
// which definition all run, and where they begin: the others ask it, and adopt what it
// has adopted. A node that has two parts fewer than another asks it for one.
//
// A source with as-one, several topics, a pattern, any other source, and a head have one
// owner for all. When a definition changes between the two, the first owner has the
// others retire: they let out what their stages keep, commit their places and rest; then
// it goes on with all places. The other way round, the others begin where the first was.
//
// A step's outputs and state are one commit, so they are bounded: MaxState bytes of
// state as they are stored, and topics of at most 200 partitions in one step.
//
// # How it is kept
//
// The stream $pipes has the definitions, and how many owners each pipe has.
// $pipe.NAME.NUMBER is the journal of a pipe, or of its first owner, and
// $pipe.NAME.NUMBER.PARTITION those of the others: a place, and the state of the stages.
package declared
