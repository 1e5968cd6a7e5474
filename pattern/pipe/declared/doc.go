// Package declared runs pipes over events that are known by name: their definitions
// are events in the log, each runs on one node at a time, and goes on where it was
// after a restart or on another node.
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
// A step's outputs and state are one commit, so they are bounded: MaxState bytes of
// state as they are stored, and topics of at most 200 partitions in one step.
//
// # How it is kept
//
// The stream $pipes has the definitions, $pipe.NAME.NUMBER the journal of one pipe:
// its place, and the state of its stages.
package declared
